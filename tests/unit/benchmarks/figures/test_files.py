"""The figures as files."""

from __future__ import annotations

import csv
from pathlib import Path

from benchmarks.figures.files import write_figures
from benchmarks.figures.point_store import MeasuredPoint
from benchmarks.figures.sweeps import load_sweeps
from tests.support.loads import BASIS, made_load, points_of

SWEEP = load_sweeps()[0]


def test_pictures_tables_and_a_page_are_written(tmp_path: Path):
    points = points_of("no-shard")
    results = {
        points[0]: MeasuredPoint.of(points[0], BASIS, took_s=3.0, load=made_load(tx_s=49.5), failure=None),
        points[2]: MeasuredPoint.of(points[2], BASIS, took_s=3.0, load=made_load(engine_cores=0.95), failure=None),
        points[1]: MeasuredPoint.of(points[1], BASIS, took_s=3.0, load=None, failure="<script>it broke</script>"),
    }
    write_figures([SWEEP], results, tmp_path, machine={"commit": "0123"}, configuration={}, remarks=["<b>mind</b>"])
    with (tmp_path / "send-rate.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * len(SWEEP.curves.x)
    assert (float(rows[0]["tx_s"]), float(rows[0]["thesis_tx_s"])) == (49.5, 50.0)
    assert rows[1]["tx_s"] == ""
    assert (tmp_path / "send-rate.png").stat().st_size > 10_000
    page = (tmp_path / "figures.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;it broke" in page
    assert "<script" not in page
    assert "&lt;b&gt;mind" in page
    assert page.count("may have limited this point") == 1
    assert 'src="' not in page
    assert 'href="http' not in page

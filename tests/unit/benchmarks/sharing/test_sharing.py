"""The benchmark of sharing: what it measures, its figures of storage, and its bars."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.sharing.__main__ import main, missed_bars
from benchmarks.sharing.speeds import Speed, measure
from benchmarks.sharing.storage import storage


def test_storage_is_that_of_the_design() -> None:
    by_t = {node["t"]: node for node in storage(100_000)}
    assert [round(by_t[t]["article"], 4) for t in (3, 5, 11)] == [0.5161, 0.2581, 0.1036]
    assert by_t[2]["article"] > 1
    for t, node in by_t.items():
        assert node["copies"] == 1
        assert node["claimed"] == 1 / (t - 1) < node["article"]
        assert 1 / t < node["sealed"] < min(node["article"], 1 / t + 0.002)


def test_a_run_writes_its_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--bytes", "20000", "--slow-bytes", "2000", "--rounds", "1"]
    assert main([*sizes, "--profiles", "copies", "article", "--out", str(tmp_path)]) in (0, 1)
    report = json.loads((tmp_path / "sharing.json").read_text())
    assert {(one["profile"], one["t"], one["n"]) for one in report["speeds"]} == {
        (profile, t, n) for profile in ("copies", "article") for t, n in ((2, 3), (3, 5), (5, 9), (11, 20))
    }
    assert report["machine"]["commit"]
    assert "| `article` | 5, 9 | 2,000 |" in capsys.readouterr().out


def test_what_is_too_slow_is_told() -> None:
    measured = replace(measure("article", 5, 9, 1000, 1), split=Speed(9, 9), join=Speed(9, 0.9))
    assert missed_bars([measured]) == ["article (5, 9): join 1 MB/s is not above 1 MB/s"]
    assert missed_bars([replace(measured, t=3)]) == []

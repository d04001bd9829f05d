"""The figures of a run: drawn from its folder alone, the same bytes each time, as a journal wants them."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from gridledger.errors import InputError
from services.feeder.__main__ import main
from services.feeder.results import figures, plot_command
from services.feeder.results.run_folder import RunFolder
from services.feeder.results.run_writer import RunWriter
from services.feeder.results.style import COLUMN_INCHES, FORMATS, journal_style, save
from tests.support.recorded_run import record_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs ``starved`` and ``base``, and ``killed``, which never ended."""
    folder = tmp_path_factory.mktemp("runs")
    for name in ("starved", "base"):
        asyncio.run(record_run(RunWriter(folder / name), name))
    writer = RunWriter(folder / "killed")
    asyncio.run(record_run(writer, "starved", ends=False))
    writer._write_all()
    writer._disk.submit(lambda: None).result()
    return folder


def texts(figure: Figure) -> set[str]:
    """Every text of every legend."""
    return {text.get_text() for axes in figure.axes if (legend := axes.get_legend()) for text in legend.get_texts()}


def test_the_command_draws_every_figure_in_three_formats(runs: Path, tmp_path: Path) -> None:
    options = ["plot", str(runs / "starved"), "--compare", str(runs / "base"), "--out", str(tmp_path / "a")]
    assert main(options) == 0
    names = {f"{name}.{kind}" for name in (*figures.FIGURES, "comparison") for kind in FORMATS}
    assert {path.name for path in (tmp_path / "a").iterdir()} == names
    assert main([*options[:-1], str(tmp_path / "b")]) == 0
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_an_unfinished_run_is_drawn_and_said_to_be_one(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plot_command, "FIGURES", {"actions": figures.draw_actions})  # all are drawn by other tests
    said = f"{runs / 'killed'}: the run has not ended, or was killed: there is what was written until then"
    assert main(["plot", str(runs / "base"), "--compare", str(runs / "killed"), "--out", str(tmp_path / "a")]) == 0
    assert said in capsys.readouterr().out
    assert main(["plot", str(runs / "base"), "--out", str(tmp_path / "figures")]) == 0
    assert "not ended" not in capsys.readouterr().out


def test_files_have_no_date_and_pdf_embeds_its_fonts(runs: Path, tmp_path: Path) -> None:
    with journal_style():
        png, svg, pdf = save(figures.draw_voltages(RunFolder.at(runs / "base"), "single"), tmp_path, "voltages")
    for path in (png, svg, pdf):
        assert not re.search(rb"20[0-9]{2}-[01][0-9]|CreationDate|<dc:date|tIME", path.read_bytes()), path
    assert b"/FontFile2" in pdf.read_bytes()
    assert b"<text" not in svg.read_bytes()
    assert b"/Subtype /Image" not in pdf.read_bytes()
    assert b"<image" not in svg.read_bytes()


@pytest.mark.parametrize("column", ["single", "double"])
def test_figures_have_a_column_s_width(runs: Path, column: str) -> None:
    with journal_style():
        for draw in figures.FIGURES.values():
            assert draw(RunFolder.at(runs / "starved"), column).get_figwidth() == COLUMN_INCHES[column]


def test_figures_name_the_weak_bus_its_source_and_every_group(runs: Path) -> None:
    run = RunFolder.at(runs / "starved")
    assert texts(figures.draw_voltages(run, "single")) == {"bus 3", "bus 6", "required 0.98"}
    assert texts(figures.draw_indices(run, "single")) == {"group 1", "group 2", "group 3", "threshold"}
    assert texts(figures.draw_actions(run, "single")) == {"bus 6"}
    assert texts(figures.draw_comparison(run, RunFolder.at(runs / "base"), "single")) == {
        "with control",
        "without control",
    }


def test_a_group_s_line_is_its_weakest_bus_and_that_bus_s_threshold(runs: Path) -> None:
    lines = {group: (vsi, threshold) for group, _, vsi, threshold in weakest(runs)}
    assert set(lines) == {"1", "2", "3"}
    vsi, threshold = lines["1"]
    assert round(float(vsi.min()), 4) == 0.8757
    assert set(threshold) == {0.88}


def weakest(runs: Path) -> list[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """The weakest of each group in ``starved``."""
    return list(figures.weakest_by_group(RunFolder.at(runs / "starved")))


def test_a_merge_is_shaded_from_its_begin_to_its_end(runs: Path) -> None:
    run = RunFolder.at(runs / "starved")
    ((begin_s, end_s),) = figures.merge_spans(run, 9.0)
    merges = run.table("merges", ("at_s", "what"))
    assert (begin_s, end_s) == tuple(merges["at_s"])
    assert list(merges["what"]) == ["merged", "returned"]


def test_a_killed_run_is_drawn_from_what_it_left(runs: Path, tmp_path: Path) -> None:
    assert main(["plot", str(runs / "killed"), "--out", str(tmp_path)]) == 0
    assert len(list(tmp_path.iterdir())) == len(figures.FIGURES) * len(FORMATS)


def test_a_folder_without_a_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plot", str(tmp_path)]) != 0
    assert "holds no run" in capsys.readouterr().err
    (tmp_path / "run.json").write_text("{")
    assert main(["plot", str(tmp_path)]) != 0
    assert "is not JSON" in capsys.readouterr().err


def test_a_file_where_the_figures_would_go_is_told(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(runs / "base", tmp_path / "run")
    (tmp_path / "run" / "figures").write_text("")
    assert main(["plot", str(tmp_path / "run")]) == 1
    told = f"error: {tmp_path / 'run' / 'figures'} is a file: move it away, or name another folder with --out\n"
    assert capsys.readouterr().err == told
    assert main(["plot", str(tmp_path / "run"), "--out", str(tmp_path / "run" / "figures" / "mine")]) == 1
    assert "Not a directory: name another folder with --out" in capsys.readouterr().err


def test_a_run_of_another_format_is_refused_and_an_older_one_is_read(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "base", tmp_path / "run")
    info = json.loads((tmp_path / "run" / "run.json").read_text())
    for version, is_read in ((1, True), (2, True), (3, False)):
        (tmp_path / "run" / "run.json").write_text(json.dumps(info | {"format": version}))
        if is_read:
            assert RunFolder.at(tmp_path / "run").info["format"] == version
        else:
            with pytest.raises(InputError, match="another format than 1 to 2"):
                RunFolder.at(tmp_path / "run")


def test_a_line_holds_each_value_until_the_next_and_loses_no_extreme() -> None:
    at_s = np.arange(5.0)
    x, y = figures.stepped(at_s, np.array([1.0, 1.0, 2.0, 2.0, 1.0]))
    assert (list(x), list(y)) == ([0.0, 2.0, 2.0, 4.0, 4.0, 4.0], [1.0, 1.0, 2.0, 2.0, 1.0, 1.0])
    noise = np.random.default_rng(1).normal(size=100_000)
    x, y = figures.stepped(np.arange(100_000.0), noise)
    assert len(x) <= 2 * figures._MAX_POINTS + 2
    assert (y.min(), y.max()) == (noise.min(), noise.max())


def test_many_buses_are_drawn_as_their_range(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "_MAX_LINES", 10)
    assert {"range of all", "5 to 95 %"} <= texts(figures.draw_voltages(RunFolder.at(runs / "starved"), "double"))


@pytest.mark.parametrize("table", ["buses", "frames", "actions"])
def test_a_damaged_table_is_named(runs: Path, tmp_path: Path, table: str) -> None:
    folder = Path(shutil.copytree(runs / "base", tmp_path / "run"))
    path = folder / f"{table}.parquet"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(InputError, match=f"the table {table} of .* cannot be read"):
        RunFolder.at(folder).table(table, ("at_s",))


@pytest.mark.parametrize("change", [{"case": 3}, {"scenario": None}, {"v_required": ...}])
def test_a_damaged_run_json_is_refused(runs: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    folder = Path(shutil.copytree(runs / "base", tmp_path / "run"))
    info = json.loads((folder / "run.json").read_text()) | change
    kept = {name: value for name, value in info.items() if value is not ...}
    (folder / "run.json").write_text(json.dumps(kept))
    with pytest.raises(InputError, match=r"run\.json lacks what every run tells"):
        RunFolder.at(folder)

"""The folder of a run: tables of what the ledger answered, run.json, and what is left of a run that was killed."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from gridledger.errors import InputError, NoSpaceLeft
from gridledger.grid.case import load_case
from services.feeder.meter import GrossError, MeterErrors, Sigmas
from services.feeder.results import run_writer, table_writer
from services.feeder.results.columns import TABLES
from services.feeder.results.run_folder import RunFolder
from services.feeder.results.run_writer import RunWriter, slack_generation
from services.feeder.scenarios.shipped import scenario_for
from tests.support.dvs_world import World
from tests.support.feeder_world import SHARDED, scenario_runner
from tests.support.recorded_run import meta_of, record_run
from tests.support.small_disk import small_disk
from tests.support.solved_grid import power_flow

NOISE = MeterErrors(7, Sigmas(v=1e-5, p=1e-4))


async def test_the_tables_hold_what_the_ledger_answered(tmp_path: Path) -> None:
    runner, answers = await record_run(RunWriter(tmp_path / "run"), "1a")
    frames = pq.read_table(tmp_path / "run" / "frames.parquet").to_pylist()
    assert [row["tx_id"] for row in frames] == [answer.tx_id for answer in answers]
    assert [row["vsi"] for row in frames] == [answer.vsi[answer.result["weak_bus"]] for answer in answers]
    buses = pq.read_table(tmp_path / "run" / "buses.parquet").to_pylist()
    for answer in answers:
        rows = {row["bus"]: row for row in buses if row["group"] == answer.group and row["time_us"] == answer.time_us}
        assert sorted(rows) == sorted(runner.planner.grouping[answer.group])
        assert {bus: row["vsi"] for bus, row in rows.items() if row["vsi"] is not None} == answer.vsi
        for bus, row in rows.items():
            at = runner.planner.case.position[bus]
            assert (row["v_pu"], row["qd_mvar"]) == (answer.state.vm[at], answer.state.qd[at])
            assert row["threshold"] == (runner.planner.thresholds[row["home"]] if row["kind"] == "load" else None)
    (action,) = pq.read_table(tmp_path / "run" / "actions.parquet").to_pylist()
    (control,) = [answer.control for answer in answers if answer.control]
    assert action["source_bus"] == 3
    assert action["q_mvar"] == action["standing_mvar"] == control["q_mvar"]
    (change,) = pq.read_table(tmp_path / "run" / "changes.parquet").to_pylist()
    assert (change["bus"], change["p_mw"], change["q_mvar"]) == (3, 52.8, 26.4)


@pytest.mark.parametrize("table", list(TABLES))
async def test_csv_and_parquet_hold_the_same_values(tmp_path: Path, table: str) -> None:
    await record_run(RunWriter(tmp_path / "run"), "starved", errors=NOISE)
    parquet = pq.read_table(tmp_path / "run" / f"{table}.parquet")
    with (tmp_path / "run" / f"{table}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(parquet) > 0
    for column in TABLES[table]:
        for row, value in zip(rows, parquet[column.name].to_pylist(), strict=True):
            assert row[column.name] == _csv_text(value) or float(row[column.name]) == value


def _csv_text(value: object) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


async def test_a_merged_group_s_buses_keep_their_home_threshold(tmp_path: Path) -> None:
    await record_run(RunWriter(tmp_path / "run"), "starved")
    rows = pq.read_table(tmp_path / "run" / "buses.parquet").to_pylist()
    merged = {(row["home"], row["threshold"]) for row in rows if row["group"] == "1_2" and row["kind"] == "load"}
    assert merged == {("1", 0.88), ("2", 0.85)}


async def test_run_json_tells_what_ran_and_what_became_of_it(tmp_path: Path) -> None:
    _, answers = await record_run(RunWriter(tmp_path / "run"), "1a")
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert run["case"]["name"] == "case30"
    assert run["scenario"]["loads"] == {"3": [52.8, 26.4]}
    assert (run["seed"], run["enforce_q_limits"], run["interrupted"]) == (7, False, False)
    assert run["frames"] == len(answers) == sum(run["outcomes"].values())
    assert run["outcomes"]["injected"] == run["actions"] == 1
    assert set(run["latency_ms"]) == {"p50", "p95", "p99"}
    assert run["versions"]["numpy"] == np.__version__
    assert len(run["lock_sha256"]) == 64
    assert run["machine"]["processor"]


async def test_what_was_sent_is_in_tables_of_its_own_and_the_plant_s_values_stay(tmp_path: Path) -> None:
    """Noise everywhere, and a gross error on one bus and on one branch in the third sampling."""
    case = load_case("case30")
    gross = (GrossError(2 / 30, 1, case.position[4], "Vm", 0.005), GrossError(2 / 30, 1, case.branch(1, 2), "Pf", 3.0))
    errors = MeterErrors(7, Sigmas(v=1e-5, p=1e-4), gross)
    _, answers = await record_run(RunWriter(tmp_path / "run"), "base", rounds=2, errors=errors)
    run = RunFolder.at(tmp_path / "run")
    sent, true, flows = (run.to_frame(name) for name in ("measured_buses", "buses", "measured_branches"))
    both = true.merge(sent, on=["time_us", "group", "bus"], suffixes=("", "_sent"))
    assert 0 < len(both) <= len(true)
    off = both["v_pu_sent"] - both["v_pu"]
    assert (off.abs() > 0.0).all()
    assert list(both["bus"][off.abs() > 1e-3].unique()) == [4]
    for answer in answers:
        assert answer.sent is not None
        shown = sent[(sent["time_us"] == answer.time_us) & (sent["group"] == answer.group)]
        assert list(shown["v_pu"]) == [row["Vm"] for row in answer.sent["buses"]]
        assert list(shown["pd_mw"]) == [row["Pd"] for row in answer.sent["buses"]]
        lines = flows[(flows["time_us"] == answer.time_us) & (flows["group"] == answer.group)]
        assert list(lines["qt_mvar"]) == [row["Qt"] for row in answer.sent["branches"]]
        assert list(zip(lines["from_bus"], lines["to_bus"], strict=True)) == [
            (row["f"], row["t"]) for row in answer.sent["branches"]
        ]
    wrong = flows[(flows["from_bus"] == 1) & (flows["to_bus"] == 2) & (flows["group"] == "1")]["pf_mw"]
    assert sum(abs(wrong - wrong.median()) > 1.0) == 1


async def test_meters_without_errors_leave_the_measured_tables_empty(tmp_path: Path) -> None:
    await record_run(RunWriter(tmp_path / "run"), "base", rounds=1)
    run = RunFolder.at(tmp_path / "run")
    assert len(run.to_frame("buses")) > 0
    assert len(run.to_frame("measured_buses")) == len(run.to_frame("measured_branches")) == 0


async def test_run_json_states_the_buses_without_a_base_voltage(tmp_path: Path) -> None:
    await record_run(RunWriter(tmp_path / "run"), "base", rounds=1)
    info = RunFolder.at(tmp_path / "run").info
    assert info["case"]["no_base_kv"] == []
    runner = scenario_runner(World(SHARDED), "corrected")
    scenario = scenario_for("base", runner.planner, runner.power_flow, runner.base)
    base_kv = runner.planner.case.base_kv.copy()
    base_kv[[0, 4]] = 0.0, np.nan
    meta = meta_of(runner, scenario, 1)
    writer = RunWriter(tmp_path / "other")
    writer.begin(replace(meta, case=replace(meta.case, base_kv=base_kv)))
    writer.end({})
    assert RunFolder.at(tmp_path / "other").info["case"]["no_base_kv"] == [1, 5]


async def test_what_lies_beyond_a_reactive_limit_is_stated(tmp_path: Path) -> None:
    await record_run(RunWriter(tmp_path / "run"), "1b")
    told = json.loads((tmp_path / "run" / "run.json").read_text())["reactive_limits"]
    assert (told["enforced"], told["at_limit"]) == (False, [])
    ((bus, limit, limit_mvar, q_mvar),) = [tuple(at.values()) for at in told["beyond_limit"]]
    assert (bus, limit, limit_mvar, round(q_mvar, 1)) == (1, "qmin", -20.0, -20.7)
    frames = pq.read_table(tmp_path / "run" / "frames.parquet").to_pylist()
    assert (frames[0]["beyond_limit"], frames[-1]["beyond_limit"]) == ("", "1:qmin=-20.6973")
    assert round(frames[-1]["slack_q_mvar"], 4) == -20.6973


async def test_a_killed_run_leaves_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_writer, "ROWS", 50)
    writer = RunWriter(tmp_path / "run")
    _, answers = await record_run(writer, "1a", ends=False)
    writer._disk.submit(lambda: None).result()
    rows = pq.read_table(tmp_path / "run" / "buses.parts").to_pylist()
    assert len(rows) >= 50
    assert rows[0]["bus"] == 1
    with (tmp_path / "run" / "buses.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == len(rows)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["ended"] is None
    writer.end(None)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["interrupted"] is True
    assert len(pq.read_table(tmp_path / "run" / "frames.parquet")) == len(answers)


async def test_blocks_are_written_while_the_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_writer, "ROWS", 50)
    writer = RunWriter(tmp_path / "run", csv=False)
    held = []
    add = writer.frame

    def frame(*args: object, **more: object) -> None:
        add(*args, **more)  # type: ignore[arg-type]
        held.append(writer._tables["buses"]._rows)

    monkeypatch.setattr(writer, "frame", frame)
    await record_run(writer, "base")
    assert max(held) < 50
    file = pq.ParquetFile(tmp_path / "run" / "buses.parquet")
    assert file.num_row_groups > 1
    assert sorted(path.suffix for path in (tmp_path / "run").iterdir()) == [".json"] + [".parquet"] * len(TABLES)


async def test_what_is_due_by_time_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_writer, "_EVERY_S", 0.0)
    writer = RunWriter(tmp_path / "run")
    await record_run(writer, "base", ends=False)
    writer._disk.submit(lambda: None).result()
    assert list((tmp_path / "run" / "frames.parts").glob("*.parquet"))
    writer.end(None)


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("x")
    with pytest.raises(InputError, match="is not empty"):
        RunWriter(tmp_path)


def test_a_run_that_never_began_leaves_nothing(tmp_path: Path) -> None:
    RunWriter(tmp_path / "run").end(None)
    assert not (tmp_path / "run").exists()


def test_the_slack_s_generation_is_what_the_thesis_s_grid_needs() -> None:
    flow = power_flow()
    p, q = slack_generation(flow.case, flow.solve(flow.case.pd, flow.case.qd))
    assert (round(p, 2), round(q, 2)) == (25.97, -1.0)


def test_the_page_of_results_shows_every_column() -> None:
    page = Path("docs/results.md").read_text()
    for name, columns in TABLES.items():
        part = page.split(f"### {name}\n", 1)[1].split("\n##", 1)[0]
        rows = [f"| `{c.name}` | {c.unit} | {c.meaning}{' (may be empty)' if c.optional else ''} |" for c in columns]
        assert [line for line in part.splitlines() if line.startswith("| `")] == rows, name


async def test_a_full_disk_ends_the_run_and_leaves_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_writer, "_EVERY_S", -1.0)  # each frame is written
    with small_disk(tmp_path / "disk", mib=1) as disk:
        folder = disk.root / "run"
        writer = RunWriter(folder)
        disk.fill(free_kib=160)
        with pytest.raises(NoSpaceLeft, match=f"free space in {re.escape(str(folder))}$"):
            await record_run(writer, "1a", rounds=100)
        with pytest.raises(NoSpaceLeft):
            writer.end(None)
        run = RunFolder.at(folder)
        assert "not ended" in run.unfinished
        assert 0 < len(run.table("frames", ["vsi"])["vsi"]) < 300
        assert not list(folder.rglob("*.unfinished"))


async def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match=r"run cannot be written: Not a directory"):
        await record_run(RunWriter(tmp_path / "file" / "run"), "base")

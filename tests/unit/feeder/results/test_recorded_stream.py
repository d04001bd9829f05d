"""A stream that is recorded: its frames, actions, merges and changes are in its tables, its scenario in run.json."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from gridledger.errors import InputError
from services.feeder.open_loop import OpenLoopStream, StreamResult
from services.feeder.results import told
from services.feeder.results.run_folder import RunFolder
from services.feeder.results.run_writer import RunWriter
from services.feeder.results.told import recorded_changes, told_scenario
from services.feeder.scenario_file.reading import scenario_of_members
from services.feeder.scenarios.shipped import scenario_for
from services.feeder.schedule import LoadChange, VvcChange
from services.feeder.set_up import Asked, set_up
from services.feeder.study import Study
from tests.support.dvs_world import Life, World, conflict
from tests.support.feeder_world import SHARDED, scenario_runner
from tests.support.recorded_run import meta_of
from tests.support.solved_grid import base_state, planner, power_flow

RATE, SECONDS = 20.0, 1.0


async def recorded(
    name: str, folder: Path, life: Life | None = None, *, seconds: float = SECONDS
) -> tuple[StreamResult, RunFolder]:
    """The result of a stream, and what was recorded of it."""
    runner = scenario_runner(World(SHARDED), life=life)
    await runner.prepare()
    scenario = scenario_for(name, planner("corrected"), power_flow(), base_state()).lasting(seconds, rate=RATE)
    recorder = RunWriter(folder)
    meta = meta_of(runner, scenario, 0)
    result = await OpenLoopStream(runner, scenario, tell=lambda _: None, recorder=recorder, meta=meta).run()
    recorder.end({})
    return result, RunFolder.at(folder)


async def test_a_stream_s_frames_and_actions_are_all_in_its_tables(tmp_path: Path) -> None:
    result, run = await recorded("1a", tmp_path / "run")
    frames = run.to_frame("frames")
    assert Counter(frames["outcome"]) == result.total.outcomes
    assert len(frames) == result.total.sent
    ((injection,), (action,)) = result.run.injections, run.to_frame("actions").to_dict("records")
    assert (action["source_bus"], action["q_mvar"], action["tx_id"]) == (
        injection.bus,
        injection.q_mvar,
        injection.tx_id,
    )
    (change,) = run.to_frame("changes").to_dict("records")
    assert (change["kind"], change["bus"], change["p_mw"], change["q_mvar"]) == ("load", 3, 52.8, 26.4)


async def test_a_stream_s_merges_are_in_its_tables(tmp_path: Path) -> None:
    result, run = await recorded("starved", tmp_path / "run", seconds=3.0)
    merges = run.to_frame("merges")
    assert [f"{row.what} {row.group}" for row in merges.itertuples()] == result.run.merges
    assert "merged 1_2" in result.run.merges


async def test_a_conflict_is_recorded_as_what_it_was_judged(tmp_path: Path) -> None:
    # The first round of frames, before the clock runs, is no part of the run: one fault for each of its three frames.
    life = Life(faults={"ComputeVSI": [conflict() for _ in range(5)]})
    _, run = await recorded("base", tmp_path / "run", life)
    frames = run.to_frame("frames")
    assert list(frames[frames["outcome"] == "failed"]["fault"]) == ["MVCC_READ_CONFLICT"] * 2
    assert run.info["outcomes"] == {"failed": 2, "normal": 58}


def test_the_scenario_is_told_whole() -> None:
    members: dict[str, Any] = {"name": "mine", "title": "mine", "case": "case30", "vvc": {"mvar": 20, "none_at": [3]}}
    file = scenario_of_members({**members, "events": [{"at": 5, "loads": {3: [10, 5]}}], "rate": 5, "duration": 10})
    made = set_up(file, Asked())
    told_again = json.loads(json.dumps(told_scenario(file, made)))
    assert (told_again["rate"], told_again["duration_s"]) == (5.0, 10.0)
    assert (told_again["vvc_mvar"]["4"], told_again["vvc_mvar"]["3"]) == (20.0, 0.0)
    (change,) = told_again["changes"]
    assert (change["at_s"], change["loads"]) == (5.0, {"3": [10.0, 5.0]})
    assert told_again["form"]["enforce_q_limits"] is False


def test_a_change_of_many_buses_is_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = scenario_for("several", planner("corrected"), power_flow(), base_state())
    (change,) = scenario.schedule.changes
    assert isinstance(change, LoadChange)
    assert [row.bus for row in recorded_changes(change, 1)] == [3, 14, 30]
    monkeypatch.setattr(told, "_MANY", 2)
    assert [row.bus for row in recorded_changes(change, 1)] == [None]


def test_a_change_of_several_buses_has_its_text_once(tmp_path: Path) -> None:
    scenario = scenario_for("several", planner("corrected"), power_flow(), base_state())
    (change,) = scenario.schedule.changes
    rows = list(recorded_changes(change, 1))
    assert [row.text for row in rows] == [
        "bus 3 at 52.8 + j26.4 MVA, bus 14 at 24.8 + j6.4 MVA, bus 30 at 17.4 + j13.4 MVA",
        "",
        "",
    ]
    assert [(row.bus, row.p_mw, row.q_mvar) for row in rows] == [(3, 52.8, 26.4), (14, 24.8, 6.4), (30, 17.4, 13.4)]
    for title, text in (
        ("4 MVAr at bus 3, 0 MVAr at bus 7", "4 MVAr at bus 3, 0 MVAr at bus 7"),
        ("evening", "evening: 4 MVAr at bus 3, 0 MVAr at bus 7"),
    ):
        found = list(recorded_changes(VvcChange(5.0, title, {3: 4.0, 7: 0.0}), 1))
        assert [(row.bus, row.text) for row in found] == [(3, text), (7, "")]


def test_a_study_does_not_write_over_a_run(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "run.json").write_text("{}")
    with pytest.raises(InputError, match="holds a run already"):
        Study("case30", out=tmp_path).run("mine")


def test_a_run_has_no_other_tables(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no table 'lines'"):
        RunFolder(tmp_path, {}).to_frame("lines")

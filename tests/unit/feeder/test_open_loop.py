"""The open-loop stream on the contract in process: counts, injections while it streams, failures."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from gridledger.client import Status
from gridledger.errors import UnavailableError
from gridledger.grid.records import Planner
from services.feeder.open_loop import GroupTally, OpenLoopStream, StreamResult
from services.feeder.scenario_runner import ScenarioRunner
from services.feeder.scenarios.shipped import scenario_for
from tests.support.dvs_world import Caller, Life, World, conflict
from tests.support.feeder_world import SHARDED, scenario_runner
from tests.support.solved_grid import base_state, planner, power_flow

RATE, SECONDS, GROUPS = 20.0, 1.0, 3


async def stream(name: str, life: Life | None = None) -> tuple[StreamResult, list[str]]:
    """The result of a stream of one second, and what it told."""
    made: Planner = planner("corrected")
    runner: ScenarioRunner = scenario_runner(World(SHARDED), life=life)
    await runner.prepare()
    told: list[str] = []
    scenario = scenario_for(name, made, power_flow(), base_state())
    return await OpenLoopStream(runner, scenario.lasting(SECONDS, rate=RATE), tell=told.append).run(), told


async def test_every_frame_is_sent_and_counted() -> None:
    result, _ = await stream("base")
    assert {name: (tally.sent, tally.valid) for name, tally in result.tallies.items()} == dict.fromkeys(
        ("1", "2", "3"), (20, 20)
    )
    assert dict(result.total.outcomes) == {"normal": GROUPS * 20}
    assert len(result.total.latencies_s) == GROUPS * 20
    assert result.skipped == 0


async def test_the_loop_is_closed_while_frames_stream() -> None:
    result, told = await stream("1a")
    assert [injection.bus for injection in result.run.injections] == [3]
    assert result.total.outcomes["injected"] == 1
    assert any("0.3 s: bus 3 at 52.8 + j26.4 MVA" in line for line in told)
    assert any("42.630 MVAr at bus 3" in line for line in told)
    assert result.run.after.vsi[3] > result.run.threshold


async def test_frames_that_meet_others_are_counted_as_failed() -> None:
    # The first round of frames, before the clock runs, is not counted: one fault for each of its three frames.
    life = Life(faults={"ComputeVSI": [conflict() for _ in range(GROUPS + 2)]})
    result, _ = await stream("base", life)
    total = result.total
    assert (total.sent, total.valid, total.outcomes["failed"]) == (GROUPS * 20, GROUPS * 20 - 2, 2)
    assert dict(total.faults) == {"MVCC_READ_CONFLICT": 2}


async def test_a_frame_that_meets_an_injection_is_superseded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The injection's answer waits until the group's next frame has conflicted with it."""
    commit = Caller.submit
    injected, conflicted = asyncio.Event(), asyncio.Event()

    async def submit(self: Caller, channel: str, function: str, argument: Mapping[str, Any]) -> tuple[Any, Status]:
        if function == "ComputeVSI" and injected.is_set() and not conflicted.is_set() and argument["group"] == "1":
            conflicted.set()
            raise conflict()
        answer = await commit(self, channel, function, argument)
        if function == "ComputeVSI" and answer[0]["outcome"] == "injected":
            injected.set()
            async with asyncio.timeout(10):
                await conflicted.wait()
        return answer

    monkeypatch.setattr(Caller, "submit", submit)
    result, _ = await stream("1a")
    total = result.total
    assert (total.sent, total.valid, total.superseded) == (GROUPS * 20, GROUPS * 20 - 1, 1)
    assert dict(total.faults) == {}


async def test_an_operation_that_fails_for_good_ends_the_stream() -> None:
    """A load turns power at a border, and no new record can be submitted."""
    made = Life()
    runner = scenario_runner(World(SHARDED), life=made)
    await runner.prepare()
    made.faults["InitialGrouping"] = [UnavailableError("away") for _ in range(100)]
    scenario = scenario_for("2", planner("corrected"), power_flow(), base_state())
    with pytest.raises(UnavailableError):
        await OpenLoopStream(runner, scenario.lasting(SECONDS, rate=RATE), tell=lambda _line: None).run()


def test_tallies_add_up() -> None:
    total = GroupTally()
    total.add(GroupTally(2, 1, [0.5]))
    total.add(GroupTally(3, 3, [0.1]))
    assert (total.sent, total.valid, total.latencies_s) == (5, 4, [0.5, 0.1])

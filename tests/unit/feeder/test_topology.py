"""Lines that trip and generators at a limit: which records change, when they are submitted, what frames meet them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from gridledger.client import Status
from gridledger.errors import GridLedgerError, InputError
from gridledger.grid.case import load_case
from gridledger.grid.grouping import grouping_of
from gridledger.grid.planning import concerned_by
from gridledger.grid.records import Planner, Profile
from services.feeder.group_loop import FAILED
from services.feeder.ledger_port import REFUSED
from tests.support.dvs_world import Caller, World
from tests.support.feeder_world import SHARDED, SINGLE, new_coordinator, planned_world
from tests.support.solved_grid import planner

CASE = load_case("case30")
CROSSING, INSIDE = (4, 12, 1), (14, 15, 1)


def concerned(branch: tuple[int, int, int], profile: Profile = "corrected") -> tuple[str, ...]:
    made = planner(profile)
    return concerned_by(made, made.on(CASE.without_branches([CASE.branch(*branch)])))


def records_of(world: World, since: int = 0) -> list[str]:
    """The records submitted since then, channel:group."""
    return [
        f"{channel}:{payload['group']}" for channel, name, payload in world.log[since:] if name == "InitialGrouping"
    ]


def test_a_line_concerns_the_groups_of_its_ends() -> None:
    assert concerned(INSIDE) == ("3",)
    assert concerned(CROSSING) == ("1", "3")
    # Published records also have the lines between two buses that both are ties of the group.
    assert concerned(INSIDE, "published") == ("3",)
    assert concerned((6, 4, 1), "published") == ("1", "2", "3")


def test_one_of_two_equal_parallel_lines_concerns_its_groups() -> None:
    case = load_case("case118")
    grouping = grouping_of(case)
    made = Planner(case, grouping, "corrected", dict.fromkeys(grouping, 0.5))
    home = {bus: group for group, members in grouping.items() for bus in members}
    assert concerned_by(made, made.on(case.without_branches([case.branch(77, 80, 2)]))) == tuple(
        sorted({home[77], home[80]}, key=int)
    )


def test_a_generator_that_counts_as_a_load_bus_concerns_its_group() -> None:
    made = planner("corrected")
    assert concerned_by(made, made.on(CASE.with_load_buses([13]))) == ("3",)


async def test_records_of_a_tripped_line_come_before_the_next_frame() -> None:
    world, grid, clock = await planned_world(SHARDED)
    coordinator = new_coordinator(world, grid, clock)
    await coordinator.records.submit_all(grid.state())
    await coordinator.round()
    before = len(world.log)
    grid.set_outage(CROSSING, True)
    answers = await coordinator.round()
    assert {answer.outcome for answer in answers} <= {"normal", "stale"}
    assert {id(answer.case) for answer in answers} == {id(grid.case)}
    assert sorted(set(records_of(world, before))) == ["mainchain:1", "mainchain:3", "shard1:1", "shard3:3"]
    result = (await coordinator.round())[0].result
    assert result is not None
    assert len(result["vsi"]) == 3


async def test_a_line_that_comes_back_brings_its_record_back() -> None:
    world, grid, clock = await planned_world(SINGLE)
    coordinator = new_coordinator(world, grid, clock)
    await coordinator.records.submit_all(grid.state())
    first = world.main.stored("group/3")
    grid.set_outage(INSIDE, True)
    await coordinator.round()
    assert [14, 15] not in world.main.stored("group/3")["branches"]
    grid.set_outage(INSIDE, False)
    await coordinator.round()
    assert world.main.stored("group/3") == first


async def test_a_group_that_is_not_concerned_does_not_wait() -> None:
    world, grid, clock = await planned_world(SINGLE)
    coordinator = new_coordinator(world, grid, clock)
    grid.set_outage(INSIDE, True)
    before = len(world.log)
    await coordinator.loop("1").measure()
    assert records_of(world, before) == []
    await coordinator.loop("3").measure()
    assert records_of(world, before) == ["grid:3"]


async def test_a_frame_that_is_on_its_way_when_a_line_trips_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """It leaves before, and reaches the contract after the new record."""
    world, grid, clock = await planned_world(SINGLE)
    coordinator = new_coordinator(world, grid, clock)
    commit, sent, renewed = Caller.submit, asyncio.Event(), asyncio.Event()

    async def submit(self: Caller, channel: str, function: str, argument: Mapping[str, Any]) -> tuple[Any, Status]:
        if function == "ComputeVSI" and not sent.is_set():
            sent.set()
            async with asyncio.timeout(10):
                await renewed.wait()
        answer = await commit(self, channel, function, argument)
        if function == "InitialGrouping":
            renewed.set()
        return answer

    monkeypatch.setattr(Caller, "submit", submit)
    late = asyncio.create_task(coordinator.loop("3").measure())
    async with asyncio.timeout(10):
        await sent.wait()
    grid.set_outage(INSIDE, True)
    assert (await coordinator.loop("3").measure()).outcome == "normal"
    answer = await late
    assert (answer.outcome, answer.fault) == (FAILED, REFUSED)
    (topology,) = coordinator.records.topologies
    assert topology.groups == {"3"}


async def test_a_refusal_while_nothing_changed_is_raised() -> None:
    world, grid, clock = await planned_world(SINGLE)
    coordinator = new_coordinator(world, grid, clock)
    record = planner("corrected").on(CASE.without_branches([CASE.branch(*INSIDE)])).record("3", grid.state())
    world.submit("grid", "InitialGrouping", record)
    with pytest.raises(GridLedgerError, match="refused"):
        await coordinator.loop("3").measure()


async def test_a_merged_group_goes_on_when_a_line_inside_trips() -> None:
    world, grid, clock = await planned_world(SINGLE, without=("1",))
    coordinator = new_coordinator(world, grid, clock)
    await coordinator.records.submit_all(grid.state())
    grid.set_loads({3: (51.6, 25.8)})
    await coordinator.round()
    assert "1_2" in coordinator.measured
    before = len(world.log)
    grid.set_outage((6, 9, 1), True)
    await coordinator.round()
    assert {"grid:1_2", "grid:2"} <= set(records_of(world, before))
    for _ in range(6):
        answers = await coordinator.round()
    assert coordinator.settled(answers)
    assert coordinator.measured == ("1", "2", "3")


async def test_a_trip_that_cuts_a_bus_off_changes_nothing() -> None:
    _, grid, _ = await planned_world(SINGLE)
    before = grid.case
    with pytest.raises(InputError):
        grid.set_outage((12, 13, 1), True)
    assert grid.case is before

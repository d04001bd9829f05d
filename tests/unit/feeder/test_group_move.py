"""A group moves to another channel: what is on the ledger after each step, cut short anywhere, VVC constant."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from gridledger.client.profile import ConnectionProfile
from gridledger.errors import TimeoutExceeded, UnavailableError
from gridledger.grid.layout import Layout
from gridledger.grid.records import Record
from services.feeder import group_move
from services.feeder.dvs_client import DvsClient
from services.feeder.group_move import carry_list, gather_lists
from tests.support.dvs_channel import full_list
from tests.support.dvs_grid import record
from tests.support.dvs_merge import FourGroups
from tests.support.dvs_world import Died, Life, World, dvs_client
from tests.support.feeder_world import GROUPS, planned_world
from tests.support.moving_groups import AFTER, BEFORE, process, write_profile
from tests.support.solved_grid import base_state, planner
from tests.support.waiting import until

STEPS = 6
"""Transactions of a move: twice record and list on the new channel, the old list, the main channel's record."""


@pytest.fixture
def profile(tmp_path: Path) -> ConnectionProfile:
    return write_profile(tmp_path / "connection.json", AFTER)


def record_of(group: str) -> Record:
    return planner("corrected").record(group, base_state())


def frames_on(world: World, channel: str) -> int:
    """How many frames a channel has taken."""
    return sum(entry[:2] == (channel, "ComputeVSI") for entry in world.log)


async def test_a_moved_group_takes_its_list_along(profile: ConnectionProfile) -> None:
    world, grid, clock = await planned_world(BEFORE)
    running = process(world, grid, clock, BEFORE)
    await running.coordinator.round()
    whole = world.left("2")["shard2"]
    moved = await running.mover.move("2", await running.on(profile, AFTER, "2"))
    assert (moved.group, moved.old, moved.new) == ("2", "shard2", "shard4")
    assert moved.vvc == pytest.approx(whole)
    assert world.left("2") == {"shard2": 0.0, "shard4": pytest.approx(whole)}
    assert [answer.outcome for answer in await running.coordinator.round()] == ["normal"] * 3
    assert (frames_on(world, "shard2"), frames_on(world, "shard4")) == (1, 1)
    assert world.main.stored("group/2")["aggregator_msps"] == ["FourMSP"]
    assert world.channels["shard4"].stored("group/2")["aggregator_msps"] == ["FourMSP"]


async def test_what_stands_moves_with_the_list() -> None:
    rule = {"v_max": 1.05, "margin": 0.02, "hold_s": 1, "dv_max": 0.02}
    world = FourGroups(False, release=rule)
    elsewhere = world.layout.placing({"2": "shard5"})
    world.channels["shard5"].call("InitialGrouping", record("2", release=rule))
    entry = {"bus": 6, "q_pu": 0.2, "weak": 3, "by": "1_2", "time": 5}
    own = world.channel_of("2")
    own.call("UpdateResources", {"group": "2", "vvc": {}, "standing": [entry]})
    moved = await carry_list("2", dvs_client(world), dvs_client(world, layout=elsewhere))
    assert moved["standing"] == [entry]
    assert own.call("GetResources", {"group": "2"})["standing"] == []


async def test_actions_are_counted_anew_on_the_new_channel(profile: ConnectionProfile) -> None:
    world, grid, clock = await planned_world(BEFORE)
    running = process(world, grid, clock, BEFORE)
    await running.coordinator.round()
    whole = world.left("2")["shard2"]
    grid.set_loads({30: (17.4, 13.4)})
    first = [answer for answer in await running.coordinator.round() if answer.group == "2"]
    assert first[0].control is not None
    await running.mover.move("2", await running.on(profile, AFTER, "2"))
    assert grid.applied("2") == 0
    grid.set_loads({30: (24.0, 18.0)})
    second = [answer for answer in await running.coordinator.round() if answer.group == "2"]
    assert second[0].control is not None
    assert (second[0].control["action"], grid.applied("2")) == (1, 1)
    injected = first[0].control["q_pu"] + second[0].control["q_pu"]
    assert sum(world.left("2").values()) + injected == pytest.approx(whole, abs=1e-9)


async def test_a_group_comes_back_to_where_it_was(profile: ConnectionProfile) -> None:
    world, grid, clock = await planned_world(BEFORE)
    running = process(world, grid, clock, BEFORE)
    whole = world.left("2")["shard2"]
    await running.mover.move("2", await running.on(profile, AFTER, "2"))
    await running.mover.move("2", await running.on(profile, BEFORE, "2"))
    assert world.left("2") == {"shard2": pytest.approx(whole), "shard4": 0.0}
    assert [answer.outcome for answer in await running.coordinator.round()] == ["normal"] * 3


@pytest.mark.parametrize(
    ("deaf", "start"),
    [(False, AFTER), (True, AFTER), (False, BEFORE)],
    ids=["", "before it learns of the commit", "started anew on the old channel"],
)
@pytest.mark.parametrize("step", range(STEPS + 1))
async def test_a_move_cut_short_is_mended_at_the_next_start(
    profile: ConnectionProfile, step: int, deaf: bool, start: Layout
) -> None:
    world, grid, clock = await planned_world(BEFORE)
    whole = world.left("2")["shard2"]
    life = Life(die_after=step, deaf=deaf)
    dying = process(world, grid, clock, BEFORE, life)
    with suppress(Died):
        await dying.mover.move("2", await dying.on(profile, AFTER, "2"))
    assert life.submitted == step
    assert max(world.left("2").values()) == pytest.approx(whole), "nothing is lost"
    running = process(world, grid, clock, start)
    await running.coordinator.records.submit_all(grid.state())
    await running.coordinator.recover()
    await gather_lists(GROUPS, running.dvs, profile, record_of)
    own = start.channel_of("2")
    left = world.left("2")
    assert left.pop(own) == pytest.approx(whole)
    assert not any(left.values())
    assert await gather_lists(GROUPS, running.dvs, profile, record_of) == []
    assert [answer.outcome for answer in await running.coordinator.round()] == ["normal"] * 3


async def test_a_list_of_another_case_does_not_end_the_start(profile: ConnectionProfile) -> None:
    """On the channel that the group has left, its record and its list are of buses that it has no more."""
    world, grid, clock = await planned_world(BEFORE)
    running = process(world, grid, clock, AFTER)
    await running.coordinator.records.submit_all(grid.state())
    other = record_of("3") | {"id": "2", "adjacent": ["1", "3"]}
    world.channels["shard2"].call("InitialGrouping", other)
    loads = planner("corrected").area("3").load_buses
    world.channels["shard2"].call("UpdateResources", {"group": "2", "vvc": full_list(loads)})
    await gather_lists(GROUPS, running.dvs, profile, record_of)
    assert world.channels["shard2"].vvc("2") == dict.fromkeys(map(str, planner("corrected").area("2").load_buses), 0.0)
    assert [answer.outcome for answer in await running.coordinator.round()] == ["normal"] * 3


@pytest.mark.parametrize("function", ["InitialGrouping", "UpdateResources"])
async def test_a_move_that_cannot_begin_changes_nothing(profile: ConnectionProfile, function: str) -> None:
    world, grid, clock = await planned_world(BEFORE)
    life = Life(faults={function: [UnavailableError("away") for _ in range(8)]})
    running = process(world, grid, clock, BEFORE, life)
    whole = world.left("2")["shard2"]
    with pytest.raises(UnavailableError):
        await running.mover.move("2", await running.on(profile, AFTER, "2"))
    assert world.left("2")["shard2"] == whole
    assert [answer.outcome for answer in await running.coordinator.round()] == ["normal"] * 3
    assert (frames_on(world, "shard2"), frames_on(world, "shard4")) == (1, 0)


@pytest.mark.timeout(20)
async def test_a_move_that_has_begun_only_goes_forward(profile: ConnectionProfile) -> None:
    """The old channel takes nothing for longer than an operation is repeated, and then loses its answer."""
    world, grid, clock = await planned_world(BEFORE)
    life = Life()
    running = process(world, grid, clock, BEFORE, life)
    whole = world.left("2")["shard2"]

    def away() -> None:
        if not life.faults and sum(world.left("2").values()) > whole * 1.5:
            life.faults["UpdateResources"] = [UnavailableError("away") for _ in range(20)]
            life.lost["UpdateResources"] = [UnavailableError("away")]

    world.on_commit = away
    await running.mover.move("2", await running.on(profile, AFTER, "2"))
    assert world.left("2") == {"shard2": 0.0, "shard4": pytest.approx(whole)}
    assert life.faults["UpdateResources"] == life.lost["UpdateResources"] == []
    assert running.told == ["group 2 waits between two channels, it is tried again: away"]


async def test_frames_on_their_way_end_before_the_list_moves(
    profile: ConnectionProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, grid, clock = await planned_world(BEFORE)
    running = process(world, grid, clock, BEFORE)
    answered = asyncio.Event()
    compute = DvsClient.compute_vsi

    async def slow(self: DvsClient, group: str, frame: object) -> object:
        await answered.wait()
        return await compute(self, group, frame)  # type: ignore[arg-type]

    monkeypatch.setattr(DvsClient, "compute_vsi", slow)

    async def frame() -> None:
        await running.coordinator.loop("2").measure()

    running.frames.add("2", asyncio.create_task(frame()))
    moving = asyncio.create_task(running.mover.move("2", await running.on(profile, AFTER, "2")))
    await until(lambda: running.coordinator.is_apart("2"))
    assert running.coordinator.measured == ("1", "3")
    assert "shard4" not in {channel for channel, left in world.left("2").items() if left}
    answered.set()
    async with asyncio.timeout(10):
        await moving
    functions = [entry[:2] for entry in world.log if entry[0] in ("shard2", "shard4")]
    assert functions.index(("shard2", "ComputeVSI")) < functions.index(("shard2", "UpdateResources"), 3)


async def test_a_group_whose_frames_do_not_end_stays(
    profile: ConnectionProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_move, "FRAMES_END_WITHIN_S", 0.01)
    world, grid, clock = await planned_world(BEFORE)
    running = process(world, grid, clock, BEFORE)
    for_ever = asyncio.Event()

    async def frame() -> None:
        await for_ever.wait()

    task = asyncio.create_task(frame())
    running.frames.add("2", task)
    with pytest.raises(TimeoutExceeded, match="frames of group 2 are on their way"):
        await running.mover.move("2", await running.on(profile, AFTER, "2"))
    assert running.coordinator.measured == ("1", "2", "3")
    for_ever.set()
    await task

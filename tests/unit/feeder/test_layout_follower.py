"""A stream follows the connection profile: groups move while the frames of the others go on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from gridledger.client import Status
from gridledger.client.profile import ConnectionProfile
from gridledger.errors import UnavailableError
from services.feeder.layout_follower import LayoutFollower, ProfileWatch
from services.feeder.open_loop import OpenLoopStream, StreamResult
from services.feeder.scenarios.shipped import scenario_for
from tests.support.dvs_world import Caller, Life, World, conflict
from tests.support.feeder_world import planned_world, scenario_runner
from tests.support.moving_groups import AFTER, BEFORE, EagerClock, Process, process, write_profile
from tests.support.solved_grid import base_state, planner, power_flow
from tests.support.waiting import until

RATE, SECONDS, FRAMES = 20.0, 1.0, 20


@dataclass
class Streamed:
    """A stream of one second during which group 2 is told to move, and what came of it."""

    world: World
    result: StreamResult
    told: list[str]

    @property
    def frames(self) -> list[str]:
        """The channel of each frame in the order of their commits."""
        return [channel for channel, function, _ in self.world.log if function == "ComputeVSI"]


async def stream(tmp_path: Path, scenario: str, move_at: tuple[str, str, int]) -> Streamed:
    """Stream; the profile changes when the ``move_at``-th payload with a member and value is committed."""
    file = tmp_path / "connection.json"
    profile = write_profile(file, BEFORE)
    world, told = World(BEFORE), list[str]()
    runner = scenario_runner(world)
    await runner.prepare()
    member, value, count = move_at
    begun = len(world.log)

    def look() -> None:
        nonlocal count
        payload = world.log[-1][2]
        if len(world.log) > begun and payload.get(member) == value:
            count -= 1
            if count == 0:
                write_profile(file, AFTER)

    world.on_commit = look
    made = scenario_for(scenario, planner("corrected"), power_flow(), base_state())
    follower = LayoutFollower(profile, ProfileWatch(tmp_path), clock=EagerClock(), tell=told.append)
    running = OpenLoopStream(runner, made.lasting(SECONDS, rate=RATE), tell=told.append, follower=follower)
    result = await running.run()
    world.layout = AFTER
    return Streamed(world, result, told)


def check_moved(streamed: Streamed) -> None:
    """Group 2 has moved once, VVC is constant, and no frame of it went to the old channel afterwards."""
    run = streamed.result.run
    assert [(moved.group, moved.old, moved.new) for moved in streamed.result.moves] == [("2", "shard2", "shard4")]
    assert streamed.world.left("2")["shard2"] == 0.0
    assert run.vvc_after + run.injected_pu == pytest.approx(run.vvc_before, abs=1e-9)
    assert streamed.world.owned() == pytest.approx(run.vvc_after)
    assert {"shard2", "shard4"} <= set(streamed.frames)
    assert "shard2" not in streamed.frames[streamed.frames.index("shard4") :]
    assert streamed.result.total.faults == {}


async def test_frames_of_other_groups_go_on_while_one_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list is taken from the old channel once the other groups have had three frames more each."""
    commit = Caller.submit

    async def submit(self: Caller, channel: str, function: str, argument: Mapping[str, Any]) -> tuple[Any, Status]:
        if (channel, function, argument.get("vvc")) == ("shard2", "UpdateResources", {}):
            begun = len(self._world.log)
            await until(lambda: all(_frames_since(self._world, begun, name) >= 3 for name in ("shard1", "shard3")))
        return await commit(self, channel, function, argument)

    monkeypatch.setattr(Caller, "submit", submit)
    streamed = await stream(tmp_path, "base", ("group", "2", 4))
    check_moved(streamed)
    result = streamed.result
    assert {name: (result.tallies[name].sent, result.tallies[name].valid) for name in "13"} == dict.fromkeys(
        "13", (FRAMES, FRAMES)
    )
    missed = result.gaps.missed["2"]
    assert missed >= 2
    assert result.tallies["2"].sent == result.tallies["2"].valid == FRAMES - missed
    assert result.gaps.longest_s["2"] > 2 / RATE
    assert result.gaps.missed.keys() == {"2"}
    assert any(line.startswith("group 2 moved from shard2 to shard4 with") for line in streamed.told)


async def test_a_frame_that_conflicts_while_a_group_moves_is_superseded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Group 1 might have been in the merge that group 2 leaves."""
    commit, moving, conflicted = Caller.submit, asyncio.Event(), asyncio.Event()

    async def submit(self: Caller, channel: str, function: str, argument: Mapping[str, Any]) -> tuple[Any, Status]:
        if (channel, function, argument.get("vvc")) == ("shard2", "UpdateResources", {}):
            moving.set()
            async with asyncio.timeout(10):
                await conflicted.wait()
        if function == "ComputeVSI" and argument["group"] == "1" and moving.is_set() and not conflicted.is_set():
            conflicted.set()
            raise conflict()
        return await commit(self, channel, function, argument)

    monkeypatch.setattr(Caller, "submit", submit)
    streamed = await stream(tmp_path, "base", ("group", "2", 4))
    check_moved(streamed)
    assert {name: tally.superseded for name, tally in streamed.result.tallies.items()} == {"1": 1, "2": 0, "3": 0}


def _frames_since(world: World, begin: int, channel: str) -> int:
    return sum(entry[:2] == (channel, "ComputeVSI") for entry in world.log[begin:])


@pytest.mark.parametrize("move_at", [("group", "2", 4), ("outcome", "injected", 1)], ids=["before", "after"])
async def test_an_injection_takes_from_the_list_that_moved(tmp_path: Path, move_at: tuple[str, str, int]) -> None:
    streamed = await stream(tmp_path, "3", move_at)
    check_moved(streamed)
    assert [injection.bus for injection in streamed.result.run.injections] == [30]
    assert streamed.result.run.after.vsi[30] > streamed.result.run.threshold


async def test_a_group_leaves_its_merge_before_it_moves(tmp_path: Path) -> None:
    streamed = await stream(tmp_path, "starved", ("status", "open", 1))
    check_moved(streamed)
    functions = [(channel, function) for channel, function, _ in streamed.world.log]
    lent = functions.index(("shard2", "Lend"))
    assert functions.index(("shard2", "Restore"), lent) < functions.index(("shard2", "UpdateResources"), lent)
    assert streamed.result.run.after.vsi[3] > streamed.result.run.threshold
    assert streamed.world.unclosed_merges() == {}


async def test_a_defect_while_following_is_not_kept_quiet(tmp_path: Path) -> None:
    class Defect(ProfileWatch):
        def changed(self) -> ConnectionProfile | None:
            raise ZeroDivisionError

    profile = write_profile(tmp_path / "connection.json", BEFORE)
    runner = scenario_runner(World(BEFORE))
    await runner.prepare()
    made = scenario_for("base", planner("corrected"), power_flow(), base_state())
    follower = LayoutFollower(profile, Defect(tmp_path), clock=EagerClock(), tell=lambda _line: None)
    with pytest.raises(ZeroDivisionError):
        await OpenLoopStream(runner, made.lasting(0.2, rate=RATE), tell=lambda _line: None, follower=follower).run()


async def following(tmp_path: Path, life: Life | None = None) -> tuple[World, Process, LayoutFollower]:
    """A process on the layout of before, and its follower, which tells the same."""
    profile = write_profile(tmp_path / "connection.json", BEFORE)
    world, grid, clock = await planned_world(BEFORE)
    running = process(world, grid, clock, BEFORE, life)
    watch = ProfileWatch(tmp_path / "connection.json")
    return world, running, LayoutFollower(profile, watch, clock=clock, tell=running.told.append)


def test_a_profile_is_read_once_each_time_it_is_written(tmp_path: Path) -> None:
    file = tmp_path / "connection.json"
    write_profile(file, BEFORE)
    watch = ProfileWatch(tmp_path)
    assert watch.changed() is None
    profile = write_profile(file, AFTER)
    assert watch.changed() == profile
    assert watch.changed() is None
    file.unlink()
    assert watch.changed() is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "the connection profile changed and is not followed: the connection profile"),
        ("shard9", "names channels that it does not have: shard9"),
        ("main", "main of applications.dvs is shard1, not mainchain: start the feeder anew for that"),
    ],
)
async def test_a_profile_that_cannot_be_used_is_told_once(tmp_path: Path, text: str, said: str) -> None:
    world, running, follower = await following(tmp_path)
    file = tmp_path / "connection.json"
    if text == "shard9":
        write_profile(file, BEFORE.placing({"2": "shard9"}))
    elif text == "main":
        write_profile(file, replace(AFTER, main="shard1"))
    else:
        file.write_text(text, encoding="utf-8")
    for _ in range(3):
        await follower.look(running.mover)
    assert len(running.told) == 1
    assert said in running.told[0]
    assert (await running.coordinator.round())[1].outcome == "normal"
    assert world.left("2").keys() == {"shard2"}
    write_profile(file, AFTER)
    await follower.look(running.mover)
    assert [moved.new for moved in follower.moves] == ["shard4"]


async def test_a_move_that_cannot_begin_is_tried_again(tmp_path: Path) -> None:
    life = Life(faults={"InitialGrouping": [UnavailableError("away") for _ in range(2 * 8)]})
    _, running, follower = await following(tmp_path, life)
    write_profile(tmp_path / "connection.json", AFTER)
    for _ in range(3):
        await follower.look(running.mover)
    assert running.told[0] == "group 2 cannot move to shard4 now and goes on, on shard2: away"
    assert len(running.told) == 2
    assert [moved.new for moved in follower.moves] == ["shard4"]


async def test_two_groups_move_one_after_the_other(tmp_path: Path) -> None:
    world, running, follower = await following(tmp_path)
    write_profile(tmp_path / "connection.json", AFTER.placing({"1": "shard3"}))
    await follower.look(running.mover)
    assert [(moved.group, moved.new) for moved in follower.moves] == [("1", "shard3"), ("2", "shard4")]
    assert [answer.outcome for answer in await running.coordinator.round()] == ["normal"] * 3
    assert (world.left("1")["shard1"], world.left("2")["shard2"]) == (0.0, 0.0)


async def test_peers_that_moved_are_reached_where_they_are_now(tmp_path: Path) -> None:
    life = Life(faults={"following": [UnavailableError("the CA is away")]})
    _, running, follower = await following(tmp_path, life)
    before, file = running.dvs.callers, tmp_path / "connection.json"
    write_profile(file, BEFORE, port=9999)
    for _ in range(3):
        await follower.look(running.mover)
    assert running.told == [
        "peers are reached as before, for now: the CA is away",
        "peers are reached as the changed connection profile says",
    ]
    after = running.dvs.callers
    assert after is not before
    assert (running.dvs.layout, follower.moves) == (BEFORE, [])
    write_profile(file, BEFORE.placing({"2": "shard2"}), port=9999)
    await follower.look(running.mover)
    assert running.dvs.callers is after

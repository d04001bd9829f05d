"""The replay, and what befalls the network while it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from gridledger.demonstration.steps import Steps
from gridledger.errors import UnavailableError
from gridledger.network.status import network_state, own_admins
from services.case.demonstration.stage import RealClock, Stage, until
from services.case.replay.player import Played, play
from services.case.replay.story import Story

KILLED: Final = "peer-kyiv"
"""The full node that dies: of its two sections two of three are left."""
KILLED_FROM, KILLED_TO = 0.15, 0.4
"""Shares of the replay."""
AWAY_FROM: Final = 0.45
"""From when on General is out of reach of the agents of anchors."""
_STARTED_WITHIN_S: Final = 180.0
AWAY_S: Final = 45.0
"""For how long: more than three intervals."""


@dataclass(frozen=True, slots=True)
class Outage:
    """When something was out of reach, microseconds since 1970."""

    what: str
    from_us: int
    to_us: int


@dataclass(frozen=True, slots=True)
class Replayed:
    """What was played, and the outages meanwhile."""

    played: Played
    outages: tuple[Outage, ...]


async def replay(story: Story, stage: Stage, steps: Steps) -> Replayed:
    """Play the story; meanwhile a full node is killed and started again, and General is out of reach for a while."""
    clock = RealClock()
    actors = await stage.actors(story.cast)
    agents = [spec.name for spec in stage.companions if spec.kind == "anchor"]
    length_s = story.pace.length_s

    async def kill_a_peer() -> Outage:
        await asyncio.sleep(KILLED_FROM * length_s)
        steps.console.say(f"  {KILLED} is killed (kill -9)")
        begun_us = clock.now_us()
        stage.processes.kill(KILLED)
        await asyncio.sleep((KILLED_TO - KILLED_FROM) * length_s)
        await started(stage, KILLED)
        steps.console.say(f"  {KILLED} is back")
        return Outage(KILLED, begun_us, clock.now_us())

    async def take_general_away() -> Outage:
        await asyncio.sleep(AWAY_FROM * length_s)
        steps.console.say("  the agents of anchors are cut off from General")
        begun_us = clock.now_us()
        for agent in agents:
            stage.processes.cut_off(agent)
        await asyncio.sleep(AWAY_S)
        for agent in agents:
            stage.processes.connect(agent)
        steps.console.say("  General is within their reach again")
        return Outage("general", begun_us, clock.now_us())

    playing = asyncio.create_task(play(story, actors, clock))
    outages = [asyncio.create_task(each) for each in (kill_a_peer(), take_general_away())]
    try:
        # Not a group of tasks: an error of one of them is told as it is.
        await asyncio.gather(playing, *outages)
    finally:
        for task in (playing, *outages):
            task.cancel()
        await asyncio.gather(playing, *outages, return_exceptions=True)
    return Replayed(playing.result(), tuple(each.result() for each in outages))


async def started(stage: Stage, name: str) -> None:
    """Start a process again; on a machine that is busy it may take more than the supervisor waits for."""

    async def is_up() -> bool:
        return name not in (await network_state(stage.profile, own_admins(stage.profile))).down

    with suppress(UnavailableError):
        await stage.processes.start(name)
    await until(is_up, f"{name} starts again", _STARTED_WITHIN_S)


def expect_played(replayed: Replayed, story: Story, steps: Steps) -> None:
    """What must hold of the replay."""
    played = replayed.played
    steps.expect(
        f"all {len(story.happenings)} happenings of the week were played",
        played.happenings == len(story.happenings) and not played.failed,
        _first(played.failed) or f"{played.events} events of devices, at most {played.most_behind_s:.1f} s behind",
    )


def _first(failures: Sequence[str]) -> str:
    return f"{len(failures)} failures, the first: {failures[0]}" if failures else ""

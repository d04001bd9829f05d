"""The player: what it submits and tells, in which order, and what it does when somebody does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gridledger.errors import InputError, UnavailableError
from services.case.replay import player
from services.case.replay.player import Actors, Played, play
from services.case.replay.story import Cast, Denial, Login, Logout, Order, Pace, Said, Story, Truth
from services.case.replay.ukraine2015 import SLOW, story

BEGIN_US = 1_000_000_000


class _Clock:
    """A time that goes where it is waited for, after everybody had their turn."""

    def __init__(self) -> None:
        self._now_us = BEGIN_US

    def now_us(self) -> int:
        return self._now_us

    async def sleep_until(self, time_us: int) -> None:
        for _ in range(30):
            await asyncio.sleep(0)
        self._now_us = max(self._now_us, time_us)


@dataclass
class _World:
    clock: _Clock = field(default_factory=_Clock)
    calls: list[tuple[int, str, str]] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)
    requests: list[int] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    unavailable: int = 0

    async def _call(self, function: str, about: str) -> None:
        self.calls.append((self.clock.now_us(), function, about))
        await asyncio.sleep(0)
        if about in self.refused:
            raise InputError(f"{about} is refused")

    async def open_session(self, session: str, operator: str, terminal: str, section: str, reason: str) -> None:
        await self._call("open", session)

    async def close_session(self, session: str, reason: str | None = None) -> None:
        await self._call("close", session)

    async def command(self, session: str, device: str, command: str, value: str | None = None) -> None:
        await self._call(command, device)

    async def deny(self, operator: str, terminal: str, why: str) -> None:
        await self._call("deny", operator)

    async def tell(self, events: Sequence[dict[str, Any]]) -> None:
        if self.unavailable:
            self.unavailable -= 1
            raise UnavailableError("away")
        if events[0]["device"] in self.refused:
            raise InputError("no such device")
        self.requests.append(len(events))
        self.told += events


def _small(*happenings: Any) -> Story:
    truth = Truth((), (), frozenset(), frozenset(), frozenset())
    return Story(1, 100.0, Cast({"ivan": "Lviv"}, {}), happenings, truth, Pace(((0.0, 0.0), (100.0, 10.0))))


def _play(told: Story, world: _World) -> Played:
    operators = dict.fromkeys(told.cast.operators, world)
    devices = {getattr(each, "device", "d-1") for each in told.happenings}
    actors = Actors(
        operators, {"ln-1": world.tell}, dict.fromkeys(devices, "ln-1"), dict.fromkeys(("Lviv", "Kyiv"), world)
    )
    return asyncio.run(play(told, actors, world.clock))


LOGIN = Login(10.0, "s-1", "ivan", "t-1", "section-home", "shift")


def test_each_thing_happens_at_its_time() -> None:
    world = _World()
    order = Order(20.0, "s-1", "b-1", "open", obeyed=True)
    played = _play(_small(LOGIN, order, Denial(30.0, "Lviv", "ivan", "t-1", "no"), Logout(40.0, "s-1")), world)
    assert [call[1:] for call in world.calls] == [("open", "s-1"), ("open", "b-1"), ("deny", "ivan"), ("close", "s-1")]
    assert [call[0] - BEGIN_US for call in world.calls] == [1_000_000, 2_000_000, 3_000_000, 4_000_000]
    assert [(each["device"], each["kind"]) for each in world.told] == [("b-1", "command")]
    assert world.told[0]["body"] == {"command": "open", "session": "s-1"}
    assert played.failed == []
    assert played.happenings == 4
    assert played.events == 1


def test_devices_tell_the_storys_times_and_a_wrong_clock_its_own() -> None:
    world = _World()
    _play(_small(Said(50.0, "d-1", "health", {"a": 1}), Said(60.0, "d-1", "health", ahead_s=6.0)), world)
    assert [each["time_us"] - BEGIN_US for each in world.told] == [5_000_000, 12_000_000]


def test_what_a_light_node_did_not_take_is_told_again_in_order(monkeypatch: Any) -> None:
    monkeypatch.setattr(player, "_AGAIN_S", 0.0)
    world = _World(unavailable=3)
    played = _play(_small(*(Said(float(number), "d-1", "health", {"n": number}) for number in range(5))), world)
    assert [each["body"]["n"] for each in world.told] == [0, 1, 2, 3, 4]
    assert played.failed == []


def test_events_that_come_together_are_told_together_within_the_bound() -> None:
    world = _World()
    _play(_small(*(Said(10.0 + number / 1e9, "d-1", "health", {"n": number}) for number in range(150))), world)
    assert max(world.requests) <= 64
    assert sum(world.requests) == 150


def test_a_failure_is_told_and_the_story_goes_on() -> None:
    world = _World(refused={"b-1", "bad"})
    order = Order(20.0, "s-1", "b-1", "open", obeyed=True)
    rest = (Said(30.0, "bad", "health"), Said(50.0, "d-1", "health"), Logout(60.0, "s-1"))
    played = _play(_small(LOGIN, order, *rest), world)
    assert played.failed == ["open of b-1: b-1 is refused", "1 events from bad on: no such device"]
    assert world.calls[-1][1:] == ("close", "s-1")
    assert [each["device"] for each in world.told] == ["d-1"]


def test_a_session_that_could_not_be_opened_commands_nothing() -> None:
    world = _World(refused={"s-1"})
    played = _play(_small(LOGIN, Order(20.0, "s-1", "b-1", "open"), Logout(30.0, "s-1")), world)
    assert [call[1] for call in world.calls] == ["open"]
    assert played.failed == ["the opening of s-1: s-1 is refused"]


def test_the_whole_week_is_played() -> None:
    world = _World()
    told = story(2015, quantity=0.3)
    operators = dict.fromkeys(told.cast.operators, world)
    reporters = dict.fromkeys(set(told.cast.operators.values()), world)
    actors = Actors(operators, {"ln-1": world.tell}, dict.fromkeys(told.cast.devices, "ln-1"), reporters)
    played = asyncio.run(play(told, actors, world.clock))
    assert played.failed == []
    obeyed = sum(isinstance(each, Order) and each.obeyed for each in told.happenings)
    assert played.events == obeyed + sum(isinstance(each, Said) for each in told.happenings)
    attack = [BEGIN_US + told.pace.replay_s(at_s) * 1e6 for at_s in SLOW]
    calls = [call for call in world.calls if attack[0] <= call[0] <= attack[1]]
    assert [about for _, function, about in calls if function == "open" and "breaker" in about] == list(
        told.truth.openings
    )

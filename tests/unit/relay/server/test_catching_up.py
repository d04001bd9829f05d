"""Catching up: a capture that cannot be fetched, or of which the minute is not known, does not keep the others."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from gridledger.errors import GridLedgerError
from services.relay.readers import Delivered, Held, RelayAnswerBad, RelayUnreachable
from services.relay.server.catching_up import CatchUp
from services.relay.server.progress import Progress
from services.relay.server.taken import MinuteUnknown, Taken


class Relay:
    """A relay that lists ``count`` captures; it gives none of ``away`` after ``answer_s``, and refuses ``bad``."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.away: set[str] = set()
        self.bad: set[str] = set()
        self.changed: set[str] = set()
        self.asked: list[str] = []
        self.answer_s = 0.0
        self.now = 0.0

    async def latest(self, after: str | None, wait_s: float) -> Delivered | None:
        raise NotImplementedError

    async def held(self) -> list[Held]:
        return [Held(f"{n}", f"{n:063d}{int(f'{n}' in self.changed)}", n, (n + 1) * 60) for n in range(self.count)]

    async def fetch(self, name: str) -> Delivered:
        self.asked.append(name)
        self.now += self.answer_s
        if name in self.away:
            raise RelayUnreachable("it gave no whole answer")
        if name in self.bad:
            raise RelayAnswerBad("HTTP status 404")
        return Delivered(name, name, f"{int(name):063d}{int(name in self.changed)}", "", None, 7)

    async def close(self) -> None:
        raise NotImplementedError


class Ledger:
    async def get_gaps(self, relay: str, first: int, end: int, *, bookmark: str | None = None) -> dict[str, Any]:
        return {"gaps": [[first, end]], "bookmark": None}


class Server:
    def __init__(self, relay: Relay, folder: Path) -> None:
        self.progress = Progress(folder / "progress.json", 1)
        self.told: list[tuple[int | None, int | None]] = []
        self.unknown: set[str] = set()
        self.catch_up = CatchUp("R", relay, Ledger(), self.progress, self._take, clock=lambda: relay.now)

    async def _take(self, delivered: Delivered, listed: int | None) -> Taken:
        self.told.append((listed, delivered.completed_us))
        if delivered.name in self.unknown:
            raise MinuteUnknown("time, line 1: twice", field="time", line=1)
        return Taken(int(delivered.name), delivered.text, delivered.sha256, "text", "", 1)

    async def round(self) -> list[int]:
        brought = []
        try:
            async for taken, _ in self.catch_up.missed():
                brought.append(taken.minute)
                self.progress.finish(taken.sha256, taken.minute)
        except GridLedgerError:
            pass
        return brought


async def test_one_that_hangs_keeps_no_other_back(tmp_path: Path) -> None:
    relay = Relay(8)
    relay.away = {"3"}
    server = Server(relay, tmp_path)
    assert await server.round() == [0, 1, 2, 4, 5, 6, 7]


async def test_several_that_hang_are_stepped_over_and_tried_later(tmp_path: Path) -> None:
    relay = Relay(8)
    relay.away = {"2", "3", "4"}
    server = Server(relay, tmp_path)
    brought = [await server.round() for _ in range(6)]
    assert brought[0] == [0, 1]
    assert sorted(minute for minutes in brought for minute in minutes) == [0, 1, 5, 6, 7]
    relay.asked.clear()
    assert await server.round() == []
    assert relay.asked == []
    relay.away.clear()
    relay.now += 3601
    assert await server.round() == [2, 3, 4]


async def test_one_that_is_stepped_over_is_asked_for_when_it_changes(tmp_path: Path) -> None:
    relay = Relay(4)
    relay.bad = {"2"}
    server = Server(relay, tmp_path)
    for _ in range(4):
        await server.round()
    assert relay.asked.count("2") == 3
    relay.changed, relay.bad = {"2"}, set()
    assert await server.round() == [2]


async def test_what_a_slow_relay_gives_is_brought_as_it_comes(tmp_path: Path) -> None:
    relay = Relay(20)
    relay.answer_s = 2.0
    server = Server(relay, tmp_path)
    fetched = []
    async for taken, _ in server.catch_up.missed():
        fetched.append(len(relay.asked))
        server.progress.finish(taken.sha256, taken.minute)
    assert fetched[0] == 3
    assert len(fetched) == 20


async def test_what_the_list_tells_of_a_capture_is_passed_on(tmp_path: Path) -> None:
    server = Server(Relay(2), tmp_path)
    await server.round()
    assert server.told == [(0, 60), (1, 120)]


async def test_an_unknown_minute_waits_and_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    server = Server(Relay(3), tmp_path)
    server.unknown = {"1"}
    assert await server.round() == [0, 2]
    assert await server.round() == []
    assert [record.message for record in caplog.records] == [
        "the minute of a capture is not known: it waits with the relay"
    ]
    server.unknown.clear()
    assert await server.round() == [1]

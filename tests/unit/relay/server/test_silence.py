"""A silent relay is reported although one server makes captures up, and not while others hear the relay."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from gridledger.errors import GridLedgerError
from gridledger.field.capture import text_hash
from services.relay.ledger import RelayLedger
from services.relay.server.silence import Silence
from tests.simulation.virtual_loop import run
from tests.support.relay_world import FIRST_MINUTE, RELAY, World, mspid_of, now_us, text_of

LIAR = "5007"


async def makes_captures_up(ledger: RelayLedger) -> None:
    """Record the running minute before its end, and end each silence that is reported."""
    while True:
        await asyncio.sleep(20)
        minute = now_us() // 60_000_000
        text = text_of(minute, 999)
        with suppress(GridLedgerError):
            await ledger.record_capture(RELAY, text, {"protocol": "text", "sha256": text_hash(text)}, minute)
        with suppress(GridLedgerError):
            await ledger.end_silence(RELAY, minute)


def test_one_lying_server_does_not_hide_a_dead_relay() -> None:
    async def main() -> None:
        world = World(1, 4)
        honest = [server for server in world.servers if server != LIAR]
        try:
            await world.begin()
            await world.kill(LIAR)
            liar = world.ledger_as("liar", {"relay.role": "server", "relay.server": LIAR}, mspid_of(LIAR))
            lying = asyncio.get_running_loop().create_task(makes_captures_up(liar))
            await asyncio.sleep(60 * 5.3)
            assert not world.state("silence/"), "the others hear the relay"
            world.relay.is_on = False
            await world.until(lambda: bool(world.state("silence/")), within_s=200)
            await asyncio.sleep(60 * 20)
            silences = list(world.state(f"silence/{RELAY}/").values())
            assert all(silence["server"] in honest for silence in silences)
            assert all(silence["ended_by"] in (LIAR, None) for silence in silences)
            assert len(silences) >= 4, "it is reported again when the liar has ended it"
            lying.cancel()
            await asyncio.sleep(60 * 5)
            assert world.state("silent/")
            world.relay.is_on = True
            await world.until(lambda: not world.state("silent/"), within_s=200)
        finally:
            await world.end()

    run(main)


class Ledger:
    """A relay of which other servers told ``voices``, by minute; ``confirmed`` are those with a verdict."""

    def __init__(self) -> None:
        self.voices: dict[int, int] = {}
        self.confirmed: set[int] = set()
        self.reported: list[int] = []
        self.is_open = False

    async def get_relay(self, relay: str) -> dict[str, Any]:
        return {"relay": relay, "silence": {"from": self.reported[-1]} if self.is_open else None}

    async def get_capture(self, relay: str, minute: int) -> dict[str, Any]:
        told = [{"server": f"other{n}", "sha256": f"{n}"} for n in range(1, self.voices[minute])]
        return {"relay": relay, "server": "winner", "sha256": "0", "attestations": told}

    async def list_captures(self, relay: str, first: int, end: int, **more: Any) -> dict[str, Any]:
        start = max(first, int(more["bookmark"] or 0))
        minutes = [minute for minute in sorted(self.voices) if start <= minute < end]
        items = [
            {"relay": relay, "minute": minute, "status": "confirmed" if minute in self.confirmed else "open"}
            for minute in minutes[: more["limit"]]
        ]
        return {"items": items, "bookmark": None if len(minutes) <= len(items) else str(minutes[len(items)])}

    async def report_silence(self, relay: str, minute: int, reason: str) -> dict[str, Any]:
        assert reason == "unreachable"
        self.reported.append(minute)
        self.is_open = True
        return {"relay": relay}

    async def end_silence(self, relay: str, minute: int) -> dict[str, Any]:
        raise AssertionError(relay, minute)


class Story:
    """A server that heard the minute :data:`FIRST_MINUTE` at second 0, and nothing since."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.now_s = 0.0
        record = {"relay": RELAY, "period_s": 60, "servers": [{"id": "5004"}]}
        self.silence = Silence(
            "5004", lambda: record, self.ledger, lambda: self.now_s, lambda: 0, period_s=60, pace_s=1
        )
        self.silence.heard(FIRST_MINUTE)
        self.silence.reason = "unreachable"

    async def look_at(self, minutes: float) -> list[int]:
        """Look so many minutes after the relay was heard; the minutes from which silences were reported."""
        self.now_s = minutes * 60
        await self.silence.look()
        return [minute - FIRST_MINUTE for minute in self.ledger.reported]


async def test_a_minute_that_one_server_alone_tells_is_not_heard() -> None:
    story = Story()
    story.ledger.voices = {FIRST_MINUTE + n: 1 for n in range(1, 1200)}
    assert await story.look_at(1.9) == []
    assert await story.look_at(2.1) == [1]


async def test_a_minute_of_two_voices_is_heard() -> None:
    story = Story()
    story.ledger.voices = {FIRST_MINUTE + 1: 2, FIRST_MINUTE + 2: 1}
    assert await story.look_at(2.1) == []
    assert await story.look_at(4.2) == [2]


async def test_a_confirmed_minute_is_heard_behind_others() -> None:
    story = Story()
    story.ledger.voices = {FIRST_MINUTE + n: 1 for n in range(1, 803)}
    story.ledger.confirmed = {FIRST_MINUTE + 800}
    story.ledger.voices[FIRST_MINUTE + 799] = 2
    assert await story.look_at(2.1) == []
    assert await story.look_at(4.2) == [801]


async def test_a_silence_that_another_ended_is_reported_again() -> None:
    story = Story()
    assert await story.look_at(2.1) == [1]
    assert await story.look_at(9) == [1], "it stands"
    story.ledger.is_open = False
    assert await story.look_at(10.9) == [1], "the relay may be back, and its capture not confirmed yet"
    assert await story.look_at(11.1) == [1, 12]

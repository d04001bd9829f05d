"""Filling a channel with captures, by many submissions at once."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

from gridledger.client import TransactionError
from gridledger.client.profile import ConnectionProfile
from gridledger.errors import BusyError, UnavailableError
from gridledger.field.capture import Capture, Reading, render_capture, text_hash
from gridledger.field.clock import offset_at
from services.relay.commands.reaching import gaps_of
from services.relay.ledger import RelayLedger, relay_ledger, server_identity

Tell = Callable[[str], None]

_AT_ONCE = 192
_ATTEMPTS = 8
_TELL_EVERY_S = 10.0
_S_PER_MINUTE = 60
_RANGES = ((109, 118),) * 3 + ((0, 50),) * 3 + ((59, 61), (0, 1), (0, 700), (0, 700))


def text_of(record: dict[str, Any], minute: int) -> str:
    """A capture of a UTC epoch minute, in the form and with the numbers of the article's relay; always the same."""
    generator = random.Random(minute)  # noqa: S311 - numbers to fill captures with
    offset = timedelta(minutes=offset_at(record["utc_offsets"], minute))
    begin = datetime.fromtimestamp(minute * _S_PER_MINUTE, UTC).replace(tzinfo=None) + offset
    readings = tuple(
        Reading(
            begin + timedelta(seconds=second),
            tuple(round(generator.uniform(low, high), 3) for low, high in _RANGES),
        )
        for second in range(0, _S_PER_MINUTE, record["reading_s"])
    )
    faults = float(generator.randint(0, 28))
    return render_capture(Capture(begin, record["name"], record["substation"], faults, readings))


async def fill(profile: ConnectionProfile, record: dict[str, Any], minutes: range, tell: Tell) -> int:
    """Record each of these minutes that the channel lacks, as the servers in turn; how many there were. It can be
    stopped and called again."""
    organisations = {peer.mspid: peer.organisation for peer in profile.peers.values()}
    async with AsyncExitStack() as stack:
        ledgers: list[RelayLedger] = []
        for server in record["servers"]:
            identity = await server_identity(profile, organisations[server["mspid"]], server["id"])
            ledgers.append(await stack.enter_async_context(relay_ledger(profile, identity)))
        gaps = [gap async for gap in gaps_of(ledgers[0], record["relay"], minutes.start, minutes.stop)]
        wanted = sum(behind - first for first, behind in gaps)
        progress = _Progress(wanted, tell)
        missing = iter([minute for gap in gaps for minute in range(*gap)])
        async with asyncio.TaskGroup() as tasks:
            for index in range(min(_AT_ONCE, wanted)):
                tasks.create_task(_record_all(ledgers[index % len(ledgers)], record, missing, progress))
    return wanted


async def _record_all(ledger: RelayLedger, record: dict[str, Any], minutes: Iterator[int], progress: _Progress) -> None:
    for minute in minutes:
        text = text_of(record, minute)
        await _record(ledger, record, text, minute)
        progress.one_more()


async def _record(ledger: RelayLedger, record: dict[str, Any], text: str, minute: int) -> None:
    """Record one capture; a network that is busy is asked again."""
    for attempt in range(_ATTEMPTS):
        try:
            await ledger.record_capture(
                record["relay"], text, {"protocol": record["protocol"], "sha256": text_hash(text)}, minute
            )
        except (BusyError, UnavailableError, TransactionError) as error:
            if "ALREADY_RECORDED" in error.message:
                return
            if attempt == _ATTEMPTS - 1:
                raise
            await asyncio.sleep(0.1 * 2**attempt)
        else:
            return


class _Progress:
    def __init__(self, wanted: int, tell: Tell) -> None:
        self._wanted, self._tell, self._done = wanted, tell, 0
        self._begun = self._told = time.monotonic()

    def one_more(self) -> None:
        self._done += 1
        now = time.monotonic()
        if now - self._told > _TELL_EVERY_S:
            self._told, rate = now, self._done / (now - self._begun)
            left_s = (self._wanted - self._done) / rate
            self._tell(f"{self._done:,} of {self._wanted:,} captures, {rate:.0f}/s, some {left_s:.0f} s left")

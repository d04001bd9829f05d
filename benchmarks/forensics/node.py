"""A light node in this process: its recorder, its journal, its lanes and its forwarder, without the HTTPS door.

Each event has a moment at which it is due, and one at which the node knows that it is VALID on its peer.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Final

from benchmarks.forensics.network import CHANNEL
from services.lightnode.aside import Aside
from services.lightnode.forwarder import Forwarder
from services.lightnode.journal import Journal
from services.lightnode.keys import Keys
from services.lightnode.lane import GATHERED, Lane
from services.lightnode.recorder.bodies import Bodies
from services.lightnode.recorder.marks import ON_CHAIN, Mark
from services.lightnode.recorder.recorder import Recorder
from services.lightnode.recorder.records import Entry, Record
from services.lightnode.sending import Section

RATE: Final = 1000.0
"""Transactions a second that the forwarder may send: more than the ledger takes here."""
_MAX_BODY_BYTES: Final = 1 << 30
_POLL_S: Final = 0.05


class _Recorder(Recorder):
    """Notes when each record is known to be on the ledger, and in how many transactions."""

    def __init__(self, folder: Path) -> None:
        self.valid_at: dict[int, float] = {}
        self.transactions: list[float] = []
        self._newest: str | None = None
        super().__init__(folder)

    def settle(self, mark: Mark) -> None:
        """As the recorder does."""
        super().settle(mark)
        if mark.kind == ON_CHAIN:
            now = time.monotonic()
            if mark.tx != self._newest:  # devices that share one settle it one after the other
                self.transactions.append(now)
            self._newest = mark.tx
            self.valid_at.update(dict.fromkeys(mark.numbers, now))


class Node:
    """Of these devices, whose keys are made here. Made by :func:`light_node`."""

    def __init__(
        self, folder: Path, section: Section, devices: Sequence[str], *, at_once: int, gathered: int = GATHERED
    ) -> None:
        self.devices = tuple(devices)
        self.keys = Keys(folder / "keys")
        self.due_at: dict[int, float] = {}
        self.recorder = _Recorder(folder)
        self._bodies = Bodies(folder / "bodies", _MAX_BODY_BYTES)
        aside = Aside(folder / "aside")
        self._lanes = [
            Lane(device, CHANNEL, section, self.recorder, keys=self.keys, aside=aside, gathered=gathered)
            for device in devices
        ]
        self.forwarder = Forwarder(self._lanes, Random(1), rate=RATE, at_once=at_once)  # noqa: S311 - of pauses only
        self.journal = Journal(self.recorder, self._bodies, lambda: time.time_ns() // 1000, self._told)

    def proof_keys(self) -> dict[str, str]:
        """What the section admits."""
        return {device: self.keys.key(device).public for device in self.devices}

    async def tell(self, entry: Entry, due_at: float) -> None:
        """Record an event that was due at a moment of ``time.monotonic``."""
        record = await self.journal.record(entry)
        self.due_at[record.number] = due_at

    async def drained(self, within_s: float) -> bool:
        """Wait until the ledger has all records; whether it has them in time."""
        until = time.monotonic() + within_s
        while self.recorder.waiting and time.monotonic() < until:  # noqa: ASYNC110 - the recorder is no loop's
            await asyncio.sleep(_POLL_S)
        return not self.recorder.waiting

    async def asked_all(self) -> None:
        """Wait until the section was asked for each device, as after a start."""
        while any(lane.state != "active" for lane in self._lanes):  # noqa: ASYNC110 - of many lanes
            await asyncio.sleep(_POLL_S)

    def _told(self, records: list[Record]) -> None:
        self.forwarder.has_news({record.entry.device for record in records})


@asynccontextmanager
async def forwarding(node: Node) -> AsyncIterator[None]:
    """Its journal and its forwarder, which run while the block lasts."""
    work = [asyncio.create_task(node.journal.run()), asyncio.create_task(node.forwarder.run())]
    try:
        yield
    finally:
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)


def own_cpu_s() -> float:
    """Processor seconds of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime

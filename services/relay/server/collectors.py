"""Follows the ledger's relays: for each one that is followed there is a collector."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from random import Random, SystemRandom
from typing import Any, Final, Protocol

from gridledger.backoff import Backoff
from gridledger.disk import SYSTEM_DISK, Disk
from gridledger.errors import GridLedgerError
from services.relay.readers import Reader
from services.relay.server.collector import Collector, CollectorLedger, CollectorOptions
from services.relay.server.following import Following
from services.relay.server.progress import Progress
from services.relay.server.spool import MAX_CAPTURES, Spool

LOOK_EVERY_S: Final = 5.0
"""How often a page of the ledger's relays is read."""
_FIRST_LOOKS_S: Final = 0.05
"""How far apart the pages of the first reading of the whole list are."""
_RESTART_S: Final = (1.0, 60.0)

_log = logging.getLogger(__name__)


class CollectorsLedger(CollectorLedger, Protocol):
    """What following the relays asks of the ledger."""

    async def list_relays(self, *, limit: int | None = None, bookmark: str | None = None) -> dict[str, Any]:
        """ListRelays."""


class Collectors:
    """The collectors of one server, by relay. ``open_reader`` gives the reader for a relay's record; ``operators`` are
    the MSPs whose relays are followed (default: ``mspid``); ``tell`` is told which relays those are."""

    def __init__(
        self,
        server: str,
        mspid: str,
        ledger: CollectorsLedger,
        open_reader: Callable[[dict[str, Any]], Reader],
        data: Path,
        *,
        operators: Iterable[str] | None = None,
        tell: Callable[[Collection[str]], None] = lambda _: None,
        options: CollectorOptions | None = None,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        random: Random | None = None,
        disk: Disk = SYSTEM_DISK,
        spool_captures: int = MAX_CAPTURES,
    ) -> None:
        self.server = server
        self.ledger_fault: str | None = None
        self._ledger = ledger
        self._open_reader = open_reader
        self._data = data
        self._options = options or CollectorOptions()
        self._now_us = now_us
        self._random = random or SystemRandom()
        self._disk = disk
        self._spool_captures = spool_captures
        trusted = (mspid,) if operators is None else operators
        self._following = Following(server, mspid, trusted, self._was_followed)
        self._tell = tell
        self._bookmark: str | None = None
        self._list_is_read = False
        self._running: dict[str, asyncio.Task[None]] = {}
        self._collectors: dict[str, Collector] = {}

    def __iter__(self) -> Iterator[Collector]:
        """Those that work now."""
        return iter(list(self._collectors.values()))

    def get(self, relay: str) -> Collector | None:
        """The collector of a relay, where one works."""
        return self._collectors.get(relay)

    @property
    def records(self) -> Mapping[str, dict[str, Any]]:
        """The records of the relays that are followed, by id."""
        return self._following.records

    @property
    def passed_over(self) -> list[dict[str, Any]]:
        """How many records name this server and are not followed: {operator, relays, why}."""
        return self._following.passed_over

    async def run(self) -> None:
        """Follow the relays until this is cancelled."""
        backoff = Backoff(0.5, LOOK_EVERY_S, self._random)
        try:
            while True:
                try:
                    await self._look()
                    self._ledger_answered()
                    backoff.succeeded()
                    pause_s = self._pause_s()
                except GridLedgerError as error:
                    self._ledger_failed(error)
                    pause_s = backoff.failed()
                await asyncio.sleep(pause_s)
        finally:
            await self._stop(list(self._running))

    def _ledger_failed(self, error: GridLedgerError) -> None:
        if self.ledger_fault is None:
            _log.warning("the ledger does not answer; waiting", extra={"code": error.code, "why": error.message})
        self.ledger_fault = error.message

    def _ledger_answered(self) -> None:
        if self.ledger_fault is not None:
            _log.info("the ledger answers")
        self.ledger_fault = None

    def _pause_s(self) -> float:
        if not self._list_is_read:
            return _FIRST_LOOKS_S
        return LOOK_EVERY_S if self.records else LOOK_EVERY_S / 5

    async def _look(self) -> None:
        """Read the next page of the ledger's relays, and follow what it tells. The list may be as long as it likes."""
        page = await self._ledger.list_relays(bookmark=self._bookmark)
        self._bookmark = page["bookmark"] or None
        before = dict(self.records)
        self._following.take(page["items"], is_last=self._bookmark is None)
        self._list_is_read = self._list_is_read or self._bookmark is None
        self._tell(self.records.keys())
        await self._follow(before)

    async def _follow(self, before: Mapping[str, Mapping[str, Any]]) -> None:
        changed = [relay for relay in self._running if _revision(before, relay) != _revision(self.records, relay)]
        await self._stop(changed)
        for relay in self.records.keys() - self._running.keys():
            _log.info("reading a relay", extra={"relay": relay, "address": self.records[relay]["address"]})
            self._running[relay] = asyncio.get_running_loop().create_task(self._keep_running(relay), name=relay)

    def _was_followed(self, relay: str) -> bool:
        return self._disk.exists(self._folder(relay) / "spool")

    def _folder(self, relay: str) -> Path:
        return self._data / "relays" / relay

    async def _stop(self, relays: list[str]) -> None:
        tasks = [self._running.pop(relay) for relay in relays]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep_running(self, relay: str) -> None:
        """Run a relay's collector; what ends it is told, and it is begun anew after a pause."""
        backoff = Backoff(*_RESTART_S, self._random)
        while True:
            try:
                await self._collect(self.records[relay])
            except* GridLedgerError as errors:
                message = "; ".join(str(error) for error in errors.exceptions)
                _log.error("a relay cannot be collected", extra={"relay": relay, "why": message})
            except* Exception:
                _log.exception("a relay's collector failed", extra={"relay": relay})
            await asyncio.sleep(backoff.failed())

    async def _collect(self, record: dict[str, Any]) -> None:
        relay = record["relay"]
        reader = self._open_reader(record)
        spool = None
        try:
            folder = self._folder(relay)
            spool = Spool.open(folder / "spool", disk=self._disk, max_captures=self._spool_captures)
            collector = Collector(
                self.server,
                record,
                reader,
                self._ledger,
                spool=spool,
                progress=Progress(folder / "progress.json", record["revision"], self._disk),
                options=self._options,
                now_us=self._now_us,
                random=self._random,
            )
            self._collectors[relay] = collector
            await collector.run()
        finally:
            self._collectors.pop(relay, None)
            if spool is not None:
                spool.close()
            await reader.close()


def _revision(records: Mapping[str, Mapping[str, Any]], relay: str) -> Any:
    record = records.get(relay)
    return None if record is None else record["revision"]

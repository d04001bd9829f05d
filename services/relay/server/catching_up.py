"""Catching up: what a relay still holds and this server has not dealt with, minutes that nobody has recorded first."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, Protocol

from gridledger.errors import GridLedgerError
from gridledger.field.capture import CaptureError
from services.relay.readers import Delivered, Held, Reader, RelayAnswerBad, RelayUnreachable
from services.relay.server.progress import Progress
from services.relay.server.taken import MinuteUnknown, Taken

Order = Literal["oldest", "newest"]
_AT_ONCE: Final = 500
"""So many captures are held in memory while they are sorted: those that nobody recorded, then those to attest."""
_BATCH_S: Final = 5.0
"""After so long what was fetched is brought to the ledger, however slowly the relay answers."""
_SILENT: Final = 2
"""So many captures in a row that nobody gets: the relay is away."""
_MAX_FAILURES: Final = 3
_STEP_OVER_S: Final = 3600.0
"""A capture that cannot be fetched is left alone for so long."""
_MAX_PAGES: Final = 100

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Failures:
    count: int
    at: float


class CatchUpLedger(Protocol):
    """What catching up asks of the ledger."""

    async def get_gaps(self, relay: str, first: int, end: int, *, bookmark: str | None = None) -> dict[str, Any]:
        """GetGaps."""


class CatchUp:
    """One relay's missed captures. ``take`` parses a delivery (:class:`CaptureError`), with the minute that it has by
    its place in the list. ``clock`` is monotonic, seconds."""

    def __init__(
        self,
        relay: str,
        reader: Reader,
        ledger: CatchUpLedger,
        progress: Progress,
        take: Callable[[Delivered, int | None], Awaitable[Taken]],
        *,
        order: Order = "oldest",
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._relay = relay
        self._reader = reader
        self._ledger = ledger
        self._progress = progress
        self._take = take
        self._order = order
        self._clock = clock or asyncio.get_running_loop().time
        self._failures: dict[Held, _Failures] = {}
        self._waiting: set[Held] = set()

    async def missed(self) -> AsyncIterator[tuple[Taken, bool]]:
        """Each missed capture, and whether nobody has recorded its minute.

        Whoever takes one says when it is dealt with, by :meth:`Progress.finish`. At the end the mark moves on.
        """
        held = await self._reader.held()
        self._failures = {item: self._failures[item] for item in held if item in self._failures}
        self._waiting &= set(held)
        left = [item for item in self._progress.left(held) if not self._is_stepped_over(item)]
        if left:
            _log.info("catching up", extra={"relay": self._relay, "captures": len(left)})
        if self._order == "newest":
            left.reverse()
        while left:
            fetched, trouble = await self._fetched(left)
            gaps = await self._gaps([taken.minute for taken in fetched])
            for wanted in (True, False):
                for taken in fetched:
                    if (taken.minute in gaps) is wanted:
                        yield taken, wanted
            self._progress.mark(held)
            if trouble is not None:
                raise trouble
        self._progress.mark(held)

    async def _fetched(self, left: list[Held]) -> tuple[list[Taken], RelayUnreachable | None]:
        """Fetch captures off the front of ``left``, for a while; and why the relay answers no more, if it does not.

        One that cannot be fetched does not keep the others: two in a row are taken for a relay that is away.
        """
        found: list[Taken] = []
        silent = 0
        end = self._clock() + _BATCH_S
        while left and len(found) < _AT_ONCE and self._clock() < end:
            item = left.pop(0)
            try:
                taken = await self._fetch(item)
            except RelayUnreachable as error:
                self._fail(item, error)
                silent += 1
                if silent == _SILENT:
                    return found, error
                continue
            silent = 0
            if taken is not None:
                found.append(taken)
        return found, None

    async def _fetch(self, item: Held) -> Taken | None:
        """A capture of the list; None where it cannot be had now, or is none, which is told. A relay that does not
        answer is raised."""
        try:
            delivered = await self._reader.fetch(item.name)
        except RelayAnswerBad as error:
            self._fail(item, error)
            return None
        self._failures.pop(item, None)
        if item.completed_us is not None:
            delivered = replace(delivered, completed_us=item.completed_us)
        try:
            return await self._take(delivered, item.minute)
        except MinuteUnknown as error:
            self._wait(item, error)
        except CaptureError as error:
            self._pass_over(item, error)
        return None

    def _fail(self, item: Held, error: GridLedgerError) -> None:
        """Count that a capture could not be fetched. The relay may have let go of it meanwhile."""
        count = self._failures[item].count + 1 if item in self._failures else 1
        self._failures[item] = _Failures(count, self._clock())
        if count <= _MAX_FAILURES:
            _log.warning(
                "a held capture cannot be read",
                extra={"relay": self._relay, "capture": item.name, "why": error.message, "failures": count},
            )

    def _is_stepped_over(self, item: Held) -> bool:
        """Whether a capture failed so often that it is left alone for a while; one that changes is another ``item``."""
        failures = self._failures.get(item)
        if failures is None or failures.count < _MAX_FAILURES:
            return False
        return self._clock() < failures.at + _STEP_OVER_S

    def _wait(self, item: Held, error: MinuteUnknown) -> None:
        """Leave a capture with the relay until something tells its minute."""
        if item not in self._waiting:
            _log.warning(
                "the minute of a capture is not known: it waits with the relay",
                extra={"relay": self._relay, "capture": item.name, "why": error.message},
            )
        self._waiting.add(item)

    def _pass_over(self, item: Held, error: CaptureError) -> None:
        _log.warning(
            "what the relay holds is no capture",
            extra={"relay": self._relay, "capture": item.name, "why": error.message},
        )
        if item.sha256 is not None:
            self._progress.finish(item.sha256, None)

    async def _gaps(self, minutes: Sequence[int]) -> set[int]:
        """Those of the minutes that nobody has recorded."""
        if not minutes:
            return set()
        wanted, gaps, bookmark = set(minutes), set(), None
        for _ in range(_MAX_PAGES):
            page = await self._ledger.get_gaps(self._relay, min(wanted), max(wanted) + 1, bookmark=bookmark)
            for first, end in page["gaps"]:
                gaps |= {minute for minute in wanted if first <= minute < end}
            bookmark = page["bookmark"]
            if not bookmark:
                break
        return gaps

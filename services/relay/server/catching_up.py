"""Catching up: what a relay still holds and this server has not dealt with, minutes that nobody has recorded first."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final, Literal, Protocol

from gridledger.field.capture import CaptureError
from services.relay.readers import Delivered, Held, Reader, RelayAnswerBad
from services.relay.server.progress import Progress
from services.relay.server.taken import Taken

Order = Literal["oldest", "newest"]
_AT_ONCE: Final = 500
"""So many captures are held in memory while they are sorted: those that nobody recorded, then those to attest."""
_MAX_PAGES: Final = 100

_log = logging.getLogger(__name__)


class CatchUpLedger(Protocol):
    """What catching up asks of the ledger."""

    async def get_gaps(self, relay: str, first: int, end: int, *, bookmark: str | None = None) -> dict[str, Any]:
        """GetGaps."""


class CatchUp:
    """One relay's missed captures. ``take`` parses a delivery (:class:`CaptureError`)."""

    def __init__(
        self,
        relay: str,
        reader: Reader,
        ledger: CatchUpLedger,
        progress: Progress,
        take: Callable[[Delivered], Taken],
        *,
        order: Order = "oldest",
    ) -> None:
        self._relay = relay
        self._reader = reader
        self._ledger = ledger
        self._progress = progress
        self._take = take
        self._order = order

    async def missed(self) -> AsyncIterator[tuple[Taken, bool]]:
        """Each missed capture, and whether nobody has recorded its minute.

        Whoever takes one says when it is dealt with, by :meth:`Progress.finish`. At the end the mark moves on.
        """
        held = await self._reader.held()
        left = self._progress.left(held)
        if left:
            _log.info("catching up", extra={"relay": self._relay, "captures": len(left)})
        if self._order == "newest":
            left.reverse()
        for start in range(0, len(left), _AT_ONCE):
            fetched = await self._fetched(left[start : start + _AT_ONCE])
            gaps = await self._gaps([taken.minute for taken in fetched])
            for wanted in (True, False):
                for taken in fetched:
                    if (taken.minute in gaps) is wanted:
                        yield taken, wanted
        self._progress.mark(held)

    async def _fetched(self, held: Sequence[Held]) -> list[Taken]:
        found = []
        for item in held:
            try:
                delivered = await self._reader.fetch(item.name)
                found.append(self._take(delivered))
            except CaptureError as error:
                self._pass_over(item, error)
            except RelayAnswerBad as error:
                # The relay may have let go of it meanwhile. It is asked again the next time.
                _log.warning("a held capture cannot be read", extra={"relay": self._relay, "why": error.message})
        return found

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

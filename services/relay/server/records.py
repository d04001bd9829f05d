"""The revisions of one relay's record, as far as this server needs them: what waited is judged by the one of its time.

A record may be replaced while captures wait in the spool or at the relay. What ended before is recorded, attested and
concluded under the revision of before, by the servers that it names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, Protocol

from gridledger.field.capture import CaptureError
from services.relay.readers import Delivered
from services.relay.server.taken import MinuteUnknown, Taken, take

MAX_BACK: Final = 20
"""So many revisions before the present one are looked at for a capture that does not fit it."""
SKEW_S: Final = 120
"""So long after a revision was replaced a period that ends is recorded under it, as the contract has it."""


class RecordsLedger(Protocol):
    """What it asks of the ledger."""

    async def get_relay(self, relay: str, revision: int | None = None) -> dict[str, Any]:
        """GetRelay."""


class Records:
    """The record of a relay that names ``server``, and its earlier revisions, each read once."""

    def __init__(self, server: str, record: Mapping[str, Any], ledger: RecordsLedger) -> None:
        self.present = record
        self._ledger = ledger
        self._server = next((item for item in record["servers"] if item["id"] == server), None)
        self._read: dict[int, Mapping[str, Any]] = {record["revision"]: record}

    async def of(self, revision: int) -> Mapping[str, Any]:
        """The record as a revision of it was, or is."""
        if revision not in self._read:
            self._read[revision] = await self._ledger.get_relay(self.present["relay"], revision)
        return self._read[revision]

    def names_us(self, record: Mapping[str, Any]) -> bool:
        """Whether a revision names this server, as the present one does."""
        return self._server in record["servers"]

    async def take(self, delivered: Delivered, listed: int | None = None) -> Taken:
        """Parse a capture of before: under the present record, else under the newest earlier revision that it fits.

        Raises :class:`CaptureError` of the present record where it fits none, and what the ledger raises.
        """
        try:
            taken = take(delivered, self.present, listed=listed)
        except MinuteUnknown:
            raise
        except CaptureError:
            earlier = await self._taken_earlier(delivered, listed)
            if earlier is None:
                raise
            return earlier
        if await self._is_of_another_period(taken):
            return await self._taken_earlier(delivered, listed) or taken
        return taken

    async def renewed(self, taken: Taken) -> Taken:
        """A capture that waited, under the revision that the ledger will record it under.

        That under which it was taken, unless this server did not hear in time that it was replaced: then the first
        later one that it fits.
        """
        present: int = self.present["revision"]
        for revision in (taken.revision, *range(max(taken.revision + 1, present - MAX_BACK), present + 1)):
            found = taken if revision == taken.revision else await self._again(taken, revision)
            if found is not None and (revision == present or await self._ended_in_time(found, revision)):
                return found
        return taken

    async def _again(self, taken: Taken, revision: int) -> Taken | None:
        record = await self.of(revision)
        delivered = Delivered("", taken.text, taken.sha256, taken.source_sha256, taken.minute, None)
        try:
            return replace(take(delivered, record), protocol=taken.protocol)
        except CaptureError:
            return None

    async def _is_of_another_period(self, taken: Taken) -> bool:
        """Whether a capture is from before this revision, when the relay's periods were of another length.

        A text of one minute may pass for one of two, of which a half is missing.
        """
        revision: int = self.present["revision"]
        if revision == 1 or taken.minute * 60 >= self.present["time_us"] // 1_000_000:
            return False
        before = await self.of(revision - 1)
        return bool(before["period_s"] != self.present["period_s"]) and await self._ended_in_time(taken, revision - 1)

    async def _taken_earlier(self, delivered: Delivered, listed: int | None) -> Taken | None:
        newest: int = self.present["revision"] - 1
        for revision in range(newest, max(0, newest - MAX_BACK), -1):
            record = await self.of(revision)
            if not self.names_us(record):
                continue
            try:
                taken = take(delivered, record, listed=listed)
            except MinuteUnknown:
                raise
            except CaptureError:
                continue
            if await self._ended_in_time(taken, revision):
                return taken
        return None

    async def _ended_in_time(self, taken: Taken, revision: int) -> bool:
        """Whether a period ended before a revision was replaced, or so soon after that the contract forgives it."""
        record, following = await self.of(revision), await self.of(revision + 1)
        return bool(taken.minute * 60 + record["period_s"] - following["time_us"] // 1_000_000 <= SKEW_S)

"""Bringing one capture to the ledger: record it, or read what another server recorded, compare, and attest."""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final, Literal, Protocol

from gridledger.client import CommitError
from gridledger.errors import GridLedgerError, UnavailableError
from services.relay import metrics
from services.relay.server.records import Records
from services.relay.server.taken import Taken

ALREADY_RECORDED: Final = "ALREADY_RECORDED"
REFUSED: Final = "CHAINCODE_REFUSED"
_CONFLICTS: Final = frozenset(("MVCC_READ_CONFLICT", "PHANTOM_READ_CONFLICT"))
_LOOKS, _LOOK_EVERY_S = 20, 0.25
"""How often, and how far apart, we look for a capture of which we were told, on a peer that may be behind."""
_SAMPLED_OF: Final = 10

Attest = Literal["none", "sample", "all"]

_log = logging.getLogger(__name__)


class RecordingLedger(Protocol):
    """What recording asks of the ledger."""

    async def record_capture(
        self,
        relay: str,
        text: str,
        source: Mapping[str, str],
        minute: int | None = None,
        revision: int | None = None,
    ) -> dict[str, Any]:
        """RecordCapture."""

    async def attest_capture(self, relay: str, minute: int, sha256: str, text: str | None = None) -> dict[str, Any]:
        """AttestCapture."""

    async def get_capture(self, relay: str, minute: int) -> dict[str, Any]:
        """GetCapture."""


class Result(Enum):
    """How a capture came to be on the ledger."""

    WON = "won"
    OURS = "recorded by this server before"
    ATTESTED = "attested"
    UNATTESTED = "recorded by another server, and not attested"
    NOT_OURS = "recorded under a revision of the relay's record that does not name this server"


class CaptureRefused(Exception):
    """The ledger refuses a capture, and has none of its minute."""

    def __init__(self, error: GridLedgerError) -> None:
        super().__init__(error.message)
        self.error = error


def is_refusal(error: GridLedgerError) -> bool:
    """Whether the contract said no: the same call will fail again, unless something changes."""
    return error.code == REFUSED


def is_conflict(error: GridLedgerError) -> bool:
    """Whether the transaction lost to a concurrent one."""
    return isinstance(error, CommitError) and error.code in _CONFLICTS


class Recorder:
    """Records one relay's captures as one server. Errors that are no outcome (nobody answers, too busy) come out."""

    def __init__(
        self,
        relay: str,
        server: str,
        ledger: RecordingLedger,
        records: Records,
        *,
        attest: Attest = "all",
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._relay = relay
        self._server = server
        self._ledger = ledger
        self._records = records
        self._attest = attest
        self._clock = clock or asyncio.get_running_loop().time

    async def record(self, taken: Taken) -> Result:
        """Record a capture, or attest it where another server was first. Raises :class:`CaptureRefused`."""
        began = self._clock()
        try:
            await self._ledger.record_capture(self._relay, taken.text, taken.source, taken.minute, taken.revision)
        except GridLedgerError as error:
            if not (is_refusal(error) or is_conflict(error)):
                raise
            return await self._after_loss(taken, error)
        took_s = self._clock() - began
        metrics.WON.labels(self._relay).inc()
        metrics.UPDATE_SECONDS.labels(self._relay).observe(took_s)
        self._tell("won", taken, update_ms=round(took_s * 1000, 1))
        return Result.WON

    async def attest_recorded(self, taken: Taken) -> Result | None:
        """Attest a capture of which the ledger may have the minute; None where it has none."""
        capture = await self._recorded(taken.minute)
        return None if capture is None else await self._speak(taken, capture)

    async def _after_loss(self, taken: Taken, error: GridLedgerError) -> Result:
        """Who was first? Our peer may not have that block yet, if others told us."""
        surely = is_conflict(error) or ALREADY_RECORDED in error.message
        for look in range(_LOOKS if surely else 1):
            if look:
                await asyncio.sleep(_LOOK_EVERY_S)
            capture = await self._recorded(taken.minute)
            if capture is not None:
                return await self._speak(taken, capture)
        if surely:
            raise UnavailableError(f"the ledger has a capture of minute {taken.minute}, and our peer does not show it")
        metrics.REFUSED.labels(self._relay).inc()
        raise CaptureRefused(error)

    async def _recorded(self, minute: int) -> dict[str, Any] | None:
        try:
            return await self._ledger.get_capture(self._relay, minute)
        except GridLedgerError as error:
            if is_refusal(error):
                return None
            raise

    async def _speak(self, taken: Taken, capture: dict[str, Any]) -> Result:
        """Say of a recorded capture whether it is what the relay told us."""
        same = capture["sha256"] == taken.sha256
        if capture["server"] == self._server:
            if not same:
                self._warn("the relay has told this server another text of a minute that it recorded", taken)
            return Result.OURS
        if self._has_spoken(capture):
            return Result.ATTESTED
        if not self._records.names_us(await self._records.of(capture["revision"])):
            return Result.NOT_OURS
        if not self._is_to_attest(taken.minute, same):
            metrics.LOST.labels(self._relay).inc()
            self._tell(f"lost to {capture['server']}, not attested", taken)
            return Result.UNATTESTED
        try:
            await self._ledger.attest_capture(self._relay, taken.minute, taken.sha256, None if same else taken.text)
        except GridLedgerError as error:
            if not (is_refusal(error) or is_conflict(error)):
                raise
            return await self._after_unheard(taken, error)
        metrics.LOST.labels(self._relay).inc()
        metrics.ATTESTED.labels(self._relay, "yes" if same else "no").inc()
        if same:
            self._tell(f"lost to {capture['server']}, attested", taken)
        else:
            self._warn(f"{capture['server']} recorded another text than the relay told this server", taken)
        return Result.ATTESTED

    async def _after_unheard(self, taken: Taken, error: GridLedgerError) -> Result:
        """An attestation was refused: we had spoken already, or it will not do."""
        capture = await self._recorded(taken.minute)
        if capture is not None and self._has_spoken(capture):
            return Result.ATTESTED
        if is_conflict(error):
            raise UnavailableError(f"our attestation of minute {taken.minute} lost to another transaction") from error
        raise CaptureRefused(error)

    def _has_spoken(self, capture: Mapping[str, Any]) -> bool:
        return any(item["server"] == self._server for item in capture["attestations"])

    def _is_to_attest(self, minute: int, same: bool) -> bool:
        """A text that differs is told unless nothing is; of the others a sample is each tenth, by chance of the id."""
        if self._attest == "sample":
            return not same or zlib.crc32(f"{self._server}/{self._relay}/{minute}".encode()) % _SAMPLED_OF == 0
        return self._attest == "all"

    def _tell(self, message: str, taken: Taken, **more: Any) -> None:
        _log.info(message, extra={"relay": self._relay, "minute": taken.minute, **more})

    def _warn(self, message: str, taken: Taken) -> None:
        _log.warning(message, extra={"relay": self._relay, "minute": taken.minute, "sha256": taken.sha256})

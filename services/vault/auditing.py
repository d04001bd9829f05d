"""Audits: the base asks holders for hashes that only one who has the whole share can give, and finds out who is wrong.

The dealer told the base the answers' commitments, sealed. An audit that failed, or that nobody answered, proves nothing
by itself: the base reads the share, and finds the dealer at fault where the share is the committed one and the
audit's commitment is not, the holder where the share is another.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from gridledger.client.application import Answer
from gridledger.errors import ConflictError, GridLedgerError
from gridledger.sharing import commitment
from services.vault.cutting import AuditSecret
from services.vault.reader import Reader
from services.vault.records import AUDIT, Manifest
from services.vault.session import Session, why
from services.vault.transport import PrivateKey

DEALER_AT_FAULT, HOLDER_AT_FAULT, HOLDER_AWAY = "dealer_at_fault", "holder_at_fault", "holder_away"
PASSED, FAILED, UNANSWERED = "passed", "failed", "unanswered"
_FIRST_POLL_S: Final = 0.1
_LONGEST_POLL_S: Final = 2.0
_US: Final = 1_000_000
_BEHIND_S: Final = 1.0
"""Waited beyond an audit's end, for clocks that differ."""


@dataclass(frozen=True, slots=True)
class Audited:
    """How an audit ended. ``outcome`` is None while it is open, or where there was none because the dealer is at fault
    before anybody could be asked; ``finding`` None where there is nothing to find or it is not known yet."""

    object: str
    version: int
    holder: str
    number: int
    outcome: str | None
    finding: str | None
    why: str = ""

    def to_dict(self) -> dict[str, Any]:
        """What commands print."""
        return {name: getattr(self, name) for name in self.__slots__}


class Auditor:
    """The base's audits. ``key`` is the one that dealers seal their audits' secrets to."""

    def __init__(
        self, session: Session, key: PrivateKey, *, now_us: Callable[[], int] = lambda: time.time_ns() // 1000
    ) -> None:
        self._session = session
        self._key = key
        self._now_us = now_us

    async def audit(self, name: str, holder: str, *, wait_s: float) -> Audited:
        """Spend one audit of a holder's share of the newest stored version; wait for the outcome up to ``wait_s``.

        Raises :class:`ConflictError` where no audits are left, and the contract's refusals.
        """
        ledger = self._session.ledger
        health = await ledger.get_health(name)
        told = await ledger.get_object(name, health["version"])
        number, left, series = _state_of(health, holder)
        if left <= 0:
            raise ConflictError(
                f"the audits of {holder} for {name} are spent; gridledger vault reshare brings new ones"
            )
        if series:
            raise ConflictError(f"the audits of {holder} for {name} were renewed by somebody who repaired it")
        manifest = Manifest.of(told)
        try:
            nonce, leaf, path = await asyncio.to_thread(self._asked, manifest, told, holder, number)
        except GridLedgerError as error:
            return Audited(name, manifest.version, holder, number, None, DEALER_AT_FAULT, why(error))
        await ledger.challenge(
            name,
            holder,
            number,
            nonce=nonce.hex(),
            commitment=leaf.hex(),
            path=[sibling.hex() for sibling in path],
            version=manifest.version,
        )
        return await self.conclude(name, manifest.version, holder, number, wait_s=wait_s)

    async def conclude(self, name: str, version: int, holder: str, number: int, *, wait_s: float) -> Audited:
        """Wait for an open audit's outcome up to ``wait_s``; close it where its time is over, and find who is wrong."""
        ledger, loop = self._session.ledger, asyncio.get_running_loop()
        deadline, pause = loop.time() + wait_s, _FIRST_POLL_S
        while True:
            audit = await ledger.get_audit(name, holder, number, version)
            over = self._now_us() > audit["until_us"] + _BEHIND_S * _US
            if audit["outcome"] is not None or over:
                return await self._ended(audit, over=over)
            if loop.time() + pause > deadline:
                return _audited(audit)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_POLL_S)

    async def find_again(self, name: str, version: int, holder: str, number: int) -> Audited:
        """Look again into an audit without finding: its holder may serve now."""
        return await self._ended(await self._session.ledger.get_audit(name, holder, number, version), over=True)

    async def open_audits(self, name: str, version: int, holder: str) -> list[int]:
        """The numbers of a holder's audits whose time is over and that nobody closed."""
        found = self._session.ledger.audits(name, holder, version)
        return [
            int(audit["number"])
            async for audit in found
            if audit["outcome"] is None and self._now_us() > audit["until_us"] + _BEHIND_S * _US
        ]

    async def _ended(self, audit: Answer, *, over: bool) -> Audited:
        if audit["outcome"] == PASSED or audit["finding"] is not None:
            return _audited(audit)
        finding, reason = await self._find(audit)
        name, holder, number, version = audit["object"], audit["holder"], audit["number"], audit["version"]
        if finding is not None or (over and audit["outcome"] is None):
            audit = await self._session.ledger.close_audit(name, holder, number, finding=finding, version=version)
        return _audited(audit, reason)

    async def _find(self, audit: Answer) -> tuple[str | None, str]:
        """Who is at fault, and why; None while the holder does not answer."""
        reader = Reader(self._session)
        grant = await reader.request(audit["object"], AUDIT, audit["version"])
        holder = next((each for each in grant.holders if each["holder"] == audit["holder"]), None)
        if holder is None:
            return None, f"{audit['holder']} is revoked, or has another id since"
        served = await reader.serve(grant, holder, PrivateKey.generate())
        if served.proof is not None or served.suspect:
            return HOLDER_AT_FAULT, served.why
        if served.share is None:
            return (HOLDER_AT_FAULT if served.damaged else None), served.why
        right = commitment.audit_commitment(bytes.fromhex(audit["nonce"]), served.share).hex() == audit["commitment"]
        if not right:
            return DEALER_AT_FAULT, "the share is the one that the dealer committed to, and the audit's answer is not"
        if audit["outcome"] == FAILED:
            return HOLDER_AT_FAULT, "it has the share and answered another hash"
        return HOLDER_AWAY, "it has the share, and did not answer in time"

    def _asked(self, manifest: Manifest, told: Answer, holder: str, number: int) -> tuple[bytes, bytes, list[bytes]]:
        secret = AuditSecret.open(
            self._key, str(told["audit_secret"]), self._session.channel, manifest, int(told["audits"])
        )
        commitments = list(secret.commitments[holder])
        committed = next(share["audit_root"] for share in told["shares"] if share["holder"] == holder)
        if commitment.audit_root(commitments).hex() != committed:
            raise ConflictError("the commitments that the dealer told the base do not lead to its audit_root")
        return secret.nonce(holder, number), commitments[number], commitment.audit_path(commitments, number)


def _state_of(health: Answer, holder: str) -> tuple[int, int, int]:
    """The number of the next audit of a holder, how many are left, and their series."""
    found = next((each for each in health["holders"] if each["holder"] == holder), None)
    if found is None:
        raise ConflictError(f"{holder} has no share of {health['object']}")
    audits = found["audits"]
    return int(audits["used"]), int(audits["left"]), int(audits["series"])


def _audited(audit: Answer, reason: str = "") -> Audited:
    return Audited(
        audit["object"],
        audit["version"],
        audit["holder"],
        audit["number"],
        audit["outcome"],
        audit["finding"],
        reason,
    )

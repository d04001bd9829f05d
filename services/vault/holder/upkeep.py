"""What a holder does without being asked: it acknowledges what no dealer does, answers audits, and deletes
what nobody needs any more.

Events only say where to look. What is done follows from what the holder's own peer answers, so an event that is missed
or comes twice does no harm: every share is looked at again from time to time.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from gridledger.errors import GridLedgerError, MalformedMessage, NotFoundError
from gridledger.protocol.fields import integer_of, text_of
from gridledger.sharing import commitment
from services.vault import metrics
from services.vault.holder.own import Own, is_refused
from services.vault.holder.store import Held, Key
from services.vault.records import Manifest

BETWEEN_SHARES_S: Final = 0.05
"""Waited after each share when all are looked at, so that the peer hardly notices."""

UNKNOWN_KEPT_S: Final = 7 * 24 * 3600.0
"""How long a share stays whose object the holder's peer does not know. A holder takes a share only once its peer knows
the object: where the peer does not, it was set up anew as a rule and is catching up, and the share is wanted."""

ACKNOWLEDGE_AFTER_S: Final = 60.0
"""How long the dealer may take to hand over what a holder signed, before the holder acknowledges by itself. A dealer
tries its slowest holder for 20 s as a rule, and its transaction for 20 s more; an object that too few have acknowledged
is called incomplete after 300 s."""

_log = logging.getLogger(__name__)


class Upkeep:
    """One holder's care for its shares."""

    def __init__(self, own: Own) -> None:
        self._own = own
        self._unknown_since_us: dict[Key, int] = {}

    async def look_over(self) -> None:
        """Look at every share once."""
        for key in sorted(self._own.store.held()):
            try:
                await self.look_at(key)
            except GridLedgerError as error:
                _log.warning("a share cannot be looked at: %s", error.message, extra=self._named(key))
            await asyncio.sleep(BETWEEN_SHARES_S)

    async def make_up(self) -> None:
        """Acknowledge what this holder has signed, and no dealer has handed over in time."""
        for key in sorted(self._own.signed_us):
            if self._is_the_dealers(key):
                continue
            try:
                await self.look_at(key)
            except GridLedgerError as error:
                _log.warning("a share cannot be acknowledged yet: %s", error.message, extra=self._named(key))
                if is_refused(error):  # as of a holder that was revoked; it is tried again when all are looked at
                    self.has_acknowledged(key)
            if self._own.store.get(key) is None:
                self.has_acknowledged(key)

    def has_acknowledged(self, key: Key) -> None:
        """Stop waiting for a dealer: the ledger has what this holder signed, or will not have it."""
        self._own.signed_us.pop(key, None)

    async def look_at_object(self, name: str, *, keep: int | None = None) -> None:
        """Look at this holder's shares of an object, but for version ``keep``, which is known to be wanted."""
        for key in sorted(key for key in self._own.store.held() if key[0] == name and key[1] != keep):
            await self.look_at(key)

    async def look_at(self, key: Key) -> None:
        """Delete a share that nobody needs any more, or have it acknowledged where it is not yet.

        An old version stays until a newer one is stored by as many holders as it must be: a dealer that dies between
        the two loses nothing.
        """
        own = self._own
        held = own.store.get(key)
        if held is None:
            return
        try:
            manifest = await own.manifest(key)
        except NotFoundError:
            await self._expire_unknown(key)
            return
        self._unknown_since_us.pop(key, None)
        expected = manifest.shares.get(own.name)
        if manifest.abandoned or manifest.stored > manifest.version:
            await self._delete(key, expired=manifest.abandoned)
        elif expected is None or expected.root != held.root:
            await asyncio.to_thread(lambda: own.store.delete(key, expired=True))
        else:
            await self._acknowledge(manifest, held)

    async def answer_audit(self, challenge: dict[str, Any]) -> None:
        """Answer a challenge: the SHA-256 of its nonce and the share, as the disk has it.

        Raises :class:`MalformedMessage` for an event of another form.
        """
        own = self._own
        key = (text_of(challenge, "object"), integer_of(challenge, "version", minimum=1))
        nonce, number = _nonce_of(challenge), integer_of(challenge, "number")
        share = await asyncio.to_thread(own.store.read, key)
        answer = await asyncio.to_thread(commitment.audit_answer, nonce, share)
        await own.ledger.audit_share(key[0], key[1], number, answer.hex())
        metrics.AUDITED.labels(own.name).inc()

    async def _expire_unknown(self, key: Key) -> None:
        now_us = self._own.now_us()
        if key not in self._unknown_since_us:
            _log.warning("the peer knows nothing of a share that is here", extra=self._named(key))
        if now_us - self._unknown_since_us.setdefault(key, now_us) < UNKNOWN_KEPT_S * 1_000_000:
            return
        _log.warning("the peer still knows nothing of a share: it is deleted", extra=self._named(key))
        await asyncio.to_thread(lambda: self._own.store.delete(key, expired=True))
        del self._unknown_since_us[key]

    def _is_the_dealers(self, key: Key) -> bool:
        """Whether it is still the dealer's turn to have a share acknowledged."""
        signed_us = self._own.signed_us.get(key)
        return signed_us is not None and self._own.now_us() - signed_us < ACKNOWLEDGE_AFTER_S * 1_000_000

    async def _acknowledge(self, manifest: Manifest, held: Held) -> None:
        own, key = self._own, (manifest.object, manifest.version)
        if self._is_the_dealers(key):
            return
        acks = (await own.ledger.get_acks(manifest.object, manifest.version))["acks"]
        if not any(ack["holder"] == own.name for ack in acks):
            await own.ledger.ack_share(manifest.object, manifest.version, held.root, own.store.log_head)
        self.has_acknowledged(key)

    async def _delete(self, key: Key, *, expired: bool) -> None:
        own = self._own
        log_head = await asyncio.to_thread(lambda: own.store.delete(key, expired=expired))
        metrics.DELETED.labels(own.name).inc()
        try:
            await own.ledger.ack_deleted(key[0], key[1], log_head)
        except GridLedgerError as error:
            if not is_refused(error):
                raise
            # Such as that of a holder that was revoked meanwhile: the share is gone all the same.
            _log.info("the deletion of a share was not taken by the ledger: %s", error.message, extra=self._named(key))

    def _named(self, key: Key) -> dict[str, object]:
        return {"holder": self._own.name, "object": key[0], "version": key[1]}


def _nonce_of(challenge: dict[str, Any]) -> bytes:
    try:
        return bytes.fromhex(text_of(challenge, "nonce"))
    except ValueError:
        raise MalformedMessage("'nonce' must be hexadecimal") from None

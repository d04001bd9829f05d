"""What a holder takes from dealers and serves to readers: nothing without a transaction on its own peer for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Any

from gridledger.errors import InputError, NotFoundError, PermissionDeniedError
from gridledger.identity.msp import Identity
from gridledger.sharing import commitment
from services.vault import metrics
from services.vault.attributes import BASE, ROLE
from services.vault.contributions import fragments_of
from services.vault.errors import NotGranted, WrongShare
from services.vault.holder.own import Own
from services.vault.holder.store import Key
from services.vault.records import REPAIR, Manifest, ShareRecord
from services.vault.transport import read_public_key, sealed_bytes
from services.vault.wire import (
    PUT,
    SERVED,
    Answer,
    ServeRequest,
    Signed,
    StoredAnswer,
    fragment_text,
    kept_text,
    served_text,
)

ReadBody = Callable[[int], Awaitable[bytes]]
"""Reads a request's body of at most so many bytes."""


class Serving:
    """One holder's taking and serving of shares."""

    def __init__(self, own: Own) -> None:
        self._own = own
        self._base: str | None = None

    async def take(self, caller: Identity, key: Key, read_body: ReadBody, *, signed: bool = False) -> StoredAnswer:
        """Take a share from its dealer; the answer comes once it is on the disk and acknowledged on the ledger. With
        ``signed`` it comes once it is on the disk: it has what this holder signs of it, and the dealer is to have the
        ledger know (:class:`~services.vault.holder.upkeep.Upkeep` sees to it where the dealer does not).

        A share whose manifest this holder's peer does not have in time is dropped. Raises :class:`WrongShare` for bytes
        that the ledger has no commitment of, :class:`HolderFull`, :class:`HolderRefuses`.
        """
        own = self._own
        manifest, _ = await asyncio.gather(own.manifest(key, wait=True), own.check_not_revoked())
        await self._check_sender(caller, manifest)
        expected = own.own_share(manifest)
        if manifest.abandoned or manifest.stored > manifest.version:
            raise NotFoundError(f"version {key[1]} of {key[0]} is abandoned, or a newer one took its place")
        share = await self._read_share(manifest, expected, read_body)
        log_head = await asyncio.to_thread(own.store.put, key, share, expected.root)
        said = None
        if signed:
            said = Signed.by(own.identity, kept_text(own.place(manifest), expected.root, log_head))
            own.signed_us[key] = own.now_us()
        else:
            await own.ledger.ack_share(key[0], key[1], expected.root, log_head)
        metrics.TAKEN.labels(own.name).inc()
        return StoredAnswer(expected.root, log_head, signed=said)

    async def serve(self, caller: Identity, key: Key, request: ServeRequest) -> Answer:
        """The share, sealed to the reader's key and signed for; in a repair what may be told in one."""
        own = self._own
        reader_key = read_public_key(request.kem_key)
        read, manifest, _ = await asyncio.gather(
            own.granted(caller, key, request.read), own.manifest(key), own.check_not_revoked()
        )
        expected = own.own_share(manifest)
        held = own.keep_in_memory(caller, 2 * expected.bytes)
        try:
            told, message = await asyncio.to_thread(self._told, caller, manifest, request.read, read.purpose)
            info = own.place(manifest).info(SERVED, request.read)
            sealed = await asyncio.to_thread(reader_key.seal, told, info)
        finally:
            held.hold(0)
        metrics.SERVED.labels(own.name, "repair" if read.purpose == REPAIR else "read").inc()
        return Answer(Signed.by(own.identity, message), sealed)

    async def is_base(self, caller: Identity) -> bool:
        """Whether the caller is the base: its role, of the MSP to which the ledger has bound the base for good."""
        if caller.attributes.get(ROLE) != BASE:
            return False
        if self._base is None:
            self._base = (await self._own.ledger.list_clusters(limit=1)).get("base")
        return self._base is not None and caller.mspid == self._base

    async def _check_sender(self, caller: Identity, manifest: Manifest) -> None:
        if manifest.dealer.is_caller(caller) or manifest.owner.is_caller(caller) or await self.is_base(caller):
            return
        raise PermissionDeniedError(
            f"shares of {manifest.object} come from who dealt them, with the certificate of that transaction, or from "
            "the base"
        )

    async def _read_share(self, manifest: Manifest, expected: ShareRecord, read_body: ReadBody) -> bytes:
        own = self._own
        size = sealed_bytes(own.key.kem, expected.bytes)
        body = await read_body(size)
        if len(body) != size:
            raise WrongShare(f"the message has {len(body)} bytes, and a sealed share of {own.name} has {size}")
        share, root = await asyncio.to_thread(self._open, body, own.place(manifest).info(PUT))
        if root != expected.root:
            raise WrongShare(
                f"root: the ledger has {expected.root} for {own.name}, what came has {root}: nothing was stored",
                field="root",
            )
        return share

    def _open(self, body: bytes, info: bytes) -> tuple[bytes, str]:
        share = self._own.key.open(body, info)
        return share, commitment.root(share).hex()

    def _told(self, caller: Identity, manifest: Manifest, read: str, purpose: str) -> tuple[bytes, dict[str, Any]]:
        """What is told, and the message that is signed with it. The root signed is that of the bytes told, whatever
        the disk has made of them: so a reader can prove what it got."""
        own = self._own
        share = own.store.read((manifest.object, manifest.version))
        place = own.place(manifest)
        if purpose == REPAIR and manifest.profile == "sealed":
            fragments = b"".join(fragments_of(manifest, share))
            return fragments, fragment_text(place, read, sha256(fragments).hexdigest())
        if purpose == REPAIR:
            self._check_repairs_by_reading(caller, manifest)
        root = commitment.root(share).hex()
        if root != manifest.shares[own.name].root:
            metrics.DAMAGED.labels(own.name).inc()
        return share, served_text(place, read, root)

    def _check_repairs_by_reading(self, caller: Identity, manifest: Manifest) -> None:
        if manifest.profile == "copies":
            return
        if manifest.profile == "shamir":
            raise InputError("shares of the profile shamir are repaired by contributions, and not told to anybody")
        if not manifest.owner.is_caller(caller):
            raise NotGranted(f"shares of the profile {manifest.profile} are repaired by who put the object, by reading")

"""What a holder does in repairs: it contributes to another's, and puts its own share together again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from hashlib import sha256

from gridledger.errors import ConflictError, GridLedgerError, InputError, NotFoundError
from gridledger.identity.msp import Identity
from gridledger.sharing import commitment, field
from gridledger.sharing.errors import SharingError
from services.vault import metrics
from services.vault.contributions import (
    add_up,
    contribution,
    count_elements,
    elements_of,
    put_together,
)
from services.vault.errors import HolderRefuses, NotGranted, RepairFailed, ShareDamaged
from services.vault.holder.own import Own, share_of
from services.vault.holder.store import Key
from services.vault.records import REPAIR, REVOKED, HolderRecord, Manifest
from services.vault.wire import (
    CONTRIBUTED,
    Answer,
    ContributeRequest,
    RebuildRequest,
    Signed,
    StoredAnswer,
    check_contribution,
    contribution_text,
)


class Mending:
    """One holder's part in repairs."""

    def __init__(self, own: Own) -> None:
        self._own = own

    async def contribute(self, caller: Identity, key: Key, request: ContributeRequest) -> Answer:
        """This holder's contribution to the repair of ``target``'s share, sealed to the target and signed.

        The masks hold only where the keys of the others are theirs: they are read from this holder's own peer, never
        from the request. Raises :class:`ShareDamaged` where this holder's own share is not what the ledger has.
        """
        own = self._own
        manifest = await self._granted(caller, key, request.read)
        others = [name for name in request.contributors if name != own.name]
        _check_contributors(manifest, request.contributors, request.target)
        if len(others) == len(request.contributors):
            raise InputError(f"{own.name} is not among the contributors")
        records = await self._active([own.name, request.target, *others])
        if records[own.name].kem_key != own.key.public:
            raise ConflictError(f"{own.name} registered another transport key than it has: its masks would not cancel")
        held = own.keep_in_memory(caller, 3 * own.own_share(manifest).bytes)
        try:
            return await asyncio.to_thread(self._contribution, manifest, request, records)
        finally:
            held.hold(0)

    async def rebuild(self, caller: Identity, key: Key, request: RebuildRequest) -> StoredAnswer:
        """Put this holder's share together of others' contributions and of the fragments, and keep it.

        Raises :class:`RepairFailed`, which names whom it can: a contribution that is not signed by the key on the
        ledger, does not open or has another form names its holder; a wrong value in one names nobody, because any of
        them may have told it.
        """
        own = self._own
        manifest = await self._granted(caller, key, request.read)
        _check_contributors(manifest, request.contributors, own.name)
        records = await self._active(request.contributors)
        held = own.keep_in_memory(caller, 2 * own.own_share(manifest).bytes)
        try:
            share = await asyncio.to_thread(self._rebuilt, manifest, request, records)
            root = own.own_share(manifest).root
            log_head = await asyncio.to_thread(lambda: own.store.put(key, share, root, rebuilt=True))
            commitments = await asyncio.to_thread(_commitments, request.nonces, share)
        finally:
            held.hold(0)
        metrics.REBUILT.labels(own.name).inc()
        await own.ledger.ack_share(key[0], key[1], root, log_head)
        return StoredAnswer(root, log_head, commitments)

    async def _granted(self, caller: Identity, key: Key, read: str) -> Manifest:
        own = self._own
        record, manifest, _ = await asyncio.gather(
            own.granted(caller, key, read), own.manifest(key), own.check_not_revoked()
        )
        if record.purpose != REPAIR:
            raise NotGranted(f"this read was granted for {record.purpose!r:.80}, and not for a repair")
        own.own_share(manifest)
        count_elements(manifest)
        return manifest

    async def _active(self, names: Sequence[str]) -> dict[str, HolderRecord]:
        """These holders as the ledger has them; refuses one that is revoked."""
        records = await asyncio.gather(*(self._own.holder(name) for name in names))
        for record in records:
            if record.state == REVOKED:
                raise HolderRefuses(f"{record.name} was revoked: it takes no part in a repair")
        return {record.name: record for record in records}

    def _contribution(
        self, manifest: Manifest, request: ContributeRequest, records: Mapping[str, HolderRecord]
    ) -> Answer:
        own = self._own
        share = own.store.read((manifest.object, manifest.version))
        if commitment.root(share).hex() != own.own_share(manifest).root:
            raise ShareDamaged(f"{own.name} has another share than the ledger: it has to be repaired itself")
        return self._told(share, manifest, request, records)

    def _told(
        self, share: bytes, manifest: Manifest, request: ContributeRequest, records: Mapping[str, HolderRecord]
    ) -> Answer:
        own = self._own
        mine, target = own.own_share(manifest), share_of(manifest, request.target)
        others = {
            share_of(manifest, name).id: records[name].kem_key for name in request.contributors if name != own.name
        }
        told = contribution(
            elements_of(manifest, share),
            mine.id,
            target.id,
            key=own.key,
            others=others,
            context=_context(own, manifest, request),
        )
        place = own.place(manifest)
        sealed = records[request.target].kem_key.seal(told, place.info(CONTRIBUTED, request.read, request.target))
        metrics.CONTRIBUTED.labels(own.name).inc()
        return Answer(Signed.by(own.identity, contribution_text(place, request, sealed)), sealed)

    def _rebuilt(self, manifest: Manifest, request: RebuildRequest, records: Mapping[str, HolderRecord]) -> bytes:
        own = self._own
        asked = ContributeRequest(request.read, own.name, request.contributors)
        told: list[list[int]] = []
        named: dict[str, str] = {}
        for name, answer in zip(request.contributors, request.contributions, strict=True):
            try:
                told.append(self._open(manifest, asked, records[name], answer))
            except GridLedgerError as error:
                named[name] = error.message
        if named:
            why = "; ".join(f"{name}: {message}" for name, message in named.items())
            raise RepairFailed(f"contributions that are wrong by themselves: {why}", named=sorted(named))
        return self._checked(manifest, request, add_up(told))

    def _open(self, manifest: Manifest, asked: ContributeRequest, record: HolderRecord, answer: Answer) -> list[int]:
        own = self._own
        place = own.place(manifest, record.name)
        record.check_signer(answer.signed.signer())
        check_contribution(answer, place, asked)
        elements = field.from_bytes(own.key.open(answer.sealed, place.info(CONTRIBUTED, asked.read, own.name)))
        if len(elements) != count_elements(manifest):
            raise InputError(f"{len(elements)} elements, and {count_elements(manifest)} are needed")
        return elements

    def _checked(self, manifest: Manifest, request: RebuildRequest, elements: Sequence[int]) -> bytes:
        """The share, once it is what the ledger has. The key's hash tells a wrong contribution from a wrong
        fragment."""
        mine = self._own.own_share(manifest)
        key_holds = mine.key_sha256 is None or sha256(field.to_bytes(elements)).hexdigest() == mine.key_sha256
        if key_holds:
            try:
                share = put_together(manifest, mine.id, elements, request.fragments)
            except (ConflictError, SharingError) as error:
                raise RepairFailed(f"the fragments are wrong: {error.message}", part="fragments") from None
            if commitment.root(share).hex() == mine.root:
                return share
            if mine.key_sha256 is not None:
                raise RepairFailed("the key share is right, and the fragments are not", part="fragments")
        raise RepairFailed(
            f"the contributions add up to another share than the ledger has: at least one of "
            f"{', '.join(request.contributors)} told a wrong value; ask another set of holders",
            unresolved=request.contributors,
            part="key",
        )


def _context(own: Own, manifest: Manifest, request: ContributeRequest) -> bytes:
    """All that a repair is about: masks of two repairs have nothing to do with each other."""
    parts = (own.channel, manifest.object, str(manifest.version), str(manifest.cycle), request.read, request.target)
    return "|".join((*parts, *request.contributors)).encode()


def _check_contributors(manifest: Manifest, contributors: Sequence[str], target: str) -> None:
    share_of(manifest, target)
    if target in contributors:
        raise InputError(f"{target} cannot contribute to its own repair")
    if len(contributors) != manifest.t:
        raise InputError(f"{manifest.t} holders contribute to a repair, not {len(contributors)}")
    for name in contributors:
        try:
            share_of(manifest, name)
        except NotFoundError as error:
            raise InputError(error.message) from None


def _commitments(nonces: Sequence[bytes], share: bytes) -> tuple[str, ...]:
    return tuple(commitment.audit_commitment(nonce, share).hex() for nonce in nonces)

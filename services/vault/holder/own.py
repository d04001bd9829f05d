"""What makes a process one certain holder, and what it asks of the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from gridledger.client.application import Answer
from gridledger.errors import GridLedgerError, NotFoundError
from gridledger.identity.msp import Identity
from gridledger.identity.signer import SigningIdentity
from gridledger.shares import HeldBytes, Pool
from services.vault.errors import HolderRefuses, NotGranted
from services.vault.holder.asking import Shared
from services.vault.holder.store import Key, Store
from services.vault.records import REVOKED, HolderRecord, Manifest, ReadRecord, ShareRecord
from services.vault.transport import PrivateKey
from services.vault.wire import Place

_REFUSED: Final = "CHAINCODE_REFUSED"
_FIRST_PAUSE_S: Final = 0.02
_LONGEST_PAUSE_S: Final = 0.25


class HolderLedger(Protocol):
    """The contract, as the holder's own identity calls it, through a peer of its own organisation."""

    async def get_object(self, name: str, version: int | None = None) -> Answer: ...
    async def get_holder(self, holder: str) -> Answer: ...
    async def get_read(self, name: str, read: str) -> Answer: ...
    async def get_acks(self, name: str, version: int | None = None) -> Answer: ...
    async def list_clusters(self, *, limit: int | None = None, bookmark: str | None = None) -> Answer: ...
    async def join(self, holder: str, cluster: str, x: str, kem_key: str, url: str) -> Answer: ...
    async def ack_share(self, name: str, version: int, root: str, log_head: str) -> Answer: ...
    async def ack_deleted(self, name: str, version: int, log_head: str) -> Answer: ...
    async def audit_share(self, name: str, version: int, number: int, answer: str) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Own:
    """One holder: its name, keys, files, and its way to the ledger.

    ``wait_s`` is how long a request waits for a transaction that this holder's peer does not have yet. ``work`` bounds
    the bytes of shares that requests keep in memory. ``manifests`` has the questions after manifests that holders of
    the same organisation in this process are asking. ``signed_us`` are the shares whose acknowledgement this process
    has signed, and when, until the ledger is seen to have it.
    """

    name: str
    channel: str
    identity: SigningIdentity
    key: PrivateKey
    store: Store
    ledger: HolderLedger
    work: Pool
    now_us: Callable[[], int]
    wait_s: float = 5.0
    manifests: Shared[Answer] = field(default_factory=Shared)
    signed_us: dict[Key, int] = field(default_factory=dict)

    def place(self, manifest: Manifest, holder: str | None = None) -> Place:
        """Where a share of a version lies, this holder's or another's."""
        return Place(self.channel, manifest.object, manifest.version, holder or self.name, manifest.cycle)

    async def manifest(self, key: Key, *, wait: bool = False) -> Manifest:
        """A version's manifest as the ledger has it; :class:`NotFoundError` where there is none, after ``wait_s``."""

        def ask() -> Awaitable[Answer]:
            return self.manifests.ask(key, lambda: self.ledger.get_object(*key))

        answer = await _known(ask, self.wait_s if wait else 0.0)
        return Manifest.of(answer)

    async def holder(self, name: str | None = None) -> HolderRecord:
        """A holder as the ledger has it, this one or another; :class:`NotFoundError` where there is none."""
        return HolderRecord.of(await _known(lambda: self.ledger.get_holder(name or self.name), 0.0))

    async def check_not_revoked(self) -> None:
        """:class:`HolderRefuses` where the ledger says that this holder is revoked, or does not know it."""
        try:
            record = await self.holder()
        except NotFoundError:
            raise HolderRefuses(f"{self.name} is no holder of this vault yet") from None
        if record.state == REVOKED:
            raise HolderRefuses(f"{self.name} was revoked: it takes and serves nothing")

    async def granted(self, caller: Identity, key: Key, read: str) -> ReadRecord:
        """The committed read under which ``caller`` asks; :class:`NotGranted` says why there is none that holds."""
        try:
            answer = await _known(lambda: self.ledger.get_read(key[0], read), self.wait_s)
        except NotFoundError:
            raise NotGranted(f"the ledger has no read {read:.80} of {key[0]}: request one first") from None
        record = ReadRecord.of(answer)
        if not record.reader.is_caller(caller):
            raise NotGranted("this read was granted to another certificate than the one of this connection")
        if (record.object, record.version) != key:
            raise NotGranted(f"this read was granted for version {record.version} of {record.object}")
        if self.now_us() > record.until_us:
            raise NotGranted("the time of this read is over: request another one")
        if not record.allowed:
            raise NotGranted(f"{self.name} may not serve this read: {record.why}")
        return record

    def keep_in_memory(self, caller: Identity, size: int) -> HeldBytes:
        """Count ``size`` bytes as the caller's until the answer's ``hold(0)``; :class:`BusyError` where there is no
        room for more."""
        held = HeldBytes(self.work, caller.signer)
        held.hold(size)
        return held

    def own_share(self, manifest: Manifest) -> ShareRecord:
        """This holder's entry of a manifest; :class:`NotFoundError` where it has none."""
        return share_of(manifest, self.name)


def share_of(manifest: Manifest, holder: str) -> ShareRecord:
    """A holder's entry of a manifest; :class:`NotFoundError` where it has none."""
    share = manifest.shares.get(holder)
    if share is None:
        raise NotFoundError(f"{holder} has no share of version {manifest.version} of {manifest.object}")
    return share


def is_refused(error: GridLedgerError) -> bool:
    """Whether the contract refused, so that the same call again would be refused too."""
    return error.code == _REFUSED


async def _known(ask: Callable[[], Awaitable[Answer]], wait_s: float) -> Answer:
    """The contract's answer. While it refuses, the transaction that is waited for may not have come to the peer."""
    loop = asyncio.get_running_loop()
    deadline, pause = loop.time() + wait_s, _FIRST_PAUSE_S
    while True:
        try:
            return await ask()
        except GridLedgerError as error:
            if not is_refused(error):
                raise
            if loop.time() + pause > deadline:
                raise NotFoundError(error.message) from None
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_S)

"""The dealer: data become shares, a manifest on the ledger, and a sealed message to each holder."""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar

from gridledger.errors import (
    BusyError,
    ConflictError,
    GridLedgerError,
    NoSpaceLeft,
    NotFoundError,
    TimeoutExceeded,
    UnavailableError,
)
from gridledger.protocol.fields import to_base64
from services.vault.attributes import ROLE
from services.vault.cutting import AUDITS, HEADS, CutObject, Plan, cut_object
from services.vault.errors import KemKeyBad, PutIncomplete
from services.vault.records import ACTIVE, HolderRecord
from services.vault.session import NO_BASE_KEY, Session, refused, why
from services.vault.transport import PublicKey, read_public_key
from services.vault.wire import PUT, Place, Signed, StoredAnswer, check_kept

_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 2.0
_STALE: Final = ("cycle:", "shares[", "t:", "n:", "head")
"""Fields that the contract refuses where a new cycle has begun since the cluster was read."""
_RETRIED: Final = (BusyError, UnavailableError, TimeoutExceeded, NotFoundError)
"""What a holder may say now and no more in a moment; a full disk is no such thing."""
_CALL_S: Final = 30.0

_WRONG_ONE: Final = re.compile(r"said\[(\d{1,3})\]")
"""How the contract's refusal of one of several signed texts begins."""

_STORED: Final = "stored"

_T = TypeVar("_T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster as the present cycle has it, with its holders' addresses and keys; without those that were revoked, or
    have another id, since the cycle began."""

    name: str
    mspid: str
    cycle: int
    t: int
    spare: int
    profile: str
    holders: tuple[HolderRecord, ...]
    base_key: PublicKey
    base_mspid: str

    @property
    def needed(self) -> int:
        """How many holders acknowledge before an object is stored."""
        return self.t + self.spare


@dataclass(slots=True)
class Sending:
    """Shares on their way to their holders. It changes while they come in: ``acked`` in the order of arrival."""

    object: str
    version: int
    needed: int
    n: int
    acked: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    signed: dict[str, Signed] = field(default_factory=dict)
    """What holders have signed, and the ledger has not yet."""
    stored: bool = False

    def to_dict(self) -> dict[str, Any]:
        """What commands print."""
        return {
            "object": self.object,
            "version": self.version,
            "needed": self.needed,
            "n": self.n,
            "acked": list(self.acked),
            "failed": dict(self.failed),
        }


@dataclass(frozen=True, slots=True)
class _Deal:
    """A version that is to be shared; ``submit`` puts its manifest on the ledger and gives its number."""

    object: str
    version: int
    data: bytes
    profile: str | None
    submit: Callable[[Cluster, CutObject], Awaitable[int]]


class Dealer:
    """Puts and reshares objects as one identity. Call :meth:`finish` at the end, or use ``async with``.

    ``audits`` are prepared for each share; ``send_within_s`` is how long a holder is tried; ``randbytes`` draws keys.
    """

    def __init__(
        self,
        session: Session,
        *,
        audits: int = AUDITS,
        send_within_s: float = 20.0,
        randbytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.session = session
        self._audits = audits
        self._send_within_s = send_within_s
        self._randbytes = randbytes
        self._clusters: dict[str, Cluster] = {}
        self._behind: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Dealer:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.finish()

    async def put(
        self,
        name: str,
        data: bytes,
        cluster: str,
        *,
        profile: str | None = None,
        readers: str | None = None,
        heads: Sequence[str] = (),
        meta: Mapping[str, Any] | None = None,
    ) -> Sending:
        """Share ``data`` among a cluster's holders, or over the heads (``heads``); returns when t + spare have
        acknowledged on the ledger, and goes on with the others behind it.

        ``profile``: that of the cluster if none is named. ``readers``: who may read, a policy; the members of the
        cluster's organisation and of the base's if none is named, and the heads of the MSPs ``heads``, which share
        their shares again. Raises :class:`PutIncomplete`, the contract's
        refusal, :class:`~gridledger.sharing.errors.SharingError`.
        """

        async def submit(there: Cluster, cut: CutObject) -> int:
            extra = {"layer": 1 if cluster == HEADS else 2, "cluster": cluster, "meta": dict(meta or {})}
            manifest = {**cut.manifest, **extra, "readers": readers or default_readers(there, heads)}
            return int((await self.session.ledger.put_object(manifest))["version"])

        return await self._deal(cluster, _Deal(name, 1, data, profile, submit))

    async def reshare(self, name: str, data: bytes, cluster: str, *, version: int, profile: str, read: str) -> Sending:
        """New shares of the same data for the holders of the present cycle, as version ``version``. ``read`` is the
        grant with purpose ``reshare`` under which the data were read."""

        async def submit(_: Cluster, cut: CutObject) -> int:
            return int((await self.session.ledger.reshare({**cut.manifest, "read": read}))["version"])

        return await self._deal(cluster, _Deal(name, version, data, profile, submit))

    async def finish(self) -> None:
        """Wait for all that goes on behind the puts; it is bounded by ``send_within_s``."""
        while self._behind:
            await asyncio.gather(*self._behind, return_exceptions=True)

    async def cluster(self, name: str, *, refresh: bool = False) -> Cluster:
        """A cluster as the present cycle has it; remembered, as it changes with a cycle only."""
        if refresh or name not in self._clusters:
            self._clusters[name] = await read_cluster(self.session, name)
        return self._clusters[name]

    async def _deal(self, cluster: str, deal: _Deal) -> Sending:
        known = cluster in self._clusters
        try:
            return await self._deal_once(await self.cluster(cluster), deal)
        except GridLedgerError as error:
            if not known or not refused(error, *_STALE):
                raise
        return await self._deal_once(await self.cluster(cluster, refresh=True), deal)

    async def _deal_once(self, there: Cluster, deal: _Deal) -> Sending:
        plan = Plan(
            channel=self.session.channel,
            object=deal.object,
            version=deal.version,
            cycle=there.cycle,
            cluster=there.name,
            profile=deal.profile or there.profile,
            t=there.t,
            holders=tuple((holder.name, holder.id) for holder in there.holders),
        )
        cut = await asyncio.to_thread(
            cut_object, plan, deal.data, there.base_key, audits=self._audits, randbytes=self._randbytes
        )
        sealing = asyncio.gather(*(self._seal(plan, holder, cut.shares[holder.name]) for holder in there.holders))
        try:
            given = await deal.submit(there, cut)
        except BaseException:
            _give_up(sealing)
            raise
        if given != deal.version:
            _give_up(sealing)
            raise ConflictError(
                f"{deal.object} got version {given}, and its shares were made for version {deal.version}: try again"
            )
        return await self._send(there, deal, await sealing)

    async def _seal(self, plan: Plan, holder: HolderRecord, share: bytes) -> bytes | KemKeyBad:
        """The message to a holder; or what is wrong with the key that it registered, which is no reason to give the
        others nothing."""
        place = Place(plan.channel, plan.object, plan.version, holder.name, plan.cycle)
        try:
            return await asyncio.to_thread(holder.kem_key.seal, share, place.info(PUT))
        except KemKeyBad as error:
            return error

    async def _send(self, there: Cluster, deal: _Deal, messages: list[bytes | KemKeyBad]) -> Sending:
        sending = Sending(deal.object, deal.version, there.needed, len(there.holders))
        tasks = set()
        for holder, message in zip(there.holders, messages, strict=True):
            if isinstance(message, KemKeyBad):
                sending.failed[holder.name] = why(message)
            else:
                tasks.add(asyncio.create_task(self._send_one(there, holder, sending, message)))
        pending = tasks
        try:
            while pending and len(sending.acked) < sending.needed:
                _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                if not pending or len(sending.acked) + len(sending.signed) >= sending.needed:
                    await self._acknowledge(sending)
        except asyncio.CancelledError:
            for task in tasks:
                task.cancel()
            raise
        if len(sending.acked) < sending.needed:
            raise PutIncomplete(_incomplete_text(sending), **sending.to_dict())
        self._go_on(sending, pending)
        return sending

    async def _send_one(self, there: Cluster, holder: HolderRecord, sending: Sending, message: bytes) -> None:
        """Send until the holder has the share on its disk, for a bounded time. What it answers stands in ``sending``.

        An older holder signs nothing, and answers once the ledger has its acknowledgement."""

        async def send() -> StoredAnswer:
            async with asyncio.timeout(_CALL_S + self._send_within_s):
                return await self.session.calls.put(holder.url, sending.object, sending.version, message, signed=True)

        try:
            answer = await self._until_done(send)
            if answer.signed is None:
                sending.acked.append(holder.name)
                return
            place = Place(self.session.channel, sending.object, sending.version, holder.name, there.cycle)
            check_kept(answer.signed, place, answer.root, answer.log_head)  # the contract verifies the signature
        except (GridLedgerError, TimeoutError) as error:
            sending.failed[holder.name] = why(error)
        else:
            sending.signed[holder.name] = answer.signed

    async def _acknowledge(self, sending: Sending) -> None:
        """Have the ledger know what holders have signed, in one transaction. Whom the contract refuses by name, such as
        one that was revoked a moment ago, has failed, and the others are submitted without it."""
        said, sending.signed = sending.signed, {}
        while said:
            try:
                told = await self._until_done(partial(self._submit, sending, said))
            except GridLedgerError as error:
                for name in _refused_among(error, [*said]):
                    sending.failed[name] = why(error)
                    del said[name]
            else:
                sending.stored = told["status"] == _STORED
                sending.acked += said
                return

    async def _submit(self, sending: Sending, said: Mapping[str, Signed]) -> dict[str, Any]:
        texts = [(each.text, to_base64(each.signature)) for each in said.values()]
        return await self.session.ledger.ack_shares(sending.object, sending.version, texts)

    async def _until_done(self, work: Callable[[], Awaitable[_T]]) -> _T:
        """Try until it is done or cannot be, for a bounded time; raises what the last attempt did."""
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + self._send_within_s, _FIRST_PAUSE_S
        while True:
            try:
                return await work()
            except (GridLedgerError, TimeoutError) as error:
                may_end = isinstance(error, _RETRIED) and not isinstance(error, NoSpaceLeft)
                if not may_end or loop.time() + pause > deadline:
                    raise
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _go_on(self, sending: Sending, pending: set[asyncio.Task[None]]) -> None:
        task = asyncio.create_task(self._settle_behind(sending, pending))
        self._behind.add(task)
        task.add_done_callback(self._behind.discard)

    async def _settle_behind(self, sending: Sending, pending: set[asyncio.Task[None]]) -> None:
        if pending:
            await asyncio.wait(pending)
        await self._acknowledge(sending)
        if sending.stored:
            return
        try:
            await self.session.ledger.settle(sending.object, sending.version)
        except GridLedgerError as error:
            _log.info("%s is settled by the base: %s", sending.object, error.message)


def _refused_among(error: GridLedgerError, names: Sequence[str]) -> list[str]:
    """Whose signed text the contract refuses; all of them where it, or the ledger, refuses the whole."""
    found = _WRONG_ONE.match(error.message) if refused(error) else None
    return [names[int(found[1])]] if found and int(found[1]) < len(names) else list(names)


def _give_up(work: asyncio.Future[Any]) -> None:
    """Cancel work whose outcome nobody waits for, and so keep asyncio from telling of it as of a lost error."""
    work.add_done_callback(lambda done: None if done.cancelled() else done.exception())
    work.cancel()


async def read_cluster(session: Session, name: str) -> Cluster:
    """A cluster as the present cycle has it.

    Raises :class:`NotFoundError` where it takes no part, :class:`UnavailableError` where the base has no key yet.
    """
    ledger = session.ledger
    cycle, base, records = await asyncio.gather(ledger.get_cycle(), ledger.get_base(), _records(session, name))
    found = next((each for each in cycle["clusters"] if each["cluster"] == name), None)
    if found is None:
        there = ", ".join(each["cluster"] for each in cycle["clusters"]) or "none"
        raise NotFoundError(f"there is no cluster {name!r} in cycle {cycle['cycle']}; there are: {there}")
    if not base["kem_key"]:
        raise UnavailableError(NO_BASE_KEY)
    return Cluster(
        name=name,
        mspid=str(found["mspid"]),
        cycle=int(cycle["cycle"]),
        t=int(found["t"]),
        spare=int(found["spare"]),
        profile=str(found["profile"]),
        holders=tuple(
            record
            for item in found["holders"]
            if (record := records.get(item["holder"])) is not None
            and (record.state, str(record.id)) == (ACTIVE, item["id"])
        ),
        base_key=read_public_key(str(base["kem_key"])),
        base_mspid=str(base["mspid"]),
    )


async def _records(session: Session, cluster: str) -> dict[str, HolderRecord]:
    """The admitted holders of a cluster; of all clusters for ``heads``. Those whose record cannot be used are left out,
    so that the others get their shares."""
    records: dict[str, HolderRecord] = {}
    async for told in session.ledger.holders(None if cluster == HEADS else cluster):
        try:
            record = HolderRecord.of({"record": told, "revoked": told["revoked"], "active": told["active"]})
        except GridLedgerError as error:
            _log.warning("%s gets no shares, as its record cannot be used: %s", told["holder"], why(error))
        else:
            records[record.name] = record
    return records


def default_readers(cluster: Cluster, heads: Sequence[str] = ()) -> str:
    """Who reads where nobody is named: the members of the cluster's organisation and of the base's, and the heads of
    these MSPs."""
    named = [f"{mspid}.member" for mspid in (cluster.mspid, cluster.base_mspid)]
    named += [f"{mspid}.member[{ROLE}=head]" for mspid in heads]
    return f"OR({','.join(map(repr, dict.fromkeys(named)))})"


def _incomplete_text(sending: Sending) -> str:
    others = "; ".join(f"{holder}: {reason}" for holder, reason in sending.failed.items())
    return (
        f"{sending.object}: {sending.needed} of {sending.n} holders must acknowledge, {len(sending.acked)} did: "
        f"{', '.join(sending.acked) or 'none'}; {others}. It stands as incomplete; put the data under another name "
        "once the holders answer"
    )

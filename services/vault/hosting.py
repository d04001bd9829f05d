"""Several holders in one process: each has its own identity, key, folder and log, and trusts its own peer alone."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from gridledger.client import ChaincodeEvent, SigningIdentity
from gridledger.client.application import Answer
from gridledger.client.profile import ConnectionProfile
from gridledger.errors import CorruptionError, GridLedgerError, NotFoundError, SettingsError
from gridledger.files import lock_folder
from gridledger.shares import Pool
from services.vault import metrics
from services.vault.attributes import CLUSTER, HEAD, HOLDERS, ID, ROLE, SENSOR
from services.vault.errors import HolderOut
from services.vault.holder.asking import Shared
from services.vault.holder.joining import join_if_new
from services.vault.holder.mending import Mending
from services.vault.holder.own import Own
from services.vault.holder.serving import Serving
from services.vault.holder.store import Bounds, Store
from services.vault.holder.upkeep import Upkeep
from services.vault.key_file import kem_key
from services.vault.ledger import VaultLedger, application_of, own_ledger
from services.vault.settings import HolderSettings
from services.vault.transport import PrivateKey

CHALLENGED, STORED, ABANDONED = "Challenged", "Stored", "Abandoned"
"""The events of the contract that a holder follows."""

_MAX_LISTED: Final = 1000
_MAKE_UP_EVERY_S: Final = 10.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Hosted:
    """A holder that works."""

    own: Own
    serving: Serving
    mending: Mending
    upkeep: Upkeep


class Host:
    """The holders of one process by name; those whose files are damaged are out, with the reason."""

    def __init__(self, holders: Mapping[str, Hosted], out: Mapping[str, str]) -> None:
        self._holders = dict(holders)
        self._out = dict(out)

    def holder(self, name: str) -> Hosted:
        """A holder by its name; :class:`NotFoundError`, or :class:`HolderOut` where its files cannot be trusted."""
        found = self._holders.get(name)
        if found is not None:
            return found
        if name in self._out:
            raise HolderOut(f"{name} is out: {self._out[name]}")
        raise NotFoundError(f"there is no holder {name!r:.40} here")

    def knows(self, name: str) -> bool:
        """Whether a holder of this name is here, out or not."""
        return name in self._holders or name in self._out

    def holders(self) -> Collection[Hosted]:
        """Those that work."""
        return self._holders.values()

    def health(self) -> dict[str, Any]:
        """What ``/healthz`` tells. One holder that is out does not take the others with it."""
        told = dict.fromkeys(self._holders, "ok") | dict.fromkeys(self._out, "out")
        return {"status": "ok", "holders": dict(sorted(told.items()))}

    def describe(self, name: str, after: str, limit: int) -> dict[str, Any]:
        """What a holder has: one page of its shares, in order, behind ``after`` (``OBJECT.VERSION``)."""
        own = self.holder(name).own
        attributes = own.identity.certificate.attributes
        shares = sorted((f"{key[0]}.{key[1]}", key, held) for key, held in own.store.held().items())
        page = [entry for entry in shares if entry[0] > after][: min(limit, _MAX_LISTED)]
        return {
            "holder": own.name,
            "cluster": attributes.get(CLUSTER),
            "id": attributes.get(ID),
            "kem": own.key.kem,
            "count": len(shares),
            "bytes": own.store.size,
            "log_head": own.store.log_head,
            "shares": [
                {"object": key[0], "version": key[1], "bytes": held.size, "root": held.root} for _, key, held in page
            ],
            "bookmark": page[-1][0] if len(page) < len(shares) and page and page[-1] != shares[-1] else None,
        }

    async def take(self, event: ChaincodeEvent) -> None:
        """Do what an event asks for. What fails is told, and looked at again with all shares."""
        told = event.payload if isinstance(event.payload, dict) else {}
        for hosted in self.holders():
            try:
                if event.name == CHALLENGED and told.get("holder") == hosted.own.name:
                    await hosted.upkeep.answer_audit(told)
                elif event.name in (STORED, ABANDONED):
                    _forget_signed(hosted, event, told)
                    await hosted.upkeep.look_at_object(str(told.get("object")), keep=_kept(event))
            except GridLedgerError as error:
                _log.warning("%s: event %s: %s", hosted.own.name, event.name, error.message)

    async def look_over(self, every_s: float) -> None:
        """Compare all shares with the ledger, at once and then from time to time, until this is cancelled."""
        while True:
            for hosted in self.holders():
                await hosted.upkeep.look_over()
            await asyncio.sleep(every_s)

    async def make_up(self) -> None:
        """Acknowledge from time to time what dealers that died have left undone, until this is cancelled."""
        while True:
            await asyncio.sleep(_MAKE_UP_EVERY_S)
            for hosted in self.holders():
                await hosted.upkeep.make_up()

    async def join(self, base_url: str, random: Random) -> None:
        """Have all holders ask to join that are not known yet."""
        await asyncio.gather(
            *(join_if_new(one.own, f"{base_url}/holders/{one.own.name}", random) for one in self.holders())
        )


def _forget_signed(hosted: Hosted, event: ChaincodeEvent, told: dict[str, Any]) -> None:
    """The event of a stored object says whose acknowledgements the ledger has: those are not asked for again."""
    version, acks = _kept(event), told.get("acks")
    if version is not None and isinstance(acks, list) and hosted.own.name in acks:
        hosted.upkeep.has_acknowledged((str(told.get("object")), version))


def _kept(event: ChaincodeEvent) -> int | None:
    """The version that a holder keeps although an event came: the one that is stored now."""
    version = event.payload.get("version") if isinstance(event.payload, dict) else None
    return version if event.name == STORED and isinstance(version, int) else None


@asynccontextmanager
async def open_host(
    settings: HolderSettings, profile: ConnectionProfile, now_us: Callable[[], int]
) -> AsyncIterator[tuple[Host, VaultLedger]]:
    """The holders of a process, and the ledger as the first of them sees it. Their files are locked meanwhile."""
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock_folder(settings.data)  # held until the process ends
    work = Pool("bytes of shares in work", settings.limits.max_work_bytes, retry_after_s=1.0)
    manifests: defaultdict[str, Shared[Answer]] = defaultdict(Shared)
    holders: dict[str, Hosted] = {}
    out: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        ledgers: list[VaultLedger] = []
        for name, folder in settings.identities.items():
            identity = await asyncio.to_thread(SigningIdentity.load, folder)
            check_identity(name, identity)
            ledger = await stack.enter_async_context(own_ledger(profile, identity, settings.own_peer))
            ledgers.append(ledger)
            try:
                store, key = await asyncio.to_thread(_open_files, settings, name, now_us)
            except CorruptionError as error:
                _log.error("%s is out: %s", name, error.message)
                out[name] = error.message
                continue
            stack.callback(store.close)
            channel = application_of(profile)[0]
            shared = manifests[identity.mspid]
            own = Own(name, channel, identity, key, store, ledger, work, now_us, settings.wait_s, shared)
            holders[name] = Hosted(own, Serving(own), Mending(own), Upkeep(own))
            metrics.watch(name, store)
        yield Host(holders, out), ledgers[0]


def check_identity(name: str, identity: SigningIdentity) -> None:
    """:class:`SettingsError` where a certificate is no holder's."""
    told = identity.certificate.attributes
    if told.get(ROLE) not in HOLDERS or not told.get(CLUSTER) or not told.get(ID):
        raise SettingsError(
            f"the identity of {name} in {identity.directory} is no holder's: it wants the attributes "
            f"{ROLE}={SENSOR} (or {HEAD}), {CLUSTER} and {ID}"
        )


def _open_files(settings: HolderSettings, name: str, now_us: Callable[[], int]) -> tuple[Store, PrivateKey]:
    folder = settings.data / name
    folder.mkdir(exist_ok=True, mode=0o700)
    key = kem_key(folder / "kem_key", settings.kem)
    limits = settings.limits
    return Store(folder, now_us, Bounds(limits.max_shares, limits.max_share_bytes)), key

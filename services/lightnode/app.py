"""Wiring of a light node."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from random import SystemRandom
from typing import TYPE_CHECKING, Any, Final

from gridledger.client import SigningIdentity
from gridledger.client.profile import load_profile
from gridledger.errors import SettingsError
from gridledger.extras import require_extra
from gridledger.files import lock_folder
from gridledger.web import (
    Limits,
    Members,
    ServerSettings,
    ServerTLS,
    TLSFiles,
    WebServer,
    admins_and,
    background,
    by_certificate,
    create_app,
)
from services.lightnode import metrics
from services.lightnode.api_description import DESCRIPTION
from services.lightnode.aside import Aside
from services.lightnode.callers import ROLE, Callers
from services.lightnode.chain_store import ChainStore
from services.lightnode.forwarder import Forwarder
from services.lightnode.headers import HeaderChain
from services.lightnode.intake import Intake
from services.lightnode.journal import Journal
from services.lightnode.keys import Keys
from services.lightnode.lane import Lane
from services.lightnode.ledger import Ledgers, open_ledgers
from services.lightnode.node import LightNode
from services.lightnode.proofs import Proofs
from services.lightnode.recorder.bodies import Bodies
from services.lightnode.recorder.recorder import Bounds, Recorder
from services.lightnode.registered import RegisteredDevices
from services.lightnode.routes import make_router
from services.lightnode.settings import LightNodeDevice, LightNodeSettings, PmuSource
from services.lightnode.sources.opening import source_work

if TYPE_CHECKING:
    from services.lightnode.batches import Rows

_SYNC_MARKS_S: Final = 1.0


@asynccontextmanager
async def open_server(settings: LightNodeSettings) -> AsyncIterator[WebServer]:
    """The node, ready to serve. It records without a ledger, and waits for one."""
    profile = await asyncio.to_thread(load_profile, settings.connection)
    identity = await asyncio.to_thread(SigningIdentity.load, settings.identity)
    _check_identity(identity)
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock_folder(settings.data)  # held until the process ends
    sections = sorted({device.section for device in settings.devices})
    async with AsyncExitStack() as stack:
        ledgers = await stack.enter_async_context(open_ledgers(profile, identity, sections, settings.own_peer))
        node, chains = await _open_node(settings, identity, ledgers, stack)
        tls = ServerTLS(TLSFiles(*settings.certificate_and_key, [profile.roots]))
        members = {channel: Members(ledger.network, tls.extend_roots) for channel, ledger in ledgers.sections.items()}
        callers = Callers(members, identity.mspid, settings.body_readers)
        app = create_app(
            "lightnode",
            by_certificate(callers.authenticate),
            Limits(max_body_bytes=settings.limits.max_body_bytes, max_requests=settings.limits.max_requests),
            node.health,
            node=settings.name,
            description=DESCRIPTION,
            may_read_metrics=admins_and(settings.metrics_readers, {identity.mspid}),
        )
        app.include_router(make_router(node, callers, settings.limits.max_body_bytes))
        async with background(callers.follow(), *_work(settings, node, chains)):
            yield WebServer(app, ServerSettings(settings.host, settings.port, tls))


async def _open_node(
    settings: LightNodeSettings, identity: SigningIdentity, ledgers: Ledgers, stack: AsyncExitStack
) -> tuple[LightNode, list[HeaderChain]]:
    """The node, and the chains whose headers it follows."""
    intake = Intake(settings.devices, _now_us)
    recorder = await asyncio.to_thread(Recorder, settings.data, _bounds(settings))
    stack.callback(recorder.close)
    bodies = await asyncio.to_thread(Bodies, settings.data / "bodies", settings.recorder.max_body_bytes)
    store = await asyncio.to_thread(ChainStore, settings.data / "chain.sqlite")
    stack.callback(store.close)
    chains = {channel: HeaderChain(ledger.network, store) for channel, ledger in ledgers.sections.items()}
    networks = {channel: ledger.network for channel, ledger in ledgers.sections.items()}
    proofs = Proofs(networks, chains, ledgers.anchors, store, recorder)
    keys = Keys(settings.data / "keys")
    aside = Aside(settings.data / "aside")

    def no_proof(channel: str, tx: str) -> None:
        """Proofs are asked for when they are wanted."""

    def lane(device: LightNodeDevice) -> Lane:
        logged = proofs.is_due if settings.keep_proofs else no_proof
        section = ledgers.sections[device.section]
        return Lane(device.device, device.section, section, recorder, keys=keys, aside=aside, logged=logged)

    lanes = await asyncio.to_thread(lambda: [lane(device) for device in settings.devices])
    forwarder = Forwarder(lanes, SystemRandom(), rate=settings.forwarder.rate, at_once=settings.forwarder.at_once)
    journal = Journal(
        recorder,
        bodies,
        _now_us,
        lambda records: forwarder.has_news({record.entry.device for record in records}),
        group_s=settings.recorder.group_s,
    )
    node = LightNode(
        name=settings.name,
        data=settings.data,
        devices={device.device: device for device in settings.devices},
        certificate=identity.certificate,
        devices_channel=ledgers.registry.network.channel,
        intake=intake,
        recorder=recorder,
        bodies=bodies,
        journal=journal,
        forwarder=forwarder,
        keys=keys,
        proofs=proofs,
        registered=RegisteredDevices(ledgers.registry, settings.data / "filter.json"),
    )
    await node.remember()
    metrics.watch(lambda: recorder.waiting, lambda: recorder.size, forwarder.blocked)
    followed = [*chains.values()]
    if ledgers.anchors is not None and ledgers.anchors.network.channel not in chains:
        followed.append(HeaderChain(ledgers.anchors.network, store))
    return node, followed


def _work(
    settings: LightNodeSettings, node: LightNode, chains: Iterable[HeaderChain]
) -> list[Coroutine[Any, Any, None]]:
    """What runs beside the server."""
    work = [
        node.journal.run(),
        node.forwarder.run(),
        node.registered.follow(settings.filter_every_s),
        _sync_marks(node.recorder),
        *(chain.follow(SystemRandom()) for chain in chains),
    ]
    if settings.keep_proofs:
        work += [node.proofs.fill(SystemRandom()), node.proofs.keep_within(node.devices)]
    for device in settings.devices:
        for source in device.sources:
            rows = None
            if isinstance(source, PmuSource) and source.batches:
                keeper = _rows(settings, node, device, source)
                rows = keeper.take
                work.append(keeper.run())
            work.append(source_work(device, source, partial(node.tell, device=device.device), SystemRandom(), rows))
    return work


def _rows(settings: LightNodeSettings, node: LightNode, device: LightNodeDevice, source: PmuSource) -> Rows:
    require_extra("forensics", f"the rows of {device.device}")
    from services.lightnode.batches import Rows  # noqa: PLC0415 - of the extra

    folder = settings.data / "rows" / device.device
    where = f"lightnode:{settings.name}/{device.device}/"
    return Rows(device.device, folder, source.batch_s, where, node.tell_batch, now_us=_now_us)


async def _sync_marks(recorder: Recorder) -> None:
    while True:
        await asyncio.sleep(_SYNC_MARKS_S)
        await asyncio.to_thread(recorder.sync_marks)


def _bounds(settings: LightNodeSettings) -> Bounds:
    recorder = settings.recorder
    return Bounds(recorder.max_bytes, recorder.segment_bytes, recorder.max_waiting)


def _check_identity(identity: SigningIdentity) -> None:
    if identity.certificate.attributes.get(ROLE) != "lightnode":
        raise SettingsError(f"the identity in {identity.directory} is no light node's: it wants {ROLE}=lightnode")


def _now_us() -> int:
    return time.time_ns() // 1000

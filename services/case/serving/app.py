"""Wiring of the case desk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from random import SystemRandom
from typing import Any

from gridledger.client import Network, SigningIdentity
from gridledger.client.anchors import AnchorsLedger
from gridledger.client.application import network_through, peers_of
from gridledger.client.profile import ConnectionProfile, load_profile, read_roots
from gridledger.errors import SettingsError
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
from services.case.block_rows import Places
from services.case.collecting import Collector, PeerSource
from services.case.described import DescribedForensics, described_forensics, described_roles
from services.case.ledger import RegistryLedger
from services.case.light_node_clients import LightNodeClients
from services.case.serving.admission import Admission
from services.case.serving.following import Following
from services.case.serving.index import Index
from services.case.serving.own_peer import PeersCaseBook
from services.case.serving.reading import Reading
from services.case.serving.routes import DESCRIPTION, make_router
from services.case.serving.settings import DeskSettings
from services.case.serving.used import UsedQueries
from services.case.verifier import verifier

_MAX_BODY_BYTES = 64 * 1024


@asynccontextmanager
async def open_desk(settings: DeskSettings) -> AsyncIterator[WebServer]:
    """The desk, ready to serve. It waits for a ledger that is not there yet."""
    profile = await asyncio.to_thread(load_profile, settings.connection)
    identity = await asyncio.to_thread(SigningIdentity.load, settings.identity)
    forensics = described_forensics(profile)
    places = Places.of(profile.applications)
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock_folder(settings.data)  # held until the process ends
    index = await asyncio.to_thread(Index, settings.data, places)
    used = UsedQueries(settings.data)
    async with AsyncExitStack() as stack:
        stack.callback(used.close)
        stack.callback(index.close)
        networks = await _networks(stack, profile, identity, places.channels, settings.own_peer)
        general = networks[forensics.channel]
        book = PeersCaseBook(general, forensics.chaincode)
        admission = Admission(book, used, _now_us, wait_s=settings.wait_s, age_s=settings.query_age_s)
        others = {name: url for name, url in settings.companions.items() if name != settings.name}
        light_nodes = LightNodeClients(others, identity, read_roots(profile.roots))
        stack.push_async_callback(light_nodes.close)
        reading = _reading(settings, profile, forensics, networks, index, light_nodes=light_nodes)
        tls = ServerTLS(TLSFiles(*settings.certificate_and_key, [profile.roots]))
        members = Members(general, tls.extend_roots)
        app = create_app(
            "case-desk",
            by_certificate(members.authenticate),
            Limits(max_body_bytes=_MAX_BODY_BYTES, max_requests=settings.limits.max_requests),
            lambda: _health(index),
            node=settings.name,
            description=DESCRIPTION,
            may_read_metrics=admins_and(settings.metrics_readers, (identity.mspid,)),
        )
        app.include_router(make_router(admission, reading))
        async with background(members.follow(), Following(index, networks, SystemRandom()).run()):
            yield WebServer(app, ServerSettings(settings.host, settings.port, tls))


async def _networks(
    stack: AsyncExitStack,
    profile: ConnectionProfile,
    identity: SigningIdentity,
    channels: tuple[str, ...],
    own_peer: str | None,
) -> Mapping[str, Network]:
    """The channels of the desk's own peer, and of no other."""
    own = own_peer or next((name for name, peer in profile.peers.items() if peer.mspid == identity.mspid), None)
    if own is None or profile.peers[own].mspid != identity.mspid:
        raise SettingsError(f"own_peer: the desk takes the word of a peer of {identity.mspid} alone, and there is none")
    for channel in channels:
        peers_of(profile, channel, identity.mspid, own)
    return {
        channel: await stack.enter_async_context(network_through(profile, channel, [own], identity))
        for channel in channels
    }


def _reading(
    settings: DeskSettings,
    profile: ConnectionProfile,
    forensics: DescribedForensics,
    networks: Mapping[str, Network],
    index: Index,
    *,
    light_nodes: LightNodeClients,
) -> Reading:
    roles = described_roles(profile)
    general, devices = networks[roles.anchoring[0]], networks[forensics.devices.channel]
    anchors = AnchorsLedger(general.get_contract(roles.anchoring[1]), general)
    registry = RegistryLedger(devices.get_contract(forensics.devices.chaincode), devices)
    source = PeerSource(networks, anchors, registry)
    limits = settings.limits
    return Reading(
        index,
        Collector(source, roles, index.config_blocks, verifier),
        light_nodes,
        search_s=settings.search_s,
        max_searches=limits.max_searches,
        max_packages=limits.max_packages,
    )


def _health(index: Index) -> dict[str, Any]:
    return {"status": "ok", "indexed": {each.channel: each.height for each in index.progress()}}


def _now_us() -> int:
    return time.time_ns() // 1000

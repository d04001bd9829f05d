"""Wiring of a server of relay monitoring: the collectors, and the page."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

from gridledger.client import ChaincodeEvent, Network, SigningIdentity
from gridledger.client.profile import ConnectionProfile, load_profile, read_roots
from gridledger.errors import SettingsError
from gridledger.extras import require_extra
from gridledger.files import lock_folder
from gridledger.transport.node_client import client_tls
from gridledger.web import (
    Application,
    Identify,
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
from services.relay.api_description import DESCRIPTION
from services.relay.ledger import RelayLedger, relay_ledger
from services.relay.readers import open_reader
from services.relay.routes import make_router
from services.relay.server.chain_form import CONFIRMED, ChainForm
from services.relay.server.chains import Chains
from services.relay.server.collector import CollectorOptions
from services.relay.server.collectors import Collectors
from services.relay.server.fault_folder import FaultFolder
from services.relay.server.nodes import Nodes
from services.relay.server.page_reads import PageReads
from services.relay.server.plain_callers import PlainCallers
from services.relay.server.view import View
from services.relay.settings import RelaySettings

_MAX_BODY_BYTES = 64 * 1024

_log = logging.getLogger(__name__)


@asynccontextmanager
async def open_server(settings: RelaySettings) -> AsyncIterator[WebServer]:
    """One server, ready to serve. It waits for a ledger and for relays that are not there yet."""
    profile = await asyncio.to_thread(load_profile, settings.connection)
    identity = await asyncio.to_thread(SigningIdentity.load, settings.identity)
    _check_identity(settings, identity)
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock_folder(settings.data)  # held until the process ends
    async with relay_ledger(profile, identity, own_peer=settings.own_peer) as ledger:
        reads = PageReads(ledger)
        roots = read_roots(profile.roots)
        async with aclosing(_chains(settings, ledger, reads)) as chains:
            collectors = _collectors(settings, identity.mspid, ledger, chains.follow)
            nodes = Nodes(settings.companions, client_tls(None, roots))
            bound = settings.limits.max_page
            view = View(settings.server, reads, collectors, chains=chains, nodes=nodes, max_page=bound)
            app, tls, members = _edge(settings, profile, identity, ledger.network, view)
            app.include_router(make_router(view))
            work = [collectors.run(), members.follow(), *_fault_folder(settings, ledger)]
            async with background(*work):
                yield WebServer(app, ServerSettings(settings.host, settings.port, tls))


def _check_identity(settings: RelaySettings, identity: SigningIdentity) -> None:
    told = identity.certificate.attributes
    if (told.get("relay.role"), told.get("relay.server")) != ("server", settings.server):
        raise SettingsError(
            f"the identity in {settings.identity} is not of server {settings.server}: it wants the attributes "
            f"relay.role=server and relay.server={settings.server}"
        )


def _collectors(
    settings: RelaySettings, mspid: str, ledger: RelayLedger, tell: Callable[[Collection[str]], None]
) -> Collectors:
    options = CollectorOptions(
        attest=settings.attest,
        catch_up=settings.catch_up,
        stagger_s=settings.stagger_ms / 1000,
        pace_s=settings.pace_s,
        minute_s=settings.minute_s,
    )
    return Collectors(
        settings.server,
        mspid,
        ledger,
        lambda record: open_reader(record, settings.server),
        settings.data,
        operators=settings.operators,
        tell=tell,
        options=options,
        spool_captures=settings.limits.spool_captures,
    )


def _chains(settings: RelaySettings, ledger: RelayLedger, reads: PageReads) -> Chains:
    network, chaincode = ledger.network, ledger.contract.chaincode

    async def genesis_us() -> int:
        return (await network.get_block(0)).header.timestamp_us

    def confirmed(start_block: int) -> AsyncIterator[ChaincodeEvent]:
        return network.chaincode_events(chaincode, name=CONFIRMED, start_block=start_block)

    def make(relay: str) -> ChainForm:
        path = settings.data / "relays" / relay / "chain"
        return ChainForm(path, relay, ledger, confirmed, genesis_us, page=reads)

    return Chains(make)


def _fault_folder(settings: RelaySettings, ledger: RelayLedger) -> Iterator[Coroutine[Any, Any, None]]:
    """What watches the folder of fault records, where there is one."""
    if settings.fault_folder is None or settings.fault_relay is None:
        return
    require_extra("relay", "a server with a fault_folder")
    from services.relay.readers.comtrade import read_fault_record  # noqa: PLC0415 -- of the extra

    def read(path: Path) -> dict[str, Any]:
        return read_fault_record(path).to_dict()

    yield FaultFolder(settings.fault_folder, settings.fault_relay, ledger, read).run()


def _edge(
    settings: RelaySettings, profile: ConnectionProfile, identity: SigningIdentity, network: Network, view: View
) -> tuple[Application, ServerTLS | None, Members]:
    """The application, what it shows by TLS, and who its callers may be."""
    tls = None if settings.plain else _tls(settings, profile)
    members = Members(network, (lambda _: None) if tls is None else tls.extend_roots)
    if tls is None:
        _log.warning("the page is served without TLS: every program on this machine may read it")
        identify: Identify = PlainCallers(settings.port, settings.hostnames).identify
        may_read: Callable[[Any], bool] = _everybody
    else:
        identify = by_certificate(members.authenticate)
        may_read = admins_and(settings.metrics_readers, (identity.mspid,))
    limits = Limits(max_body_bytes=_MAX_BODY_BYTES, max_requests=settings.limits.max_requests)
    app = create_app(
        "relay",
        identify,
        limits,
        view.health,
        node=settings.name,
        description=DESCRIPTION,
        may_read_metrics=may_read,
    )
    return app, tls, members


def _tls(settings: RelaySettings, profile: ConnectionProfile) -> ServerTLS:
    own = settings.tls
    cert, key = (settings.identity / "cert.pem", settings.identity / "key.pem") if own is None else (own.cert, own.key)
    return ServerTLS(TLSFiles(cert, key, [profile.roots]))


def _everybody(_caller: object) -> bool:
    return True

"""Wiring of a process of holders."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import SystemRandom

from gridledger.client import Network
from gridledger.client.profile import load_profile
from gridledger.extras import require_extra
from gridledger.web import (
    Application,
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
from services.vault.api_description import DESCRIPTION
from services.vault.following import Following
from services.vault.hosting import ABANDONED, CHALLENGED, STORED, Host, open_host
from services.vault.ledger import VaultLedger
from services.vault.routes import make_router
from services.vault.settings import HolderSettings

_BODIES_AT_ONCE = 3
"""The largest bodies that callers may send at a time, and answers that may wait for their readers."""


@asynccontextmanager
async def open_server(settings: HolderSettings) -> AsyncIterator[WebServer]:
    """The holders of one process, ready to serve. They wait for a ledger that is not there yet."""
    require_extra("vault", "a holder")
    profile = await asyncio.to_thread(load_profile, settings.connection)
    async with open_host(settings, profile, _now_us) as (host, ledger):
        tls = ServerTLS(TLSFiles(*settings.certificate_and_key, [profile.roots]))
        app, members = _edge(settings, host, ledger.network, tls)
        app.include_router(make_router(host, settings.limits.max_body_bytes))
        work = (
            members.follow(),
            host.join(settings.base_url, SystemRandom()),
            host.look_over(settings.look_over_s),
            host.make_up(),
            _following(host, ledger, settings.data).run(),
        )
        async with background(*work):
            yield WebServer(app, ServerSettings(settings.host, settings.port, tls))


def _edge(settings: HolderSettings, host: Host, network: Network, tls: ServerTLS) -> tuple[Application, Members]:
    members = Members(network, tls.extend_roots)
    limits = Limits(
        max_body_bytes=settings.limits.max_body_bytes,
        max_requests=settings.limits.max_requests,
        max_held_bytes=_BODIES_AT_ONCE * settings.limits.max_body_bytes,
    )
    organisations = {one.own.identity.mspid for one in host.holders()}
    app = create_app(
        "vault",
        by_certificate(members.authenticate),
        limits,
        host.health,
        node=settings.name,
        description=DESCRIPTION,
        may_read_metrics=admins_and(settings.metrics_readers, organisations),
    )
    return app, members


def _following(host: Host, ledger: VaultLedger, data: Path) -> Following:
    network, chaincode = ledger.network, ledger.contract.chaincode
    return Following(
        lambda place: network.chaincode_events(chaincode, checkpointer=place),
        (CHALLENGED, STORED, ABANDONED),
        host.take,
        data / "events.json",
    )


def _now_us() -> int:
    return time.time_ns() // 1000

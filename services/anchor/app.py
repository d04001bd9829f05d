"""Wiring of an agent of anchors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gridledger.client import SigningIdentity
from gridledger.client.profile import load_profile
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
from services.anchor.agent import Agent, Place
from services.anchor.ledger import anchors_ledger, own_gateway
from services.anchor.routes import DESCRIPTION, make_router
from services.anchor.settings import AnchorSettings

ROLE, AGENT = "anchor.role", "agent"
_MAX_BODY_BYTES = 64 * 1024


@asynccontextmanager
async def open_agent(settings: AnchorSettings) -> AsyncIterator[WebServer]:
    """One agent, ready to serve. It waits for peers and for a ledger that are not there yet."""
    profile = await asyncio.to_thread(load_profile, settings.connection)
    identity = await asyncio.to_thread(SigningIdentity.load, settings.identity)
    if identity.certificate.attributes.get(ROLE) != AGENT:
        raise SettingsError(f"the identity in {settings.identity} is not an agent's: it wants {ROLE}={AGENT}")
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock_folder(settings.data)  # held until the process ends
    async with anchors_ledger(profile, identity) as ledger, own_gateway(profile, identity) as own:
        limits = settings.limits
        place = Place(identity.mspid, profile, settings.data)
        agent = Agent(place, own, ledger, settings.pace, max_channels=limits.max_channels)
        tls = ServerTLS(TLSFiles(*settings.certificate_and_key, [profile.roots]))
        members = Members(ledger.network, tls.extend_roots)
        app = create_app(
            "anchor",
            by_certificate(members.authenticate),
            Limits(max_body_bytes=_MAX_BODY_BYTES, max_requests=limits.max_requests),
            node=settings.name,
            description=DESCRIPTION,
            may_read_metrics=admins_and(settings.metrics_readers, (identity.mspid,)),
        )
        app.include_router(make_router(agent))
        async with background(members.follow(), agent.run(), agent.listen()):
            yield WebServer(app, ServerSettings(settings.host, settings.port, tls))

"""Wiring of an agent of anchors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from gridledger.client import SigningIdentity
from gridledger.client.profile import load_profile, read_roots
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
from services.anchor.asking import OtherAgents
from services.anchor.collecting import Collector
from services.anchor.cosigning import Cosigner
from services.anchor.ledger import anchors_ledger, own_gateway
from services.anchor.register import Register
from services.anchor.routes import AGENT, DESCRIPTION, ROLE, make_router
from services.anchor.settings import AnchorSettings

MEMBERS_EVERY_S: Final = 15.0
"""How often the anchoring channel is asked who its members are."""
WINDOW: Final = 0.03
"""Of an interval: so long a round waits for those of other channels, to share a transaction."""
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
        register = Register(identity, settings.companions.get(settings.name), ledger, ledger.network.channel)
        others = OtherAgents(identity, await asyncio.to_thread(read_roots, profile.roots))
        collector = Collector(ledger.cosign, WINDOW * settings.interval_s)

        async def record(one: Mapping[str, Any]) -> dict[str, Any]:
            (done,) = await ledger.cosign([one])
            return done

        cosigner = Cosigner(identity.mspid, register, others, collect=collector.add, record=record)
        agent = Agent(place, own, ledger, settings.pace, cosigner, max_channels=limits.max_channels)
        tls = ServerTLS(TLSFiles(*settings.certificate_and_key, [profile.roots]))

        def trust(roots_pem: str) -> None:
            tls.extend_roots(roots_pem)
            others.trust(roots_pem)

        members = Members(ledger.network, trust, every_s=MEMBERS_EVERY_S)
        app = create_app(
            "anchor",
            by_certificate(members.authenticate),
            Limits(max_body_bytes=_MAX_BODY_BYTES, max_requests=limits.max_requests),
            node=settings.name,
            description=DESCRIPTION,
            may_read_metrics=admins_and(settings.metrics_readers, (identity.mspid,)),
        )
        app.include_router(make_router(agent))
        try:
            async with background(members.follow(), register.follow(), agent.run(), agent.listen()):
                yield WebServer(app, ServerSettings(settings.host, settings.port, tls))
        finally:
            await collector.close()
            await others.close()

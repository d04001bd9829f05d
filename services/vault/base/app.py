"""Wiring of the vault's base."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import SystemRandom

from gridledger.client import ChaincodeEvent, SigningIdentity
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
from services.vault.attributes import BASE, ROLE
from services.vault.auditing import Auditor
from services.vault.base.founding import base_key, tell_ledger
from services.vault.base.routes import DESCRIPTION, make_router
from services.vault.base.settings import BaseSettings
from services.vault.base.tending import Tending, TendingOptions
from services.vault.session import open_session

_MAX_BODY_BYTES = 64 * 1024


@asynccontextmanager
async def open_base(settings: BaseSettings) -> AsyncIterator[WebServer]:
    """The base, ready to serve. It waits for a ledger that is not there yet."""
    require_extra("vault", "the vault's base")
    profile = await asyncio.to_thread(load_profile, settings.connection)
    identity = await asyncio.to_thread(SigningIdentity.load, settings.identity)
    if identity.certificate.attributes.get(ROLE) != BASE:
        raise SettingsError(f"the identity in {settings.identity} is not the base's: it wants {ROLE}={BASE}")
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock_folder(settings.data)  # held until the process ends
    key = await asyncio.to_thread(base_key, settings.data, settings.kem)
    random = SystemRandom()
    async with open_session(profile, identity, own_peer=settings.own_peer) as session:
        network, chaincode = session.ledger.network, session.ledger.contract.chaincode
        auditor = Auditor(session, key)
        tending = Tending(session, auditor, random, _options(settings))
        tls = ServerTLS(TLSFiles(*settings.certificate_and_key, [profile.roots]))
        members = Members(network, tls.extend_roots)
        app = create_app(
            "vault-base",
            by_certificate(members.authenticate),
            Limits(max_body_bytes=_MAX_BODY_BYTES, max_requests=settings.limits.max_requests),
            node=settings.name,
            description=DESCRIPTION,
            may_read_metrics=admins_and(settings.metrics_readers, (identity.mspid,)),
        )
        app.include_router(make_router(identity.mspid, tending, auditor))

        def events() -> AsyncIterator[ChaincodeEvent]:
            return network.chaincode_events(chaincode)

        work = (
            members.follow(),
            tell_ledger(session.ledger, key, settings.base_url, random),
            tending.follow(events),
            tending.settle_soon(),
            tending.look_over(),
        )
        async with background(*work):
            yield WebServer(app, ServerSettings(settings.host, settings.port, tls))


def _options(settings: BaseSettings) -> TendingOptions:
    return TendingOptions(
        look_over_s=settings.look_over_s,
        audit_every_s=settings.audit_every_s,
        abandon_after_s=settings.abandon_after_s,
        repair=settings.repair,
        repair_again_s=settings.repair_again_s,
        max_objects=settings.limits.max_objects,
        max_at_once=settings.limits.max_at_once,
    )

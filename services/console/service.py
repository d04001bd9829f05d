"""The console of a control room: a service with identities of its own; people log in by signing a challenge."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gridledger.client import SigningIdentity
from gridledger.client.profile import load_profile
from gridledger.web import Limits, ServerTLS, TLSFiles, WebServer
from services.console.app import Address, Sharing, open_console
from services.console.challenges import Challenges
from services.console.console import Options
from services.console.settings import ConsoleSettings

_KEY_BYTES = 32
_MAX_BODY_BYTES = 512 * 1024


@asynccontextmanager
async def open_server(settings: ConsoleSettings) -> AsyncIterator[WebServer]:
    """The console, ready to serve. It waits for a network that is not there yet."""
    profile = await asyncio.to_thread(load_profile, settings.connection)
    identities = [await asyncio.to_thread(SigningIdentity.load, folder) for folder in settings.identities.values()]
    tls = ServerTLS(TLSFiles(*settings.certificate_and_key, [], asks=False))
    address = Address(settings.host, settings.port, settings.hostnames or ("localhost",), tls)
    bounds = settings.limits
    limits = Limits(_MAX_BODY_BYTES, bounds.max_requests, bounds.max_streams, bounds.max_connections)
    challenges = Challenges(secrets.token_bytes(_KEY_BYTES), time.time, lambda: secrets.token_hex(16))
    sharing = Sharing(challenges, settings.name, settings.metrics_readers, limits)
    async with open_console(profile, identities, address, Options(settings.case, settings.reports), sharing) as made:
        yield made[0]

"""Wiring of the console: who looks, what follows the network, the pages."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from gridledger import __version__
from gridledger.client import SigningIdentity
from gridledger.client.profile import ConnectionProfile
from gridledger.network.status import node_clients
from gridledger.web import Limits, OwnHost, ServerSettings, ServerTLS, WebServer, background, create_app
from services.console.applications import CASES, places
from services.console.browser_answers import for_browsers
from services.console.callers import Callers
from services.console.challenges import Challenges
from services.console.console import Console, Options
from services.console.grid.drawing import Drawing
from services.console.grid.live import GridLive
from services.console.live.followers import Followers
from services.console.live.hub import Hub
from services.console.live.nodes import Nodes
from services.console.navigation import navigation
from services.console.rendering import Renderer
from services.console.routes import OPEN_ROUTES, make_router
from services.console.sessions import Session, Sessions
from services.console.viewers import Viewers, open_viewers

LIMITS: Final = Limits(max_body_bytes=512 * 1024, max_requests=128, max_streams=64, max_connections=256)
_SECRET_BYTES: Final = 32
_TITLES: Final = {401: "Log in", 403: "Not allowed", 404: "Not found", 429: "Too much at once", 503: "Not available"}


@dataclass(frozen=True, slots=True)
class Sharing:
    """What a console has to which other people log in: challenges, its node's name, who reads its metrics, bounds."""

    challenges: Challenges
    node: str
    metrics_readers: tuple[str, ...]
    limits: Limits


@dataclass(frozen=True, slots=True)
class Address:
    """Where the console listens, and the only names by which it answers."""

    listen: str
    port: int
    names: tuple[str, ...]
    tls: ServerTLS | None = None

    @property
    def scheme(self) -> str:
        """As it begins in a URL."""
        return "http" if self.tls is None else "https"

    @property
    def origin(self) -> str:
        """By its first name, as browsers write it."""
        return f"{self.scheme}://{self.names[0]}:{self.port}"


def clock_us() -> int:
    """The wall clock in microseconds since 1970."""
    return time.time_ns() // 1000


def secret() -> str:
    """A text that nobody can guess."""
    return secrets.token_urlsafe(_SECRET_BYTES)


@asynccontextmanager
async def open_console(
    profile: ConnectionProfile,
    identities: Sequence[SigningIdentity],
    address: Address,
    options: Options,
    sharing: Sharing | None = None,
) -> AsyncIterator[tuple[WebServer, Console]]:
    """A console, ready to serve: for the holder of the identities, or with ``sharing`` for other people. It waits for a
    network that is not there yet."""
    sessions, hub = Sessions(time.time, secret), Hub(time.monotonic)
    async with (
        open_viewers(profile, identities, clock_us, shared=sharing is not None) as viewers,
        node_clients(profile, viewers.for_node) as clients,
    ):
        grid = GridLive(viewers, hub, Drawing(options.case), clock_us)
        followers = Followers(viewers, hub, (grid,), clock_us)
        nodes = Nodes(clients, hub, clock_us)
        renderer = Renderer(lambda session: _always(session, viewers))
        console = Console(viewers, sessions, hub, followers, nodes, grid, renderer, clock_us, options)
        server = _server(console, address, sharing)
        async with background(viewers.follow(), followers.run(), nodes.run(), grid.run()):
            yield server, console


def _server(console: Console, address: Address, sharing: Sharing | None) -> WebServer:
    host = OwnHost(address.port, address.names, loopback=False)
    callers = Callers(console.sessions, console.viewers, host, address.scheme)
    readers = () if sharing is None else sharing.metrics_readers
    app = create_app(
        "console",
        callers.identify,
        LIMITS if sharing is None else sharing.limits,
        lambda: _health(console),
        node="console" if sharing is None else sharing.node,
        open_routes=OPEN_ROUTES,
        may_read_metrics=lambda session: sharing is None or f"{session.person.mspid}/{session.person.name}" in readers,
    )

    def check(session: Session) -> None:
        console.viewers.check(session.person)
        console.sessions.check(session)

    challenges = None if sharing is None else sharing.challenges
    app.include_router(make_router(console, host, check, secure=address.tls is not None, challenges=challenges))

    def error_page(status: int, code: str, message: str) -> str:
        title = _TITLES.get(status, "This did not work")
        return console.renderer.render("error.html", None, title=title, status=status, code=code, message=message)

    app.add_middleware(lambda inner: for_browsers(inner, error_page))
    return WebServer(app, ServerSettings(address.listen, address.port, address.tls, graceful_stop_s=1.0))


def _health(console: Console) -> dict[str, Any]:
    """For ``/healthz``: a console that waits for its network is well."""
    return {"status": "ok", "streams": console.followers.streams, "browsers": console.hub.readers}


def _always(session: Session | None, viewers: Viewers) -> dict[str, Any]:
    """What every page has."""
    return {
        "session": session,
        "version": __version__,
        "navigation": navigation(viewers),
        "has_cases": bool(places(viewers, CASES)),
        "as_whom": _as_whom(session, viewers),
        "here": "",
        "searched": "",
    }


def _as_whom(session: Session | None, viewers: Viewers) -> str:
    """Who looks; with several identities how many more there are."""
    if viewers.shared and session is not None:
        return session.person.label
    others = len(viewers.all) - 1
    return f"{viewers.first.label} +{others}" if others else viewers.first.label

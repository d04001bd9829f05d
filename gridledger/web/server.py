"""The server of an application: uvicorn on uvloop with httptools, behind mutual TLS, stopped gracefully."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import logging
import signal
import socket
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI

from gridledger.errors import PortTaken, SettingsError
from gridledger.web.acceptor import Acceptor
from gridledger.web.connections import Connection, Connections
from gridledger.web.descriptors import connections_within
from gridledger.web.http_connection import EdgeProtocol
from gridledger.web.tls import ServerTLS, TLSFiles

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where to listen and with what certificate; ``tls`` None is plain HTTP, for loopback.

    ``graceful_stop_s`` bounds the wait for requests being served.
    """

    host: str
    port: int
    tls: TLSFiles | ServerTLS | None
    graceful_stop_s: float = 5.0
    backlog: int = 2048


class _Uvicorn(uvicorn.Server):
    listening: asyncio.Event
    stopping: asyncio.Event
    table: Connections

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to us: uvicorn raises them again after its stop, and the exit code would tell of a kill."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections within their bound; say when that has begun."""
        self.servers = [
            Acceptor(item, self.table, self._connected, self.config.ssl)  # type: ignore[misc]
            for item in sockets or ()
        ]
        self.started = True
        self.listening.set()

    async def main_loop(self) -> None:
        """Serve until told to stop. uvicorn's own wakes ten times a second, for the date in a header: none is sent."""
        await self.on_tick(0)
        await self.stopping.wait()

    def _connected(self, place: Connection) -> EdgeProtocol:
        return EdgeProtocol(
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
            place=place,
            table=self.table,
        )


class WebServer:
    """One listening application. ``async with WebServer(app, settings)`` serves until the block is left.

    ``stop()`` may be called from a signal handler; :meth:`wait` returns when serving has ended.
    """

    def __init__(self, app: FastAPI, settings: ServerSettings) -> None:
        self._app = app
        self._settings = settings
        self.tls = ServerTLS(settings.tls) if isinstance(settings.tls, TLSFiles) else settings.tls
        config = uvicorn.Config(
            app,
            http=EdgeProtocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            backlog=settings.backlog,
            timeout_keep_alive=app.state.limits.keep_alive_s,
            timeout_graceful_shutdown=max(1, round(settings.graceful_stop_s)),
        )
        config.load()
        config.ssl = self.tls.context if self.tls is not None else None
        self._server = _Uvicorn(config)
        self._server.listening = asyncio.Event()
        self._server.stopping = asyncio.Event()
        self._server.table = Connections(app.state.limits.max_connections)
        self._task: asyncio.Task[None] | None = None

    async def start(self, listener: socket.socket | None = None) -> None:
        """Listen, on this bound socket if one is given. Raises :class:`PortTaken`, and :class:`SettingsError` where the
        limit of open files leaves no room for connections."""
        self._server.table.most = connections_within(self._app.state.limits.max_connections)
        if listener is None:
            listener = bind(self._settings.host, self._settings.port)
        try:
            listener.listen(self._settings.backlog)
        except OSError as error:
            listener.close()
            raise _cannot_bind(self._settings.host, self._settings.port, error) from None
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]))
        listening = asyncio.create_task(self._server.listening.wait())
        await asyncio.wait((listening, self._task), return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()
        if self._task.done():
            self._task.result()

    async def listening(self) -> None:
        """Until connections are accepted."""
        await self._server.listening.wait()

    def stop(self) -> None:
        """Take no more connections, let running requests end within the bound, end streams. Twice: do not wait."""
        if self._server.should_exit:
            self._server.force_exit = True
        self._server.should_exit = True
        self._server.stopping.set()
        self._app.state.stopping.set()

    async def wait(self) -> None:
        """Until serving has ended."""
        if self._task is not None:
            await self._task

    async def __aenter__(self) -> WebServer:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop()
        await self.wait()


async def serve(host: str, port: int, opening: AbstractAsyncContextManager[WebServer]) -> None:
    """Serve what ``opening`` opens, until SIGTERM or SIGINT.

    The address is bound first, so that a taken port is told before data is opened or a log replayed. Nothing is served
    before ``opening`` is through, and its block ends when the last request has. An error in it comes out of here as it
    is; a taken port is :class:`PortTaken`.
    """
    listener = bind(host, port)
    try:
        loop = asyncio.get_running_loop()
        early_stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, early_stop.set)
        async with opening as server:
            await server.start(listener)
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, server.stop)
            if early_stop.is_set():
                server.stop()
            # What was made up to here stays; the collector need not look at it again.
            gc.collect()
            gc.freeze()
            _log.info("listening", extra={"host": host, "port": port})
            await server.wait()
            _log.info("stopped serving")
    finally:
        listener.close()


def bind(host: str, port: int) -> socket.socket:
    """A bound socket that does not listen yet; :class:`PortTaken` or :class:`SettingsError` otherwise."""
    if not 0 < port < 65536:  # noqa: PLR2004
        raise SettingsError(f"the port must be 1 to 65535, not {port}")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise SettingsError(f"cannot listen on {host!r}: {error.strerror or error}") from None
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise _cannot_bind(host, port, error) from None
    return listener


def _cannot_bind(host: str, port: int, error: OSError) -> SettingsError:
    if error.errno == errno.EADDRINUSE:
        return PortTaken(f"port {port} on {host} is taken by another process; stop it, or choose another port")
    return SettingsError(f"cannot listen on {host}:{port}: {error.strerror}")

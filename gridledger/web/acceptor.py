"""Accepts a server's connections: never more than its table takes, so that files and logs keep their descriptors."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from gridledger.web.connections import Connection, Connections

HANDSHAKE_S = 5.0
"""How long a TLS handshake may take. A node far away needs a tenth of it."""

_AT_ONCE = 64
"""Connections accepted before other work has a turn."""

_PAUSE_S = 0.1
_NO_ROOM = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
_NO_CONNECTION = (OSError, ssl.SSLError, TimeoutError)

_log = logging.getLogger(__name__)

MakeProtocol = Callable[[Connection], asyncio.Protocol]


class Acceptor:
    """Accepts from one listening socket until it is closed. In place of an event loop's server, which knows no bound.

    A connection takes its place before its handshake: one that says nothing holds it for ``HANDSHAKE_S``, or until a
    newcomer needs it.
    """

    def __init__(
        self,
        listener: socket.socket,
        connections: Connections,
        make_protocol: MakeProtocol,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._listener = listener
        self._connections = connections
        self._make_protocol = make_protocol
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._handshakes: set[asyncio.Task[bool]] = set()
        self._resuming: asyncio.TimerHandle | None = None
        self._closed = False
        self._listen()

    def close(self) -> None:
        """Accept no more; handshakes under way are dropped."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._listener)
        if self._resuming is not None:
            self._resuming.cancel()
        for task in self._handshakes:
            task.cancel()

    async def wait_closed(self) -> None:
        """Until no handshake is under way."""
        await asyncio.gather(*self._handshakes, return_exceptions=True)

    def _listen(self) -> None:
        self._resuming = None
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                accepted, address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    raise
                self._pause(error)
                return
            self._take(accepted, str(address[0]))

    def _pause(self, error: OSError) -> None:
        """The system has no descriptor left, against all reckoning: give one back and come again."""
        _log.error("cannot accept a connection: %s", error.strerror, extra={"open": len(self._connections)})
        self._connections.end_one()
        self._loop.remove_reader(self._listener)
        self._resuming = self._loop.call_later(_PAUSE_S, self._listen)

    def _take(self, accepted: socket.socket, address: str) -> None:
        connection = Connection(address, accepted.close)
        if not self._connections.add(connection):
            accepted.close()
            return
        accepted.setblocking(False)
        task = self._loop.create_task(self._connect(accepted, connection))
        connection.end = task.cancel  # type: ignore[assignment]
        self._handshakes.add(task)
        task.add_done_callback(partial(self._shaken, accepted, connection))

    def _shaken(self, accepted: socket.socket, connection: Connection, task: asyncio.Task[bool]) -> None:
        """Close the socket unless its protocol has it. Not in the task: one that is ended before its first step runs
        nothing."""
        self._handshakes.discard(task)
        if task.cancelled() or not task.result():
            self._connections.remove(connection)
            with suppress(OSError):
                accepted.close()

    async def _connect(self, accepted: socket.socket, connection: Connection) -> bool:
        """Shake hands, and hand the connection over to its protocol, which forgets it when it is lost; whether it has
        come to that."""
        try:
            await self._loop.connect_accepted_socket(
                lambda: self._make_protocol(connection),
                accepted,
                ssl=self._tls,
                ssl_handshake_timeout=None if self._tls is None else HANDSHAKE_S,
            )
        except _NO_CONNECTION:
            return False
        return True

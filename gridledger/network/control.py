"""The control socket of a running network: how ``gridledger stop``, ``start`` and ``status`` reach its supervisor.

A unix socket in the network's folder, for the folder's owner only. A connection carries one request and one answer,
each a JSON object in one line: ``{"do": "stop", "name": "peer1"}`` is answered by ``{"ok": ...}``, or by
``{"status", "error"}`` as over HTTP.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

from gridledger import jsontext
from gridledger.errors import BusyError, GridLedgerError, InputError, UnavailableError, from_wire
from gridledger.extras import UnsupportedSystem
from gridledger.network.folder import NetworkFolder
from gridledger.network.lock import is_running

MAX_REQUEST_BYTES = 4096
MAX_ANSWER_BYTES = 256 * 1024
MAX_COMMANDS = 8
MAX_CONNECTIONS = 32
READ_WITHIN_S = 5.0
_STATES_WITHIN_S = 5.0
_LONGEST_ADDRESS = 100
"""Bytes that fit into a unix socket's address on every system."""

Handler = Callable[[str, str], Awaitable[Any]]
"""Takes what to do and the name of a process ("" for none); its answer is JSON."""


@asynccontextmanager
async def control_socket(folder: NetworkFolder, handle: Handler) -> AsyncIterator[None]:
    """Answer requests while the block lasts; those still worked on at its end are given up.

    Raises :class:`OSError` where the socket cannot be made.
    """
    connections: set[asyncio.Task[Any]] = set()
    places = asyncio.Semaphore(MAX_COMMANDS)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio runs this in one
        connections.add(task)
        try:
            if len(connections) <= MAX_CONNECTIONS:
                writer.write(jsontext.dumps(await _answer(reader, handle, places)) + b"\n")
                async with asyncio.timeout(READ_WITHIN_S):
                    await writer.drain()
        except (OSError, TimeoutError, asyncio.CancelledError):
            return  # whoever asked is gone, or we are at the end
        finally:
            connections.discard(task)
            writer.close()

    server = await asyncio.start_unix_server(serve, sock=_listener(folder), limit=MAX_REQUEST_BYTES)
    try:
        yield
    finally:
        server.close()
        with suppress(OSError):
            folder.control_socket.unlink(missing_ok=True)
        for task in connections:
            task.cancel()
        if connections:
            await asyncio.wait(connections)


async def _answer(reader: asyncio.StreamReader, handle: Handler, places: asyncio.Semaphore) -> dict[str, Any]:
    try:
        try:
            async with asyncio.timeout(READ_WITHIN_S):
                line = await reader.readuntil(b"\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            raise InputError(f"a request is one line of at most {MAX_REQUEST_BYTES} bytes") from None
        request = jsontext.loads(line)
        do, name = (request.get("do"), request.get("name", "")) if isinstance(request, dict) else (None, None)
        if not isinstance(do, str) or not isinstance(name, str):
            raise InputError('a request is an object such as {"do": "stop", "name": "peer1"}')
        if places.locked():
            raise BusyError(f"{MAX_COMMANDS} commands are being carried out; try again")
        async with places:
            return {"ok": await handle(do, name)}
    except GridLedgerError as error:
        return {"status": error.status, "error": error.to_dict()}


def ask(folder: NetworkFolder, do: str, name: str = "", *, timeout_s: float = 90.0) -> Any:
    """What the supervisor of this folder answers; its errors, and :class:`UnavailableError` where none runs."""
    if not hasattr(socket, "AF_UNIX"):
        raise UnsupportedSystem("a command to a supervisor")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout_s)
        try:
            with _address(folder.control_socket) as address:
                connection.connect(address)
            connection.sendall(jsontext.dumps({"do": do, "name": name}) + b"\n")
            line = _read_line(connection)
        except TimeoutError:
            raise UnavailableError(f"the supervisor of {folder.root} did not answer within {timeout_s:g} s") from None
        except OSError:
            raise _unreachable(folder) from None
    try:
        answer = jsontext.loads(line)
    except GridLedgerError:
        raise _unreachable(folder) from None
    if "error" in answer:
        raise from_wire(answer["status"], answer["error"])
    return answer["ok"]


def process_states(folder: NetworkFolder) -> dict[str, str]:
    """Each process of this folder's network by name: running, stopped, or how it ended. Empty where no supervisor
    answers."""
    try:
        states = ask(folder, "states", timeout_s=_STATES_WITHIN_S)
    except GridLedgerError:
        return {}
    return {str(name): str(state) for name, state in states.items()}


def _unreachable(folder: NetworkFolder) -> UnavailableError:
    if is_running(folder):
        return UnavailableError(f"the supervisor of {folder.root} takes no commands now: it is starting or stopping")
    return UnavailableError(f"the network in {folder.root} is not running; start it first (gridledger up)")


def _read_line(connection: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\n"):
        part = connection.recv(65536)
        if not part or len(data) > MAX_ANSWER_BYTES:
            raise OSError("no whole answer")
        data += part
    return data


def _listener(folder: NetworkFolder) -> socket.socket:
    path = folder.control_socket
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.setblocking(False)
        with _address(path) as address:
            listener.bind(address)
        # Nobody can connect before we listen.
        path.chmod(0o600)
        listener.listen(MAX_CONNECTIONS)
    except BaseException:
        listener.close()
        raise
    return listener


@contextmanager
def _address(path: Path) -> Iterator[str]:
    """The socket's address. One that is too long for the system is given through the folder's descriptor (Linux)."""
    if len(os.fsencode(path)) <= _LONGEST_ADDRESS:
        yield str(path)
        return
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{path.name}"
    finally:
        os.close(descriptor)

"""One chaincode host, seen from the peer's event loop: start it, ask it, kill it."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import gridledger
from gridledger import jsontext
from gridledger.contract import wire
from gridledger.contract.wire import Reply
from gridledger.errors import GridLedgerError, MalformedFrames, TimeoutExceeded, UnavailableError
from gridledger.protocol.result import KIND as RESULT_KIND

_LENGTH_BYTES: Final = 4
_LINES_A_MINUTE: Final = 200
_LONGEST_LOGGED_LINE: Final = 2000
_KILL_WAIT_S: Final = 5.0

log = logging.getLogger(__name__)


class ChaincodeCrashed(GridLedgerError):
    """The chaincode's process died while it ran this proposal; other proposals are not affected."""

    code = "CHAINCODE_CRASHED"
    status = 502


class ChaincodeTimeout(TimeoutExceeded):
    """The chaincode took longer than a call may, and its process was killed."""

    code = "CHAINCODE_TIMEOUT"


class ChaincodeUnavailable(UnavailableError):
    """No host of this chaincode could be started; the message says why."""

    code = "CHAINCODE_UNAVAILABLE"


class HostSettings(NamedTuple):
    """What every host of a pool is started with. ``memory_bytes`` bounds private memory (RLIMIT_DATA)."""

    name: str
    package_dir: Path
    ledger_dir: Path
    memory_bytes: int
    start_timeout_s: float


class HostProcess(asyncio.Protocol):
    """A running host. One request at a time; after :class:`ChaincodeCrashed` or a kill it is of no more use."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[tuple[int, bytes]] | None = None
        self._expected = b""
        self._process: Process | None = None
        self._output: asyncio.Task[None] | None = None
        self.closed = False

    @classmethod
    async def start(cls, settings: HostSettings) -> HostProcess:
        """Start a host and wait until its chaincode is loaded; :class:`ChaincodeUnavailable` says why it is not."""
        host = cls()
        ours, theirs = socket.socketpair()
        try:
            await asyncio.get_running_loop().create_connection(lambda: host, sock=ours)
            host._waiting = asyncio.get_running_loop().create_future()
            with theirs:
                host._process = await _spawn(settings, theirs)
            host._output = asyncio.create_task(_log_output(settings.name, host._process.stdout))
            async with asyncio.timeout(settings.start_timeout_s):
                kind, text = await host._waiting
            if kind != Reply.READY:
                raise wire.read_error(text)
            warn_of_missing_confinement(settings.name, jsontext.loads(text))
        except TimeoutError:
            await host.kill()
            raise ChaincodeUnavailable(
                f"chaincode {settings.name}: its host was not ready after {settings.start_timeout_s} s"
            ) from None
        except (GridLedgerError, OSError) as error:
            await host.kill()
            raise ChaincodeUnavailable(f"chaincode {settings.name} could not be started: {error}") from error
        except BaseException:
            await host.kill()
            raise
        return host

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid if self._process is not None else 0

    def ask(self, request: bytes, tx_id: str, timeout_s: float) -> asyncio.Future[tuple[int, bytes]]:
        """Send a framed request; a future of the reply's kind and text. Only when it is done may the next one be sent.

        A result for another proposal than ``tx_id`` is not taken: a chaincode that found the socket could send one.

        It fails with :class:`ChaincodeTimeout` or :class:`ChaincodeCrashed`; this host is then to be killed.
        """
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[tuple[int, bytes]] = loop.create_future()
        if self.closed or self._transport is None:
            waiting.set_exception(ChaincodeCrashed("the chaincode's host is gone"))
            return waiting
        self._waiting = waiting
        self._expected = f'{{"kind":"{RESULT_KIND}","tx_id":"{tx_id}",'.encode()
        timer = loop.call_later(timeout_s, _expire, waiting, timeout_s)
        waiting.add_done_callback(lambda _: timer.cancel())
        self._transport.write(request)
        return waiting

    async def kill(self) -> None:
        """End the process, now, and wait until it is gone. Killing twice is harmless."""
        self.closed = True
        if self._transport is not None:
            self._transport.abort()
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        try:
            async with asyncio.timeout(_KILL_WAIT_S):
                await process.wait()
                if self._output is not None:
                    await self._output  # ends with the last process that holds the pipe
        except TimeoutError:
            log.exception("chaincode host %d does not die", process.pid)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        if len(received) < _LENGTH_BYTES:
            return
        length = int.from_bytes(received[:_LENGTH_BYTES], "big")
        if not 0 < length <= wire.MAX_REPLY_BYTES:
            self._fail(MalformedFrames(f"a chaincode host sent a frame of {length} bytes"))
            return
        end = _LENGTH_BYTES + length
        if len(received) < end:
            return
        kind, text = received[_LENGTH_BYTES], bytes(received[_LENGTH_BYTES + 1 : end])
        del received[:end]
        foreign = kind in (Reply.RESULT, Reply.LAST_RESULT) and not text.startswith(self._expected)
        if self._waiting is None or self._waiting.done() or received or foreign:
            # An answer to nothing: the chaincode got hold of the socket. Nothing that it says can be trusted.
            self._fail(ChaincodeCrashed("the chaincode's host said what it was not asked, and was killed"))
            return
        self._waiting.set_result((kind, text))

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._fail(ChaincodeCrashed("the chaincode's process died while it ran this proposal"))

    def _fail(self, error: GridLedgerError) -> None:
        self.closed = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)
        if self._transport is not None:
            self._transport.abort()


def _expire(waiting: asyncio.Future[tuple[int, bytes]], timeout_s: float) -> None:
    if not waiting.done():
        waiting.set_exception(
            ChaincodeTimeout(f"the chaincode did not answer within {timeout_s} s; its process was killed")
        )


async def _spawn(settings: HostSettings, connection: socket.socket) -> Process:
    descriptor = connection.fileno()
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        "gridledger.contract.host",
        str(descriptor),
        str(os.getpid()),
        str(settings.package_dir),
        str(settings.ledger_dir),
        str(settings.memory_bytes),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
        pass_fds=(descriptor,),
        cwd="/",
        env=_environment(),
    )


def _environment() -> dict[str, str]:
    """All that a host gets to know of the peer's environment: nothing but where GridLedger lies.

    With one hash seed, sets of strings have one order on every peer that runs the same version of Python.
    """
    return {
        "PYTHONPATH": str(Path(gridledger.__file__).parent.parent),
        "PYTHONHASHSEED": "0",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
    }


async def _log_output(name: str, output: asyncio.StreamReader | None) -> None:
    """Log what the chaincode prints, as far as a log can bear it: so many lines a minute."""
    if output is None:
        return
    loop = asyncio.get_running_loop()
    partial, room, renewal = b"", _LINES_A_MINUTE, loop.time() + 60.0
    while data := await output.read(8192):
        *lines, partial = (partial + data).split(b"\n")
        if len(partial) > _LONGEST_LOGGED_LINE:
            lines.append(partial)
            partial = b""
        if loop.time() > renewal:
            room, renewal = _LINES_A_MINUTE, loop.time() + 60.0
        for line in lines[:room]:
            log.info("chaincode %s: %s", name, line[:_LONGEST_LOGGED_LINE].decode("utf-8", "replace"))
        if 0 < room <= len(lines):
            log.warning(
                "chaincode %s has printed %d lines; for a minute, the rest is not logged", name, _LINES_A_MINUTE
            )
        room = max(room - len(lines), 0)


def warn_of_missing_confinement(name: str, ready: dict[str, Any]) -> None:
    """Say loudly what a host that is ready could not give up."""
    if not ready["landlock_abi"]:
        log.warning(
            "chaincode %s RUNS WITHOUT LANDLOCK: this kernel has none, so it can read every file this user can", name
        )
    if not ready["seccomp"]:
        log.warning("chaincode %s RUNS WITHOUT SECCOMP: it can open sockets and start processes", name)

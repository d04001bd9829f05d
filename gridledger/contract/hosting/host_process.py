"""One chaincode host as the peer's event loop sees it: started, asked and killed."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import gridledger
from gridledger import jsontext
from gridledger.contract.hosting import progress, wire
from gridledger.contract.hosting.cgroup import HostGroup
from gridledger.contract.hosting.progress import HostProgress
from gridledger.contract.hosting.wire import Reply, Request
from gridledger.contract.loader import ChaincodeLoadError, one_line
from gridledger.errors import GridLedgerError, MalformedFrames, TimeoutExceeded, UnavailableError
from gridledger.protocol.result import KIND as RESULT_KIND

_KIND: Final = RESULT_KIND.encode()
_LENGTH_BYTES: Final = 4
_LINES_A_MINUTE: Final = 200
_LONGEST_LOGGED_LINE: Final = 2000
_KILL_WAIT_S: Final = 5.0
_UNREADABLE: Final = "its host said what cannot be read, and was killed"  # a package may have written to its socket

_log = logging.getLogger(__name__)


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
    """What every host of a pool is started with. ``memory_bytes`` bounds private memory (RLIMIT_DATA), ``map_bytes`` is
    what the maps of all ledgers take up of its addresses."""

    name: str
    package_dir: Path
    ledger_dir: Path
    memory_bytes: int
    start_timeout_s: float
    map_bytes: int = 0


Replies = list[tuple[int, bytes]]
"""What a host has answered, in the order of its batch: each reply's kind and text."""


class HostProcess(asyncio.Protocol):
    """A running host. One batch at a time; after :class:`ChaincodeCrashed` or a kill it is of no more use."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None
        self._replies: Replies = []
        self._failure: GridLedgerError | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._expected: deque[bytes] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._timeout_s = 0.0
        self._process: Process | None = None
        self._progress: HostProgress | None = None
        self._output: asyncio.Task[None] | None = None
        self._group: HostGroup | None = None
        self._lied = False
        self.closed = False

    @classmethod
    async def start(cls, settings: HostSettings) -> HostProcess:
        """Start a host and wait until its chaincode is loaded; :class:`ChaincodeUnavailable` says why it is not."""
        try:
            return await cls.load(settings)
        except (GridLedgerError, OSError) as error:
            raise ChaincodeUnavailable(f"chaincode {settings.name} could not be started: {error}") from error

    @classmethod
    async def load(cls, settings: HostSettings) -> HostProcess:
        """As :meth:`start`; :class:`ChaincodeLoadError` where the package is to blame, OSError where it is not."""
        host = cls()
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        try:
            await loop.create_connection(lambda: host, sock=ours)
            host._expected.append(b"")
            with theirs, ExitStack() as stack:
                note = progress.new_note()
                stack.callback(os.close, note)
                host._progress = HostProgress(note)
                host._process = await _spawn(settings, theirs.fileno(), note)
            host._group = HostGroup.of(host.pid, settings.memory_bytes)
            host._output = asyncio.create_task(_log_output(settings.name, host._process.stdout))
            async with asyncio.timeout(settings.start_timeout_s):
                kind, text = (await host.replies())[0]
            if kind != Reply.READY:
                raise ChaincodeLoadError(one_line(wire.read_error(text).message))
            warn_of_missing_confinement(settings.name, jsontext.loads(text))
        except TimeoutError:
            await host.kill()
            raise ChaincodeLoadError(f"its host was not ready after {settings.start_timeout_s} s") from None
        except ChaincodeLoadError:
            await host.kill()
            raise
        except GridLedgerError as error:
            await host.kill()
            died = isinstance(error, ChaincodeCrashed) and not host._lied
            raise ChaincodeLoadError(host._end() if died else _UNREADABLE) from None
        except BaseException:
            await host.kill()
            raise
        return host

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid if self._process is not None else 0

    def send(self, calls: Sequence[Request], timeout_s: float) -> None:
        """Send a batch, whose replies come by :meth:`replies`. When all have come the next one may be sent.

        A result for another proposal than its turn's is not taken: a chaincode that found the socket could send one.
        The batch ends early by :class:`ChaincodeTimeout`, after ``timeout_s`` without a reply, or by
        :class:`ChaincodeCrashed`; this host is then to be killed.
        """
        if self.closed or self._transport is None or self._progress is None:
            raise ChaincodeCrashed("the chaincode's host is gone")
        self._expected.extend(b'{"kind":"%b","tx_id":"%b",' % (_KIND, call.tx_id) for call in calls)
        self._timeout_s = timeout_s
        self._timer = asyncio.get_running_loop().call_later(timeout_s, self._expire)
        self._progress.rest()
        self._transport.write(wire.write_batch(calls))

    async def replies(self, within_s: float | None = None) -> Replies:
        """The replies that have come since the last time; waits for some, ``within_s`` at most, and is then empty.

        Raises what ended the batch early.
        """
        if not self._replies and self._failure is None:
            loop = asyncio.get_running_loop()
            self._waiting = loop.create_future()
            timer = None if within_s is None else loop.call_later(within_s, self._wake)
            try:
                await self._waiting
            finally:
                self._waiting = None
                if timer is not None:
                    timer.cancel()
        replies, self._replies = self._replies, []
        if not replies and self._failure is not None:
            raise self._failure
        return replies

    def running(self) -> int | None:
        """The position in its batch of the call that the host runs, or ran when it died.

        None if it ran none, or has said what it was not asked: then which call that was is not known.
        """
        return None if self._progress is None or self._lied else self._progress.running()

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
                if self._group is not None:
                    self._group.remove()
                if self._output is not None:
                    await self._output  # ends with the last process that holds the pipe
        except TimeoutError:
            _log.exception("chaincode host %d does not die", process.pid)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        try:
            replies = self._read()
        except GridLedgerError as error:
            self._lied = True
            self._fail(error)
            return
        if not replies:
            return
        if self._timer is not None:
            self._timer.cancel()
            if self._expected:
                self._timer = asyncio.get_running_loop().call_later(self._timeout_s, self._expire)
        self._replies += replies
        self._wake()

    def _read(self) -> Replies:
        """The whole replies among what was received."""
        received, start = self._received, 0
        replies: Replies = []
        while len(received) - start >= _LENGTH_BYTES:
            begin = start + _LENGTH_BYTES
            length = int.from_bytes(received[start:begin], "big")
            if not 0 < length <= wire.MAX_REPLY_BYTES:
                raise MalformedFrames(f"a chaincode host sent a frame of {length} bytes")
            end = begin + length
            if len(received) < end:
                break
            kind, text = received[begin], bytes(memoryview(received)[begin + 1 : end])
            start = end
            foreign = kind in (Reply.RESULT, Reply.LAST_RESULT) and not (
                self._expected and text.startswith(self._expected[0])
            )
            if not self._expected or foreign:
                # An answer to nothing: the chaincode got hold of the socket. Nothing that it says can be trusted.
                raise ChaincodeCrashed("the chaincode's host said what it was not asked, and was killed")
            self._expected.popleft()
            if kind == Reply.LAST_RESULT:
                self._expected.clear()
            replies.append((kind, text))
        if start:
            del received[:start]
        if received and not self._expected:
            raise ChaincodeCrashed("the chaincode's host said what it was not asked, and was killed")
        return replies

    def _end(self) -> str:
        """How the process ended that did not get so far as to be ready."""
        code = None if self._process is None else self._process.returncode
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        return f"its process ended while it was loaded ({how})"

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._fail(ChaincodeCrashed("the chaincode's process died while it ran this proposal"))

    def _expire(self) -> None:
        self._fail(ChaincodeTimeout(f"the chaincode did not answer within {self._timeout_s} s; its process was killed"))

    def _fail(self, error: GridLedgerError) -> None:
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._failure = self._failure or error
        self._wake()
        if self._transport is not None:
            self._transport.abort()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


async def _spawn(settings: HostSettings, descriptor: int, note: int) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        "gridledger.contract.hosting.host",
        str(descriptor),
        str(note),
        str(os.getpid()),
        str(settings.package_dir),
        str(settings.ledger_dir),
        str(settings.memory_bytes),
        str(settings.map_bytes),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
        pass_fds=(descriptor, note),
        cwd="/",
        env=_environment(),
    )


def _environment() -> dict[str, str]:
    """All that a host gets to know of the peer's environment: nothing but where GridLedger lies.

    With one hash seed, sets of strings have one order on every peer that runs the same version of Python. A host may
    start no thread, so numpy's libraries are told to use one.
    """
    return {
        "PYTHONPATH": str(Path(gridledger.__file__).parent.parent),
        "PYTHONHASHSEED": "0",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
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
            _log.info("chaincode %s: %s", name, line[:_LONGEST_LOGGED_LINE].decode("utf-8", "replace"))
        if 0 < room <= len(lines):
            _log.warning(
                "chaincode %s has printed %d lines; for a minute, the rest is not logged", name, _LINES_A_MINUTE
            )
        room = max(room - len(lines), 0)


def warn_of_missing_confinement(name: str, ready: Any) -> None:
    """Say loudly what a host that is ready could not give up."""
    if not isinstance(ready, dict) or not {"landlock_abi", "seccomp"} <= ready.keys():
        raise ChaincodeLoadError(_UNREADABLE)
    if not ready["landlock_abi"]:
        _log.warning(
            "chaincode %s RUNS WITHOUT LANDLOCK: this kernel has none, so it can read every file this user can", name
        )
    if not ready["seccomp"]:
        _log.warning("chaincode %s RUNS WITHOUT SECCOMP: it can open sockets, start processes and change files", name)

"""The committer's process, as the peer's edge starts it, hears its reports and stops it. It is never restarted."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

from gridledger import framing
from gridledger.channel_record import ChannelFiles
from gridledger.errors import GridLedgerError, UnavailableError
from gridledger.ledger.validation import SignatureCheck
from services.peer.committer.known_signatures import Notes
from services.peer.committer.messages import (
    MAX_REPORT_BYTES,
    BlockCommitted,
    CommitterFault,
    CommitterReady,
    CommitterReport,
    CommitterTask,
    SourceChanged,
    read_report,
)
from services.peer.settings import PeerSettings

FAILED = "failed: "
READ_BYTES = 64 * 1024
_OF_DAMAGED_FILES = frozenset((signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT))

_log = logging.getLogger(__name__)


class CommitterFailed(UnavailableError):
    """The committer's process ended by itself. The peer stops: without it the ledger would no longer grow."""

    code = "COMMITTER_FAILED"


class CommitProcess:
    """One committer's process, for some of the peer's channels. ``on_report`` gets its reports, in order."""

    def __init__(
        self,
        settings: PeerSettings,
        channels: Sequence[str],
        on_report: Callable[[CommitterReport], None],
        files: Callable[[str], ChannelFiles],
    ) -> None:
        """``files`` tells where each channel's genesis and config blocks lie."""
        self._settings = settings
        self._files = files
        self._channels = list(channels)
        self._on_report = on_report
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._listening: asyncio.Task[str] | None = None
        self._ready: asyncio.Future[CommitterReady] | None = None
        self._stopping = False
        self._notes = Notes()

    @property
    def channels(self) -> list[str]:
        """The channels that it commits."""
        return list(self._channels)

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid if self._process is not None else 0

    async def start(self, timeout_s: float = 60.0) -> CommitterReady:
        """Start the process and wait until it has opened its ledgers; :class:`CommitterFailed` says why it did not."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "services.peer.committer",
                str(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
            )
        reader, self._writer = await asyncio.open_connection(sock=ours)
        self._writer.write(framing.frame(_task(self._settings, self._channels, self._files).to_bytes()))
        self._ready = asyncio.get_running_loop().create_future()
        self._listening = asyncio.ensure_future(self._listen(reader))
        await asyncio.wait((self._ready, self._listening), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if self._ready.done():
            return self._ready.result()
        reason = self._listening.result() if self._listening.done() else f"it was not ready after {timeout_s} s"
        await self.stop()
        raise CommitterFailed(
            f"the committer of {', '.join(self._channels)} did not start: {reason.removeprefix(FAILED)}"
        )

    def note(self, check: SignatureCheck) -> None:
        """Tell the committer of a signature that this peer has made or verified, so that it need not verify it."""
        if self._writer is not None:
            self._notes.add(self._writer, check)

    async def watch(self) -> None:
        """Wait until the process ends. Returns when it was told to; raises :class:`CommitterFailed` otherwise."""
        if self._listening is None or self._process is None:
            raise CommitterFailed("the committer was not started")
        reason = await asyncio.shield(self._listening)
        if not self._stopping:
            raise CommitterFailed(
                f"the committer of {', '.join(self._channels)} (process {self.pid}) {reason}; this peer stops"
            )

    async def stop(self) -> None:
        """Tell the process to stop, and wait until it has; kill it when it takes too long."""
        self._stopping = True
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(self._settings.committer.stop_timeout_s):
                    await process.wait()
            except TimeoutError:
                _log.error("the committer (process %d) does not stop and is killed", process.pid)
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if self._listening is not None:
            await asyncio.gather(self._listening, return_exceptions=True)
        if self._writer is not None:
            self._writer.close()

    async def _listen(self, reader: asyncio.StreamReader) -> str:
        """Pass reports on until the process ends; returns how it ended."""
        failure = broken = ""
        try:
            buffer = framing.FrameBuffer(MAX_REPORT_BYTES)
            while piece := await reader.read(READ_BYTES):
                for frame in buffer.feed(piece):
                    report = read_report(frame)
                    if isinstance(report, BlockCommitted | SourceChanged):
                        self._on_report(report)
                    elif isinstance(report, CommitterFault):
                        failure = report.message
                    elif self._ready is not None and not self._ready.done():
                        self._ready.set_result(report)
        except ConnectionError as error:
            # It died before it had read all our notes. Its exit code says more.
            broken = f"broke off: {error}"
        except GridLedgerError as error:
            failure = failure or f"broke off: {error}"
        except Exception as error:
            # Without this report the edge would have an old view of the ledger: stop as well.
            _log.exception("a report of the committer could not be taken")
            failure = f"was not understood: {error!r}"
        if self._process is None:
            return failure
        if (failure or broken) and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.terminate()
        code = await self._process.wait()
        if failure or (broken and code == -signal.SIGTERM):
            return FAILED + (failure or broken)
        return _ending(code)


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    if -code in _OF_DAMAGED_FILES:
        name = signal.Signals(-code).name
        return f"was ended by {name}, as by a ledger whose file is damaged: run gridledger verify on it"
    return f"was killed by signal {-code}"


def _task(settings: PeerSettings, channels: list[str], files: Callable[[str], ChannelFiles]) -> CommitterTask:
    limits = settings.committer
    found = {name: files(name) for name in channels}
    return CommitterTask(
        name=settings.name,
        identity=str(settings.identity),
        roots=str(settings.roots),
        ledgers=str(settings.ledger_directory),
        genesis={name: str(of.genesis) for name, of in found.items()},
        ahead={name: [str(path) for path in of.configs] for name, of in found.items()},
        channels=channels,
        log_level=settings.log_level,
        map_bytes=limits.map_bytes,
        max_blocks_per_commit=limits.max_blocks_per_commit,
        max_bytes_per_commit=limits.max_bytes_per_commit,
        max_buffered_bytes=limits.max_buffered_bytes,
        verify_threads=limits.verify_threads,
        backoff_initial_s=limits.backoff_initial_s,
        backoff_max_s=limits.backoff_max_s,
        stall_s=limits.stall_s,
        progress_interval_s=limits.progress_interval_s,
    )

"""The processes of a network: how each is started, and when it is healthy."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import socket
import ssl
import sys
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from io import FileIO
from pathlib import Path
from urllib.parse import urlsplit

from gridledger.errors import GridLedgerError, PortTaken, UnavailableError
from gridledger.identity.signer import SigningIdentity
from gridledger.network.folder import NetworkFolder
from gridledger.network.schema import CompanionSpec, NetworkConfig, NodeSpec
from gridledger.transport.node_client import NodeClient

_PR_SET_PDEATHSIG = 1
_OF_DAMAGED_FILES = frozenset((signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT))
_MAX_LINE_BYTES = 1024 * 1024
_MAX_LOG_BYTES = 64 * 1024 * 1024
_POLL_S = 0.05
_LAST_LINES = 20
_MAX_REASON = 500
_TRACEBACK_FRAME = " |+-"
"""Characters that Python draws around the traceback of a group."""


@dataclass(frozen=True, slots=True)
class Service:
    """One process of the network.

    ``settings`` is its settings file, ``roots`` whom its certificate leads to, ``identity`` as whom its health is asked
    for (its organisation's admin; None where there is no identity yet). A companion's health is asked for without
    certificates, and it may have ``more_ports``.
    """

    name: str
    module: str
    settings: Path
    url: str
    port: int
    roots: Path
    identity: Path | None = None
    is_companion: bool = False
    more_ports: tuple[int, ...] = ()


def services_of(
    config: NetworkConfig, folder: NetworkFolder, companions: Sequence[CompanionSpec] = ()
) -> list[list[Service]]:
    """All processes, in stages: what a stage needs has been started in the ones before."""

    def node(spec: NodeSpec, module: str) -> Service:
        url = config.url(spec)
        admin = folder.user(spec.organisation, "admin")
        return Service(spec.name, module, folder.node(spec.name) / "config.json", url, spec.port, folder.roots, admin)

    ca_url = config.url(config.ca)
    ca = Service("ca", "services.ca", folder.ca / "config.json", ca_url, config.ca.port, folder.ca_tls_root)
    orderers = [node(item, "services.orderer") for item in config.orderers]
    peers = [node(item, "services.peer") for item in config.peers]
    beside = [[companion_service(config, folder, item) for item in layer] for layer in _layers(companions)]
    return [[ca], orderers, peers, *beside]


def _layers(companions: Sequence[CompanionSpec]) -> list[list[CompanionSpec]]:
    """Companions side by side, behind those that they need; who is needed stands before in ``companions``."""
    depths: dict[str, int] = {}
    layers: list[list[CompanionSpec]] = []
    for spec in companions:
        depth = depths[spec.name] = max((depths.get(needed, -1) + 1 for needed in spec.needs), default=0)
        if depth == len(layers):
            layers.append([])
        layers[depth].append(spec)
    return layers


def companion_service(config: NetworkConfig, folder: NetworkFolder, spec: CompanionSpec) -> Service:
    """The process of a companion that is a service."""
    assert spec.port is not None  # noqa: S101 - a job has no process of its own here
    return Service(
        spec.name,
        spec.runs,
        folder.companion(spec.name) / "config.json",
        config.url(spec),
        spec.port,
        folder.roots,
        is_companion=True,
        more_ports=tuple(spec.ports.values()),
    )


def check_ports(config: NetworkConfig, services: list[Service]) -> None:
    """Raise :class:`PortTaken` naming each port that another process has, and who would need it."""
    wanted = [(port, service.name) for service in services for port in (service.port, *service.more_ports)]
    taken = [f"{port} ({name})" for port, name in wanted if _taken(config.host, port)]
    if taken:
        raise PortTaken(
            f"taken on {config.host}: port {', '.join(taken)}; stop who has it, or move all ports by --port-offset"
        )


class LogFile:
    """A log of bounded size: what is beyond ``max_bytes`` begins anew, and what was before is kept once, as ``.1``.

    What cannot be written, on a full disk, is left out and counted; the log goes on when there is room again.
    """

    def __init__(self, path: Path, max_bytes: int = _MAX_LOG_BYTES) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._file: FileIO | None = None
        self._left_out = 0

    def write(self, data: bytes) -> None:
        """Append, and let others read it at once. Never raises :class:`OSError`."""
        note = b"\n(%d lines left out: no room)\n" % self._left_out if self._left_out else b""
        try:
            written = self._opened(len(data)).write(note + data)
        except OSError:
            written = 0
        self._left_out = 0 if written == len(note + data) else self._left_out + 1

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _opened(self, more: int) -> FileIO:
        # Without a buffer, in which what finds no room would stay.
        if self._file is None:
            self._file = FileIO(self._path, "ab")
        if self._file.tell() + more > self._max_bytes:
            self._file.close()
            self._file = None
            self._path.replace(self._path.with_name(self._path.name + ".1"))
            self._file = FileIO(self._path, "ab")
        return self._file


class RunningProcess:
    """A started process, its output copied line by line to a sink and to its log file."""

    def __init__(self, service: Service, process: asyncio.subprocess.Process) -> None:
        self.service = service
        self._process = process
        self._last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._copying: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls, service: Service, *, project: Path, log: Path, sink: Callable[[str, str], None]
    ) -> RunningProcess:
        """Start a service. ``sink`` gets its name and each line; the process ends when we do, even by kill -9."""
        parent = os.getpid()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", service.module, "--config", str(service.settings)),
            cwd=project,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=_MAX_LINE_BYTES,
            start_new_session=True,
            preexec_fn=lambda: _end_with(parent),
        )
        running = cls(service, process)
        running._copying = asyncio.create_task(running._copy(log, sink))
        return running

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether the process has ended."""
        return self._process.returncode is not None

    async def wait(self) -> int:
        """Wait for the end; the exit code (negative: the signal)."""
        code = await self._process.wait()
        if self._copying is not None:
            await self._copying
        return code

    async def end_text(self) -> str:
        """Once it has ended: who ended, how, and what it said about it, in one line."""
        return f"{self.service.name} {await self.how_it_ended()}"

    async def how_it_ended(self) -> str:
        """The same without the name."""
        code = await self.wait()
        text = f"ended with {exit_text(code)}"
        # What it wrote before a signal came is not why it came.
        said = reason(self._last_lines, told_only=code <= 0)
        return f"{text}: {said}" if said else text

    async def healthy(self, timeout_s: float) -> None:
        """Wait until ``/healthz`` says ok; :class:`UnavailableError` when it does not in time or the process ends."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        client: NodeClient | None = None
        last = "nothing heard"
        try:
            while loop.time() < deadline:
                if self.ended:
                    raise UnavailableError(f"{await self.end_text()} (while starting)")
                # Asked first, since a TLS client each time would take the CPU that the starting processes need.
                if _listens(self.service.url):
                    try:
                        if self.service.is_companion:
                            await asyncio.to_thread(_ask_companion, self.service.url)
                        else:
                            client = client or health_client(self.service)
                            await client.get("/healthz", timeout_s=1.0)
                    except GridLedgerError as error:
                        last = error.message
                    else:
                        return
                await asyncio.sleep(_POLL_S)
            said = reason(self._last_lines)
            text = f"{self.service.name} was not healthy within {timeout_s:g} s: {last}"
            raise UnavailableError(f"{text}; its last line: {said}" if said else text)
        finally:
            if client is not None:
                await client.close()

    async def _copy(self, log: Path, sink: Callable[[str, str], None]) -> None:
        """Copy the output until its end, whatever becomes of log and sink: unread output would block the process."""
        stream = self._process.stdout
        assert stream is not None  # noqa: S101 - asked for in start()
        with closing(LogFile(log)) as file:
            while True:
                try:
                    data = await stream.readline()
                except ValueError:
                    continue  # a line beyond the limit; what comes after it is read on
                if not data:
                    return
                line = data.decode("utf-8", "replace").rstrip("\n")
                self._last_lines.append(line)
                file.write(data)
                with suppress(OSError):
                    sink(self.service.name, line)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process, where it has not ended."""
        if not self.ended:
            self._process.send_signal(number)

    async def stop(self, timeout_s: float) -> None:
        """SIGTERM, and SIGKILL where that does not end it in time."""
        if not self.ended:
            self._process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(timeout_s):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
        await self.wait()


def reason(lines: Iterable[str], *, told_only: bool = False) -> str:
    """Why a process ended, by its last lines: the error that it told, else (``told_only``: "") the last line.

    Of a line of its log this is the message, of a traceback the exception.
    """
    said = [line.strip(_TRACEBACK_FRAME) for line in lines]
    said = [line for line in said if line]
    told = [line.removeprefix("error: ") for line in said if line.startswith("error: ")]
    if told or told_only or not said:
        return told[-1] if told else ""
    try:
        message = json.loads(said[-1])["message"]
    except (ValueError, KeyError, TypeError):
        message = said[-1]
    return str(message)[:_MAX_REASON]


def health_client(service: Service) -> NodeClient:
    """A connection over mutual TLS to a service that runs; without a certificate of ours where there is none yet."""
    identity = SigningIdentity.load(service.identity) if service.identity is not None else None
    return NodeClient(service.url, identity, service.roots.read_text(encoding="ascii"), max_connections=1)


def _ask_companion(url: str) -> None:
    """Ask a companion on this machine for its health; :class:`UnavailableError` where it is not well.

    Whose certificate it has does not matter here.
    """
    parts = urlsplit(url)
    host = parts.netloc
    connection: HTTPConnection
    if parts.scheme == "https":
        connection = HTTPSConnection(host, timeout=1.0, context=ssl._create_unverified_context())  # noqa: S323, SLF001
    else:
        connection = HTTPConnection(host, timeout=1.0)
    with closing(connection):
        try:
            connection.request("GET", "/healthz")
            status = connection.getresponse().status
        except (OSError, HTTPException) as error:
            raise UnavailableError(f"{url}/healthz: {error}") from None
    if status != HTTPStatus.OK:
        raise UnavailableError(f"{url}/healthz answers {status}")


def exit_text(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    hint = " (a damaged ledger ends a peer so: gridledger verify)" if -code in _OF_DAMAGED_FILES else ""
    return f"signal {signal.Signals(-code).name}{hint}"


def _end_with(parent: int) -> None:
    """Runs in the child before exec: die when the supervisor dies, whatever kills it (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)


def _listens(url: str) -> bool:
    parts = urlsplit(url)
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((parts.hostname or "", parts.port or 0)) == 0


def _taken(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False

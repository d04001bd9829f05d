"""The processes of a network: how each is started, and when it is healthy."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridledger.client.http import NodeClient
from gridledger.errors import GridLedgerError, SettingsError, UnavailableError
from gridledger.network.folder import NetworkFolder
from gridledger.network.schema import NetworkConfig

_PR_SET_PDEATHSIG = 1
_MAX_LINE_BYTES = 1024 * 1024
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Service:
    """One process of the network. ``settings`` is its settings file, ``roots`` whom its certificate leads to."""

    name: str
    module: str
    settings: Path
    url: str
    port: int
    roots: Path


def services_of(config: NetworkConfig, folder: NetworkFolder) -> list[list[Service]]:
    """All processes, in stages: what a stage needs has been started in the ones before."""

    def node(name: str, module: str, port: int) -> Service:
        url = f"https://{config.host}:{port}"
        return Service(name, module, folder.node(name) / "config.json", url, port, folder.roots)

    ca_url = f"https://{config.host}:{config.ca.port}"
    ca = Service("ca", "services.ca", folder.ca / "config.json", ca_url, config.ca.port, folder.ca_tls_root)
    orderers = [node(item.name, "services.orderer", item.port) for item in config.orderers]
    peers = [node(item.name, "services.peer", item.port) for item in config.peers]
    return [[ca], orderers, peers]


def check_ports(config: NetworkConfig, services: list[Service]) -> None:
    """Raise :class:`SettingsError` naming each port that another process has, and who would need it."""
    taken = [f"{service.port} ({service.name})" for service in services if _taken(config.host, service.port)]
    if taken:
        raise SettingsError(
            f"taken on {config.host}: port {', '.join(taken)}; stop who has it, or move all ports by --port-offset",
            code="PORT_TAKEN",
        )


class RunningProcess:
    """A started process, its output copied line by line to a sink and to its log file."""

    def __init__(self, service: Service, process: asyncio.subprocess.Process, copying: asyncio.Task[None]) -> None:
        self.service = service
        self._process = process
        self._copying = copying

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
        copying = asyncio.create_task(_copy(service.name, process, log, sink))
        return cls(service, process, copying)

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
        await self._copying
        return code

    async def healthy(self, timeout_s: float) -> None:
        """Wait until ``/healthz`` says ok; :class:`UnavailableError` when it does not in time or the process ends."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        last = "nothing heard"
        while loop.time() < deadline:
            if self.ended:
                raise UnavailableError(f"{self.service.name} ended with {exit_text(await self.wait())} while starting")
            if self.service.roots.exists():
                try:
                    await ask(self.service, "/healthz", timeout_s=1.0)
                except GridLedgerError as error:
                    last = error.message
                else:
                    return
            await asyncio.sleep(_POLL_S)
        raise UnavailableError(f"{self.service.name} was not healthy within {timeout_s:g} s: {last}")

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


async def ask(service: Service, path: str, *, timeout_s: float) -> Any:
    """One question to a service, over TLS, without a certificate of our own."""
    async with NodeClient(service.url, None, service.roots.read_text(encoding="ascii")) as node:
        return await node.get_json(path, timeout_s=timeout_s)


def exit_text(code: int) -> str:
    """An exit code in words."""
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


def _end_with(parent: int) -> None:
    """Runs in the child before exec: die when the supervisor dies, whatever kills it (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)


async def _copy(name: str, process: asyncio.subprocess.Process, log: Path, sink: Callable[[str, str], None]) -> None:
    assert process.stdout is not None  # noqa: S101 - asked for above
    with log.open("ab") as file:
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:
                continue  # a line beyond the limit; what comes after it is read on
            if not line:
                return
            file.write(line)
            file.flush()
            sink(name, line.decode("utf-8", "replace").rstrip("\n"))


def _taken(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False

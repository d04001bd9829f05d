"""Processes of tests: their ports, their children, and one service on its own."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import psutil

from tests.support.waiting import eventually

REPOSITORY = Path(__file__).resolve().parents[2]
END_WITHIN_S = 60.0
"""A bound for a process that hangs. Python and the libraries need 2 s of one core, beside other work ten times that."""


_held: list[socket.socket] = []


def free_ports(count: int) -> list[int]:
    """Ports for servers of this test run, and of nobody else until this process ends."""
    return hold_ports([0] * count)


def hold_ports(ports: Sequence[int]) -> list[int]:
    """Keep these ports for servers of this test run (0: any); :class:`OSError` when another process has one of them.

    A port that was only looked at may be taken before a server listens: by another test run, or by the kernel for a
    connection. So a socket stays bound to it that never listens, beside which a server may bind by SO_REUSEADDR (ours
    set it) and nobody else is given the port.
    """
    sockets = [socket.socket() for _ in ports]
    try:
        for item, port in zip(sockets, ports, strict=True):
            item.bind(("127.0.0.1", port))
            # Behind the bind: with it, the bind would succeed beside others that hold the port so.
            item.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    except OSError:
        for item in sockets:
            item.close()
        raise
    _held.extend(sockets)
    return [item.getsockname()[1] for item in sockets]


def children_of(pid: int, module: str = "") -> list[int]:
    """The ids of a process's children, those with ``module`` in their command line; none where the process is gone."""
    try:
        children = psutil.Process(pid).children()
    except psutil.NoSuchProcess:
        return []
    return [child.pid for child in children if module in " ".join(command_of(child.pid))]


def command_of(pid: int) -> list[str]:
    """A process's command line; empty where the process has ended."""
    try:
        return psutil.Process(pid).cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []


def family(pid: int) -> list[int]:
    """A process, its children, and theirs."""
    found = [pid]
    for parent in found:
        found.extend(children_of(parent))
    return found


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def running(*words: str) -> list[int]:
    """The ids of the processes that run and have all of ``words`` in their command line."""
    found = [process.pid for process in psutil.process_iter()]
    return [pid for pid in found if all(word in " ".join(command_of(pid)) for word in words) and alive(pid)]


async def all_gone(pids: Iterable[int], within_s: float = 30) -> None:
    """Wait until none of these processes runs."""
    watched = list(pids)

    async def gone() -> bool:
        return not any(alive(pid) for pid in watched)

    await eventually(gone, within_s=within_s, what="the end of all processes")


class ServiceProcess:
    """One service of ours on its own, with its output in a file, which goes on when it is started again."""

    def __init__(self, module: str, config: Path) -> None:
        self.module = module
        self.config = config
        self.log = config.with_name("log")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, or start it again."""
        command = [sys.executable, "-m", self.module, "--config", str(self.config)]
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                command, cwd=REPOSITORY, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )

    @property
    def running(self) -> bool:
        """Whether it has been started and not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def ended(self, within_s: float = END_WITHIN_S) -> int:
        """Wait until it ends by itself; its exit code. Killed where it does not."""
        assert self._process is not None
        try:
            return self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
            raise

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal; its exit code."""
        assert self._process is not None
        self._process.send_signal(number)
        return self.ended()

    def output(self) -> str:
        """What it has written so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

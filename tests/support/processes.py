"""Real processes for tests: free ports, starting, killing. Nothing is left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).resolve().parents[2]

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


class Process:
    """One process of ours with its output in a file."""

    def __init__(self, arguments: list[str], log: Path) -> None:
        self.arguments = arguments
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, or start it again; its log goes on."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, *self.arguments],
                cwd=REPOSITORY,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        """Whether it has been started and not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self._process is not None
        return self._process.pid

    def wait(self, timeout_s: float) -> int:
        """Wait until it ends by itself; its exit code."""
        assert self._process is not None
        return self._process.wait(timeout_s)

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    def pause(self) -> None:
        """Stop it from running at all (SIGSTOP): a machine that hangs."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it run again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def tell_to_stop(self) -> None:
        """SIGTERM, also to one that is paused."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()

    def stop(self, timeout_s: float = 15) -> int:
        """SIGTERM; its exit code. Killed where it does not end."""
        if self._process is None:
            return 0
        self.tell_to_stop()
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def output(self) -> str:
        """What it has written so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""


def stop_all(processes: Iterable[Process]) -> None:
    """Stop processes side by side, and raise only when none is left: one that does not end leaves no other running."""
    stopping = list(processes)
    for process in stopping:
        process.tell_to_stop()
    late: list[subprocess.TimeoutExpired] = []
    for process in stopping:
        try:
            process.stop()
        except subprocess.TimeoutExpired as error:
            late.append(error)
    if late:
        raise late[0]

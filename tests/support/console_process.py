"""A console as a user starts it: its process, and what its own sockets answer to whatever is sent."""

from __future__ import annotations

import http.client
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

from tests.support.processes import END_WITHIN_S, REPOSITORY

READY_WITHIN_S = 60.0
_LOGIN = re.compile(r"(http://([0-9a-f]+\.localhost):(\d+))/login\?t=(\S+)")


@dataclass
class ConsoleProcess:
    """A running console. ``origin`` is its address, ``token`` opens one session."""

    process: subprocess.Popen[str]
    origin: str
    name: str
    port: int
    token: str
    lines: list[str] = field(default_factory=list)

    @property
    def login(self) -> str:
        """The address that a person opens."""
        return f"{self.origin}/login?t={self.token}"

    def request(
        self, method: str, path: str, *, host: str | None = None, body: str | None = None, **headers: str
    ) -> tuple[int, dict[str, str], str]:
        """Status, headers and body of one plain request; headers' names have _ for -."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        told = {"Host": host or f"{self.name}:{self.port}", **{k.replace("_", "-"): v for k, v in headers.items()}}
        if body is not None:
            told.setdefault("Content-Type", "application/x-www-form-urlencoded")
        try:
            connection.request(method, path, body, told)
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode()
        finally:
            connection.close()

    def log_in(self, token: str | None = None) -> str:
        """Open a session; the Cookie header of its requests."""
        status, headers, text = self.request("POST", "/login", body=f"token={token or self.token}")
        assert status == 200, text
        return headers["set-cookie"].partition(";")[0]


@contextmanager
def running_console(
    folder: Path, arguments: Sequence[str], environment: dict[str, str] | None = None
) -> Iterator[ConsoleProcess]:
    """``gridledger console --no-browser`` on a network's folder, until the block ends."""
    command = [sys.executable, "-m", "services.console", "--dir", str(folder), "--no-browser", *arguments]
    process = subprocess.Popen(
        command,
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield _listening(process)
    finally:
        process.terminate()
        try:
            process.wait(END_WITHIN_S)
        finally:
            process.kill()


def run_command(folder: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """``gridledger`` on a network's folder, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "gridledger.cli", *arguments, "--dir", str(folder)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done


def wait_for(condition: Callable[[], bool], within_s: float, what: str) -> None:
    """Wait for a condition outside this process, which nothing here is told of."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.05)


def _listening(process: subprocess.Popen[str]) -> ConsoleProcess:
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if (found := _LOGIN.search(line)) is not None:
            console = ConsoleProcess(process, found[1], found[2], int(found[3]), found[4], lines)
            Thread(target=_read_on, args=(console,), daemon=True).start()
            return console
    raise AssertionError(f"the console ended with {process.wait()}: {''.join(lines)}")


def _read_on(console: ConsoleProcess) -> None:
    assert console.process.stdout is not None
    for line in console.process.stdout:
        console.lines.append(line)

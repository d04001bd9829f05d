"""``docker compose`` and ``docker`` as a test uses them: one project, its containers by service name."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

PROJECT = Path(__file__).resolve().parents[2]
COMMAND_TIMEOUT_S = 900.0
READERS = ("Org1/admin", "Org3/admin", "Org5/admin")
"""Users who together may read every channel of no-shard, two-shards and three-shards."""

_T = TypeVar("_T")


class Failure(Exception):
    """The network did not do what it must; the message says what."""


def run(command: Sequence[str], *, check: bool = True, input_text: str | None = None) -> str:
    """Run a command in the checkout; what it wrote to standard output."""
    done = subprocess.run(
        command,
        cwd=PROJECT,
        input=input_text,
        stdin=subprocess.DEVNULL if input_text is None else None,
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )
    if check and done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-30:])
        raise Failure(f"{' '.join(command)} ended with {done.returncode}:\n{said}")
    return done.stdout


def eventually(what: str, within_s: float, ask: Callable[[], _T | None]) -> _T:
    """The first answer that is true; :class:`Failure` when there is none in time."""
    deadline = time.monotonic() + within_s
    while True:
        if answer := ask():
            return answer
        if time.monotonic() > deadline:
            raise Failure(f"not within {within_s:g} s: {what}")
        time.sleep(0.3)


class Compose:
    """A compose project of its own, from one or two of the committed files."""

    def __init__(self, name: str, *overrides: str, base: str = "compose.yaml") -> None:
        self.name = name
        files = [part for file in (base, *overrides) for part in ("-f", f"docker/{file}")]
        self._base = ["docker", "compose", "-p", name, *files]

    def __call__(self, *arguments: str, check: bool = True) -> str:
        return run([*self._base, *arguments], check=check)

    def attempt(self, *arguments: str) -> tuple[int, str]:
        """Run a command that may fail: its exit code, and what it wrote to standard error."""
        command = [*self._base, *arguments]
        done = subprocess.run(
            command,
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
        return done.returncode, done.stderr

    def popen(self, *arguments: str) -> subprocess.Popen[str]:
        """A command that goes on beside us, fed and read through pipes."""
        pipe = subprocess.PIPE
        return subprocess.Popen([*self._base, *arguments], cwd=PROJECT, stdin=pipe, stdout=pipe, text=True)

    def up(self) -> float:
        """Bring the network up and wait until all are healthy; seconds."""
        begun = time.monotonic()
        nodes = [name for name in self("config", "--services").split() if name not in ("prepare", "setup")]
        self("up", "--detach", "--wait", "--wait-timeout", "180", *nodes)
        return time.monotonic() - begun

    def container(self, service: str) -> str:
        return self("ps", "--all", "--quiet", service).split()[0]

    def inspect(self, service: str) -> dict[str, Any]:
        return dict(json.loads(run(["docker", "inspect", self.container(service)]))[0])

    def kill(self, service: str) -> None:
        run(["docker", "kill", self.container(service)])

    def start(self, service: str) -> float:
        """Start a container that ended, and wait until it is healthy; seconds."""
        begun = time.monotonic()
        run(["docker", "start", self.container(service)])
        self.healthy(service)
        return time.monotonic() - begun

    def healthy(self, service: str, within_s: float = 60) -> None:
        def ask() -> bool:
            state = self.inspect(service)["State"]
            return bool(state["Running"] and state["Health"]["Status"] == "healthy")

        eventually(f"{service} is healthy", within_s, ask)

    def cut_off(self, service: str) -> None:
        run(["docker", "network", "disconnect", f"{self.name}_default", self.container(service)])

    def heal(self, service: str) -> None:
        network = f"{self.name}_default"
        run(["docker", "network", "connect", "--alias", service, network, self.container(service)])

    def python(self, service: str, code: str, *, check: bool = True) -> str:
        """Run a piece of Python in a running container."""
        return self("exec", "-T", service, "python", "-c", code, check=check)

    # What the nodes say

    def status(self, user: str = "Org1/admin") -> dict[str, Any]:
        """``gridledger status --json``, asked inside the network: what is told to ``user``."""
        text = self("run", "--rm", "-T", "cli", "status", "--json", "--user", user, check=False)
        lines = [line for line in text.splitlines() if line.startswith("{")]
        return dict(json.loads(lines[-1])) if lines else {}

    def leader(self, channel: str, *, other_than: str = "") -> str:
        """Who leads a channel, once somebody does."""

        def ask() -> str | None:
            found = self.status().get("channels", {}).get(channel, {}).get("leader")
            return found if found != other_than else None

        return str(eventually(f"{channel} has a leader other than {other_than!r}", 30, ask))

    def level(self, within_s: float = 60, *, readers: Sequence[str] = READERS) -> dict[str, Any]:
        """The state once all nodes answer, a channel's nodes are equally far, and its peers' commit hashes equal.

        ``readers`` are users who together may read every channel of the topology.
        """

        def ask() -> dict[str, Any] | None:
            states = [self.status(user) for user in readers]
            if not all(states) or any(state["down"] for state in states):
                return None
            channels: dict[str, Any] = {}
            for state in states:
                channels.update({name: found for name, found in state["channels"].items() if found["peers"]})
            return {**states[0], "channels": channels} if all(map(_is_level, channels.values())) else None

        return eventually("all nodes answer and all ledgers are equal", within_s, ask)


def _is_level(channel: dict[str, Any]) -> bool:
    states = {(peer["height"], peer["commit_hash"]) for peer in channel["peers"].values()}
    return len(states) == 1 and {next(iter(states))[0]} == set(channel["orderers"].values())


def image_mb(image: str) -> float:
    """An image's size in megabytes."""
    return int(run(["docker", "image", "inspect", "--format", "{{.Size}}", image])) / 1e6

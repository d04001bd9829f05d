"""The command ``gridledger`` as a process: run to its end, or ``gridledger up`` in the foreground."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.processes import REPOSITORY, children_of, command_of, family
from tests.support.waiting import eventually


def gridledger(
    *arguments: str | Path, timeout_s: float = 90, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end; ``environment`` is added to ours."""
    command = [sys.executable, "-m", "gridledger.cli", *map(str, arguments)]
    return subprocess.run(
        command,
        cwd=REPOSITORY,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


class Up:
    """``gridledger up`` in the foreground, with what it says in two files: reading never blocks it."""

    def __init__(self, config: Path, folder: Path) -> None:
        self.config = config
        self.folder = folder
        self._said = folder.with_name(folder.name + ".stdout")
        self._complained = folder.with_name(folder.name + ".stderr")
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self, *arguments: str) -> None:
        """Start the command; it need not come to anything."""
        command = [
            sys.executable,
            "-m",
            "gridledger.cli",
            "up",
            str(self.config),
            "--dir",
            str(self.folder),
            *arguments,
        ]
        with self._said.open("wb") as output, self._complained.open("wb") as errors:
            self._process = subprocess.Popen(
                command, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, start_new_session=True
            )

    async def start(self, *arguments: str) -> None:
        """Start it and wait until the network is ready."""
        self.begin(*arguments)
        await eventually(self._is_ready, within_s=60, what="the network is ready")

    async def _is_ready(self) -> bool:
        assert self.process.poll() is None, f"it ended: {self.stderr}"
        return " is ready after" in self.stdout

    @property
    def begun(self) -> bool:
        """Whether it was ever started."""
        return self._process is not None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    @property
    def stdout(self) -> str:
        return self._said.read_text()

    @property
    def stderr(self) -> str:
        return self._complained.read_text()

    def pids(self) -> dict[str, int]:
        """The process of each node."""
        found = {}
        for pid in children_of(self.process.pid):
            command = command_of(pid)
            if "--config" in command:
                settings = Path(command[command.index("--config") + 1])
                found[settings.parent.name] = pid
        return found

    def everything(self) -> list[int]:
        """All processes: the command, nodes, committers, chaincode hosts."""
        return family(self.process.pid)

    async def end(self, number: int) -> int:
        """Send a signal to the command alone, and wait for its end; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return await self.ended()

    async def ended(self) -> int:
        """The exit code, once it has ended."""

        async def over() -> bool:
            return self.process.poll() is not None

        await eventually(over, within_s=40, what="the command ends")
        return self.process.returncode

"""What a demonstration does to the processes of its network: it kills, starts and cuts them off."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from gridledger.errors import NotFoundError
from gridledger.network.supervisor import Supervisor


class Processes:
    """The processes of a network by their names."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._cut_off: dict[str, int] = {}

    def kill(self, name: str) -> None:
        """kill -9."""
        os.kill(self._pid(name), signal.SIGKILL)

    async def start(self, name: str) -> None:
        """Start a process again, and wait until it is healthy."""
        await self._supervisor.start_process(name)

    async def stop(self, name: str) -> None:
        """Stop a process in order; it stays stopped."""
        await self._supervisor.stop_process(name)

    def cut_off(self, name: str) -> None:
        """Hold a process: it answers nobody and closes no connection, as when its cable is pulled."""
        group = self._pid(name)
        os.killpg(group, signal.SIGSTOP)
        self._cut_off[name] = group

    def connect(self, name: str) -> None:
        """Let a process go on that was cut off."""
        group = self._cut_off.pop(name, None)
        if group is not None:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGCONT)

    def connect_all(self) -> None:
        """Let all go on that were cut off."""
        for name in list(self._cut_off):
            self.connect(name)

    def _pid(self, name: str) -> int:
        for process in self._supervisor.processes:
            if process.service.name == name and not process.ended:
                return process.pid
        raise NotFoundError(f"there is no process {name} that runs")

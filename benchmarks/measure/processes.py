"""Processes under load: which they are, and the processor time, memory and context switches they have used so far."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks import PROJECT

ENGINE, LOCUST, FEEDER = "engine", "locust", "feeder"
GENERATOR = (ENGINE, LOCUST, FEEDER)
"""The kinds of the load generator's processes."""
KINDS = {
    "services.peer.committer": "committer",
    "services.peer": "edge",
    "services.orderer": "orderer",
    "gridledger.contract.hosting.host": "host",
    "benchmarks.load.engine": ENGINE,
    "locust": LOCUST,
    "services.feeder": FEEDER,
    "services.anchor": "anchor agent",
    "services.ca": "CA",
    "services.relay": "relay server",
    "services.relay.simulator": "relay",
}
"""The kind of a process by the module on its command line."""
_STOP_WITHIN_S = 10.0


class Usage(NamedTuple):
    """Processor time in seconds, and voluntary and involuntary context switches, of a group of processes."""

    cpu_s: float = 0.0
    waits: int = 0
    preempted: int = 0

    def plus(self, other: Usage, sign: int = 1) -> Usage:
        """The sum of both, or with ``sign`` -1 the difference."""
        return Usage(
            self.cpu_s + sign * other.cpu_s, self.waits + sign * other.waits, self.preempted + sign * other.preempted
        )


@dataclass(frozen=True, slots=True)
class Sample:
    """One process at one moment. ``name`` is its node's name, or else its kind. ``rss_bytes`` leaves out mapped files:
    the pages of a ledger's map are page cache, which the kernel takes back when it needs them."""

    pid: int
    name: str
    kind: str
    cpu_s: float
    rss_bytes: int


Samples = list[tuple[float, dict[int, Sample]]]
"""Samples of processes by their id, with the moment in seconds since 1970."""


class ProcessWatcher:
    """Samples the processes below this one. It identifies each process once."""

    def __init__(self) -> None:
        self._root = psutil.Process()
        self._known: dict[psutil.Process, tuple[str, str]] = {}

    def sample(self) -> dict[int, Sample]:
        """Every process of a known kind, by its id."""
        found = {}
        for process in self._root.children(recursive=True):
            # A process may end between two looks at it.
            with suppress(psutil.Error), process.oneshot():
                identity = self._identify(process)
                if identity is not None:
                    times, memory = process.cpu_times(), process.memory_info()
                    found[process.pid] = Sample(
                        process.pid, *identity, times.user + times.system, memory.rss - memory.shared
                    )
        return found

    def _identify(self, process: psutil.Process) -> tuple[str, str] | None:
        """A process's name and kind; None if it has no known kind, perhaps as it is between fork and exec."""
        if process not in self._known:
            words = process.cmdline()
            kind = next((kind for module, kind in KINDS.items() if module in words), None)
            if kind is None:
                return None
            node = next((Path(word).parent.name for word in words if word.endswith("/config.json")), None)
            parent = None if node or kind in GENERATOR else process.parent()
            above = self._known.get(parent) if parent is not None else None
            self._known[process] = (node or (above[0] if above else kind), kind)
        return self._known[process]


def usage_by_kind() -> dict[str, Usage]:
    """What each kind of process below this one has used so far."""
    sums: dict[str, Usage] = defaultdict(Usage)
    for pid, sample in ProcessWatcher().sample().items():
        sums[sample.kind] = sums[sample.kind].plus(Usage(sample.cpu_s, *context_switches(pid)))
    return sums


def context_switches(pid: int) -> tuple[int, int]:
    """Voluntary and involuntary context switches of all threads of a process."""
    waits = preempted = 0
    with suppress(psutil.Error):
        for thread in psutil.Process(pid).threads():
            # What psutil tells of a process is its main thread's; a thread's id is accepted in place of a process's.
            with suppress(psutil.Error):
                switches = psutil.Process(thread.id).num_ctx_switches()
                waits, preempted = waits + switches.voluntary, preempted + switches.involuntary
    return waits, preempted


async def run_sampled(command: Sequence[str], log: Path, *, every_s: float, within_s: float) -> tuple[int, Samples]:
    """Run a command in a session of its own with its output in ``log``, and sample the processes below this one.

    Returns the exit code and the samples. A command that takes longer than ``within_s`` is stopped.
    """
    samples: Samples = []
    watcher, until = ProcessWatcher(), time.monotonic() + within_s
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=PROJECT,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        while process.returncode is None and time.monotonic() < until:
            samples.append((time.time(), watcher.sample()))
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), every_s)
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(_STOP_WITHIN_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
    return await process.wait(), samples

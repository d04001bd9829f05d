"""The local supervisor: starts a network's processes in order, watches them, stops them together.

It restarts nothing: a process that ends is told in one line, and the rest is stopped, so that nobody takes half a
network for a whole one.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from random import SystemRandom

from gridledger.backoff import Backoff
from gridledger.errors import ConflictError, UnavailableError
from gridledger.network.bootstrap import bootstrap, prepare
from gridledger.network.folder import NetworkFolder
from gridledger.network.processes import RunningProcess, Service, check_ports, services_of
from gridledger.network.schema import NetworkConfig

HEALTHY_WITHIN_S = 60.0
STOPPED_WITHIN_S = 15.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.25

Sink = Callable[[str, str], None]
"""Takes a process's name and one line of its output."""


class ProcessEnded(UnavailableError):
    """A process of a running network ended by itself."""

    code = "PROCESS_ENDED"


class Supervisor:
    """One network's processes on this machine."""

    def __init__(self, config: NetworkConfig, folder: NetworkFolder, *, project: Path, sink: Sink) -> None:
        self._config = config
        self._folder = folder
        self._project = project
        self._sink = sink
        self._running: list[RunningProcess] = []
        self.ready_s = 0.0
        """How long the start took, in seconds: from the first process's start until all were healthy."""

    @property
    def processes(self) -> list[RunningProcess]:
        """The processes, in the order in which they were started."""
        return list(self._running)

    async def start(self) -> None:
        """Start everything; raises what went wrong, with all that was started stopped again."""
        started = time.monotonic()
        stages = services_of(self._config, self._folder)
        check_ports(self._config, [service for stage in stages for service in stage])
        is_new = prepare(self._config, self._folder)
        try:
            for number, stage in enumerate(stages):
                await self._start_stage(stage)
                if number == 0 and is_new:
                    await bootstrap(self._config, self._folder, self._project)
        except BaseException:
            await self.stop()
            raise
        self.ready_s = time.monotonic() - started

    async def watch(self) -> None:
        """Return never; raises :class:`UnavailableError` when a process ends."""
        waiting = {asyncio.create_task(process.wait()): process for process in self._running}
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        process = waiting[done.pop()]
        log = self._folder.logs / f"{process.service.name}.log"
        raise ProcessEnded(f"{await process.end_text()}; the network is being stopped ({log} may say more)")

    async def stop(self) -> None:
        """Stop everything, what was started last first; peers side by side, then orderers, then the CA."""
        running, self._running = self._running, []
        while running:
            module = running[-1].service.module
            stage = [process for process in running if process.service.module == module]
            running = [process for process in running if process.service.module != module]
            await asyncio.gather(*(process.stop(STOPPED_WITHIN_S) for process in stage))

    async def _start_stage(self, stage: list[Service]) -> None:
        for service in stage:
            log = self._folder.logs / f"{service.name}.log"
            process = await RunningProcess.start(service, project=self._project, log=log, sink=self._sink)
            self._running.append(process)
        modules = {service.module for service in stage}
        async with asyncio.TaskGroup() as tasks:
            for process in self._running:
                if process.service.module in modules:
                    tasks.create_task(process.healthy(HEALTHY_WITHIN_S))


@asynccontextmanager
async def running_network(
    config: NetworkConfig, folder: NetworkFolder, *, project: Path, sink: Sink
) -> AsyncIterator[Supervisor]:
    """A started network, stopped at the end of the block."""
    with locked(folder):
        supervisor = Supervisor(config, folder, project=project, sink=sink)
        try:
            await supervisor.start()
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        try:
            yield supervisor
        finally:
            await supervisor.stop()


async def run_until_stopped(
    config: NetworkConfig,
    folder: NetworkFolder,
    *,
    project: Path,
    sink: Sink,
    on_ready: Callable[[Supervisor], None],
    on_failure: Callable[[ProcessEnded], None],
) -> None:
    """Run a network in the foreground until SIGINT or SIGTERM.

    When a process ends by itself ``on_failure`` hears of it at once, the rest is stopped, and :class:`ProcessEnded` is
    raised.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    stopping = asyncio.create_task(stop.wait())

    async def run() -> None:
        async with running_network(config, folder, project=project, sink=sink) as supervisor:
            on_ready(supervisor)
            try:
                await supervisor.watch()
            except ProcessEnded as failure:
                on_failure(failure)
                raise

    work = asyncio.create_task(run())
    await asyncio.wait((stopping, work), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not work.done():
        work.cancel()
        await asyncio.wait((work,))
    if not work.cancelled():
        work.result()


@contextmanager
def locked(folder: NetworkFolder) -> Iterator[None]:
    """Hold the folder's lock; :class:`ConflictError` where a supervisor runs this network already."""
    folder.root.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder.supervisor_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConflictError(
                f"the network in {folder.root} is running already (gridledger status --dir {folder.root})"
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)


def stop_detached(folder: NetworkFolder, timeout_s: float = 60.0) -> bool:
    """Tell the supervisor of this folder to stop and wait for it; False where none runs."""
    if not folder.supervisor_lock.exists():
        return False
    with folder.supervisor_lock.open("r") as file:
        if _lock_is_free(file.fileno()):
            return False
        os.kill(int(file.read()), signal.SIGTERM)
        deadline = time.monotonic() + timeout_s
        backoff = Backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S, SystemRandom())
        while not _lock_is_free(file.fileno()):
            if time.monotonic() > deadline:
                raise UnavailableError(f"the supervisor of {folder.root} did not stop within {timeout_s:g} s")
            # Another process's lock cannot be waited for with a deadline, only asked for again.
            signal.sigtimedwait([], backoff.failed())
    return True


def _lock_is_free(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return True

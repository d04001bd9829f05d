"""The local supervisor: starts a network's processes in order, watches them, stops them together.

What becomes of a process that ends by itself is the network's policy ``on_exit``. A command from the control socket
stops and starts single processes, or has all follow a description that has changed.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import SystemRandom
from typing import Any

from gridledger import jsontext
from gridledger.errors import ConflictError, InputError, NoSpaceLeft, NotFoundError, UnavailableError
from gridledger.files import is_full, no_space_left
from gridledger.network.bootstrap import bootstrap, prepare
from gridledger.network.companions import furnish
from gridledger.network.control import control_socket
from gridledger.network.descriptions import network_now, to_run
from gridledger.network.folder import NetworkFolder
from gridledger.network.lock import locked
from gridledger.network.processes import RunningProcess, Service, check_ports, services_of
from gridledger.network.restarts import Restarts
from gridledger.network.schema import CompanionSpec, NetworkConfig

HEALTHY_WITHIN_S = 60.0
STOPPED_WITHIN_S = 15.0

Sink = Callable[[str, str], None]
"""Takes a process's name and one line of its output."""

Tell = Callable[[str], None]
"""Takes one line for the person who runs the network."""


class ProcessEnded(UnavailableError):
    """A process of a running network ended by itself."""

    code = "PROCESS_ENDED"


@dataclass(slots=True, eq=False)
class _Supervised:
    """A process of the network, and what became of it."""

    service: Service
    stage: int
    restarts: Restarts
    process: RunningProcess | None = None
    settings: bytes = b""
    """Its settings file when it was started."""
    is_stopped: bool = False
    """Whether it was told to stop, and nobody has started it since."""
    end: str = ""
    """How it ended, where it ended by itself."""
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def runs(self) -> bool:
        return self.process is not None and not self.process.ended


class Supervisor:
    """One network's processes on this machine. ``tell`` gets a line on each that ends or comes back by itself."""

    def __init__(
        self,
        config: NetworkConfig,
        folder: NetworkFolder,
        *,
        project: Path,
        sink: Sink,
        tell: Tell | None = None,
        companions: Sequence[CompanionSpec] = (),
    ) -> None:
        self._config = config
        self._folder = folder
        self._project = project
        self._sink = sink
        self._tell = tell or _say_nothing
        self._companions = list(companions)
        self._supervised: dict[str, _Supervised] = {}
        self._ended: asyncio.Queue[tuple[_Supervised, RunningProcess]] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._refreshing = asyncio.Lock()
        self.ready_s = 0.0
        """How long the start took, in seconds: from the first process's start until all were healthy."""

    @property
    def config(self) -> NetworkConfig:
        """The network as it now is."""
        return self._config

    @property
    def processes(self) -> list[RunningProcess]:
        """The processes that have been started, in the order of the stages."""
        return [item.process for item in self._supervised.values() if item.process is not None]

    async def start(self) -> None:
        """Start everything; raises what went wrong, with all that was started stopped again."""
        started = time.monotonic()
        asked, self._config = self._config, to_run(self._config, self._folder)
        stages = services_of(self._config, self._folder, self._companions)
        check_ports(self._config, [service for stage in stages for service in stage])
        is_new = prepare(asked, self._folder)
        try:
            for number, stage in enumerate(stages):
                await self._start_stage(number, stage)
                if number == 0 and is_new:
                    await bootstrap(self._config, self._folder, self._project)
                if number == 0:
                    profile = self._folder.connection.read_bytes()
                    await furnish(self._config, self._folder, self._companions, profile)
        except BaseException:
            await self.stop()
            raise
        self.ready_s = time.monotonic() - started

    async def watch(self) -> None:
        """Treat each process that ends by itself as the network's ``on_exit`` says. Returns never; raises
        :class:`ProcessEnded` where all are to be stopped."""
        while True:
            item, process = await self._ended.get()
            if item.process is not process or item.is_stopped:
                continue
            item.end = await process.how_it_ended()
            name = item.service.name
            log = self._folder.logs / f"{name}.log"
            if self._config.on_exit == "stop-all":
                raise ProcessEnded(f"{name} {item.end}; the network is being stopped ({log} may say more)")
            if self._config.on_exit == "restart":
                self._restart_later(item)
            else:
                self._tell(f"{name} {item.end}; the others go on. {self._how_to_start(item)} ({log} may say more)")

    async def start_process(self, name: str) -> str:
        """Start a process that does not run, and wait until it is healthy; a line that says so."""
        item = self._named(name)
        async with item.changing:
            if item.runs:
                raise ConflictError(f"{name} runs already")
            process = await self._launch(item)
            await process.healthy(HEALTHY_WITHIN_S)
        return f"{name} is up"

    async def stop_process(self, name: str) -> str:
        """Stop a process, and leave it so until it is started again; a line that says so."""
        item = self._named(name)
        async with item.changing:
            was_running = item.runs
            item.is_stopped, item.end = True, ""
            if item.process is not None:
                await item.process.stop(STOPPED_WITHIN_S)
        return f"{name} is stopped" if was_running else f"{name} did not run; it stays stopped"

    def states(self) -> dict[str, str]:
        """Each process's state by name: running, stopped (by a command), or how it ended."""
        return {name: _state(item) for name, item in self._supervised.items()}

    async def command(self, do: str, name: str) -> Any:
        """Carry out a command from the control socket."""
        match do:
            case "start":
                return await self.start_process(name)
            case "stop":
                return await self.stop_process(name)
            case "states":
                return self.states()
            case "refresh":
                return await self.refresh()
        raise InputError(f"there is no command {do!r}; there are start, stop, states and refresh")

    async def refresh(self) -> dict[str, list[str]]:
        """Bring the processes in line with the description in the folder, which has changed; who was ``stopped``,
        ``restarted``, ``told`` (the CA, of its organisations) and ``started``. All others are left alone.

        Raises :class:`PortTaken`, and :class:`UnavailableError` for a process that does not become healthy.
        """
        async with self._refreshing:
            self._config = network_now(self._folder)
            named = {spec.name for spec in self._companions}
            self._companions = [spec for spec in self._config.companions if spec.name in named]
            wanted = [
                (number, service)
                for number, stage in enumerate(services_of(self._config, self._folder, self._companions))
                for service in stage
            ]
            names = {service.name for _, service in wanted}
            done: dict[str, list[str]] = {"stopped": [], "restarted": [], "told": [], "started": []}
            for name in [name for name in self._supervised if name not in names]:
                await self.stop_process(name)
                del self._supervised[name]
                done["stopped"].append(name)
            for number, service in wanted:
                if service.name not in self._supervised:
                    check_ports(self._config, [service])
                    await self._start_one(number, service)
                    done["started"].append(service.name)
                elif what := await self._follow(self._supervised[service.name], service):
                    done[what].append(service.name)
            return done

    async def _follow(self, item: _Supervised, service: Service) -> str:
        """Have a process follow its description and settings; what was done. One that does not run will at its next
        start."""
        async with item.changing:
            before, settings = item.service, service.settings.read_bytes()
            if item.process is None or not item.runs or (before == service and settings == item.settings):
                item.service = service
                return ""
            if before == service and _differ_in_organisations(item.settings, settings):
                item.process.send(signal.SIGHUP)
                item.settings = settings
                return "told"
            if before.port != service.port:
                check_ports(self._config, [service])
            item.service = service
            item.is_stopped = True
            await item.process.stop(STOPPED_WITHIN_S)
            process = await self._launch(item)
            await process.healthy(HEALTHY_WITHIN_S)
            return "restarted"

    async def stop(self) -> None:
        """Stop everything, what was started last first; peers side by side, then orderers, then the CA."""
        for task in self._tasks:
            task.cancel()
        stages: dict[int, list[RunningProcess]] = {}
        for item in self._supervised.values():
            item.is_stopped = True
            if item.process is not None:
                stages.setdefault(item.stage, []).append(item.process)
        for _, processes in sorted(stages.items(), reverse=True):
            await asyncio.gather(*(process.stop(STOPPED_WITHIN_S) for process in processes))
        self._supervised.clear()

    async def _start_stage(self, number: int, stage: list[Service]) -> None:
        processes = [await self._launch(self._supervise(number, service)) for service in stage]
        async with asyncio.TaskGroup() as tasks:
            for process in processes:
                tasks.create_task(process.healthy(HEALTHY_WITHIN_S))

    async def _start_one(self, number: int, service: Service) -> None:
        """Start a process that came later, and wait until it is healthy."""
        process = await self._launch(self._supervise(number, service))
        await process.healthy(HEALTHY_WITHIN_S)

    def _supervise(self, stage: int, service: Service) -> _Supervised:
        item = _Supervised(service, stage, Restarts(time.monotonic, SystemRandom()))
        self._supervised[service.name] = item
        return item

    async def _launch(self, item: _Supervised) -> RunningProcess:
        """Start a process, and hear of its end."""
        log = self._folder.logs / f"{item.service.name}.log"
        item.settings = item.service.settings.read_bytes()
        process = await RunningProcess.start(item.service, project=self._project, log=log, sink=self._sink)
        item.process, item.is_stopped, item.end = process, False, ""

        async def follow() -> None:
            await process.wait()
            self._ended.put_nowait((item, process))

        self._in_background(follow())
        return process

    def _restart_later(self, item: _Supervised) -> None:
        pause = item.restarts.next_pause()
        self._tell(f"{item.service.name} {item.end}; it is started again in {pause:.1f} s")
        self._in_background(self._restart(item, pause))

    async def _restart(self, item: _Supervised, pause_s: float) -> None:
        await asyncio.sleep(pause_s)
        async with item.changing:
            if item.runs or item.is_stopped:
                return
            process = await self._launch(item)
        try:
            await process.healthy(HEALTHY_WITHIN_S)
        except UnavailableError as error:
            # Where it has ended again, its end is told by watch().
            if not process.ended:
                self._tell(error.message)
            return
        self._tell(f"{item.service.name} is up again")

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _how_to_start(self, item: _Supervised) -> str:
        return f"Start it again: gridledger start {item.service.name} --dir {self._folder.root}"

    def _named(self, name: str) -> _Supervised:
        item = self._supervised.get(name)
        if item is None:
            known = ", ".join(self._supervised)
            raise NotFoundError(f"there is no process {name!r} in this network; there are: {known}")
        return item


def _state(item: _Supervised) -> str:
    if item.runs:
        return "running"
    return "stopped" if item.is_stopped else item.end or "ended"


def _differ_in_organisations(before: bytes, after: bytes) -> bool:
    """Whether the settings of the CA service differ in the organisations that it hosts and in nothing else."""
    old, new = jsontext.loads(before), jsontext.loads(after)
    return bool(old.pop("organisations", None) != new.pop("organisations", None) and old == new)


def _say_nothing(_: str) -> None:
    """Where nobody listens."""


@asynccontextmanager
async def running_network(
    config: NetworkConfig,
    folder: NetworkFolder,
    *,
    project: Path,
    sink: Sink,
    tell: Tell | None = None,
    companions: Sequence[CompanionSpec] = (),
) -> AsyncIterator[Supervisor]:
    """A started network, which takes commands while the block lasts and is stopped at its end.

    ``companions`` are started behind the peers, each when the one before is healthy.
    """
    supervisor = Supervisor(config, folder, project=project, sink=sink, tell=tell, companions=companions)
    async with AsyncExitStack() as stack:
        try:
            stack.enter_context(locked(folder))
            await supervisor.start()
            stack.push_async_callback(supervisor.stop)
            await stack.enter_async_context(control_socket(folder, supervisor.command))
        except (Exception, BaseExceptionGroup) as error:
            raise _told(error, folder) from None
        yield supervisor


def _told(error: BaseException, folder: NetworkFolder) -> BaseException:
    """One error to tell for a start that failed: that the disk is full, or what failed first."""
    first = error
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    found = no_space_left(error, folder.root) is not None
    if not found and not is_full(folder.root):
        return first
    # A process may have told it, which knows its own data's place only: all of them lie below this folder.
    reason = "" if found else f" ({first})"
    return NoSpaceLeft(f"no space left on device: free space in {folder.root}{reason}", folder=str(folder.root))


async def run_until_stopped(
    config: NetworkConfig,
    folder: NetworkFolder,
    *,
    project: Path,
    sink: Sink,
    on_ready: Callable[[Supervisor], None],
    on_failure: Callable[[ProcessEnded], None],
    tell: Tell | None = None,
    companions: Sequence[CompanionSpec] = (),
) -> None:
    """Run a network in the foreground until SIGINT or SIGTERM.

    ``tell`` hears of each process that ends by itself. Where that is to stop the network, ``on_failure`` hears of it at
    once, the rest is stopped, and :class:`ProcessEnded` is raised.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    stopping = asyncio.create_task(stop.wait())

    async def run() -> None:
        network = running_network(config, folder, project=project, sink=sink, tell=tell, companions=companions)
        async with network as supervisor:
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

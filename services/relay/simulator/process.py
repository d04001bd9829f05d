"""The process of a simulated relay: its parts put together, and its end."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import math
import secrets
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass

from gridledger import jsontext, logs
from gridledger.command_line import EXIT_INTERRUPTED, tell_error
from gridledger.errors import GridLedgerError
from gridledger.extras import require_extra
from gridledger.files import write_atomically
from gridledger.waiting import first_done
from gridledger.web.service import disk_trouble
from services.relay.simulator import http
from services.relay.simulator.clock import MINUTE_S, Pace, RelayClock
from services.relay.simulator.faults import FaultFolder
from services.relay.simulator.folder import CaptureFolder
from services.relay.simulator.misbehaviour import MAX_MINUTES, Misbehaviour
from services.relay.simulator.recorder import Recorder
from services.relay.simulator.relay import SimulatedRelay
from services.relay.simulator.settings import SimulatorSettings

Serving = AbstractAsyncContextManager[int]
_log = logging.getLogger(__name__)
_SEED_BITS = 32
UTC = {"from_minute": 0, "offset_min": 0}


@dataclass(frozen=True, slots=True)
class RunningRelay:
    """A relay that runs, where it is asked, and its work, which ends by a failure only."""

    relay: SimulatedRelay
    port: int
    modbus_port: int | None
    iec61850_port: int | None
    work: asyncio.Task[None]


def run(settings: SimulatorSettings) -> int:
    """Run a simulated relay until it is told to stop; the exit code. A full or failing disk is told in one line."""
    logs.setup("relay-simulator", settings.name, settings.log_level)
    try:
        asyncio.run(_until_stopped(settings))
    except GridLedgerError as error:
        return tell_error(error)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except (OSError, BaseExceptionGroup) as error:
        told = disk_trouble(error, settings.data)
        if told is None:
            raise
        return tell_error(told)
    return 0


async def _until_stopped(settings: SimulatorSettings) -> None:
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[None] = loop.create_future()

    def stop() -> None:
        if not stopped.done():
            stopped.set_result(None)

    loop.add_signal_handler(signal.SIGTERM, stop)
    async with running(settings) as running_relay:
        _log.info("relay listens", extra={"host": settings.host, "port": running_relay.port})
        await first_done([stopped, running_relay.work])


@asynccontextmanager
async def running(settings: SimulatorSettings, *, any_ports: bool = False) -> AsyncIterator[RunningRelay]:
    """Run a relay for as long as the block lasts. ``any_ports``: at free ports, where it has any."""
    settings.data.mkdir(parents=True, exist_ok=True)
    pace, seed, is_new = _run_of(settings)
    clock = RelayClock(pace, time.time)
    first_minute = math.ceil(pace.start_s / MINUTE_S) if is_new else clock.next_minute()
    misbehaviour = Misbehaviour()
    if settings.misbehave is not None:
        misbehaviour.begin(settings.misbehave, first_minute, MAX_MINUTES)
    offsets = [offset.model_dump() for offset in settings.utc_offsets] or [UTC]
    recorder = Recorder(settings.relay, settings.substation, offsets, seed, physical=settings.physical)
    relay = SimulatedRelay(
        clock=clock,
        recorder=recorder,
        folder=CaptureFolder(settings.data),
        faults=FaultFolder(settings.data, settings.relay, settings.substation, seed),
        misbehaviour=misbehaviour,
        interval_s=settings.interval_s,
        seed=seed,
    )
    async with AsyncExitStack() as stack:

        async def served(protocol: Callable[[SimulatedRelay, str, int], Serving], port: int) -> int:
            return await stack.enter_async_context(protocol(relay, settings.host, 0 if any_ports else port))

        port = await served(http.serving, settings.port)
        modbus_port = iec61850_port = None
        if settings.modbus_port is not None:
            require_extra("relay", "the simulated relay's Modbus")
            modbus_port = await served(_serving_of("modbus"), settings.modbus_port)
        if settings.iec61850_port is not None:
            require_extra("relay", "the simulated relay's IEC 61850")
            iec61850_port = await served(_serving_of("iec61850"), settings.iec61850_port)
        stack.callback(relay.close)  # before the servers end, which wait for those whom it lets go
        work = asyncio.create_task(relay.run(first_minute))
        stack.push_async_callback(_ended, work)
        yield RunningRelay(relay, port, modbus_port, iec61850_port, work)


def _serving_of(protocol: str) -> Callable[[SimulatedRelay, str, int], Serving]:
    """What serves a protocol whose package belongs to the extra ``relay``, imported when it is needed."""
    serving: Callable[[SimulatedRelay, str, int], Serving]
    serving = importlib.import_module(f"services.relay.simulator.{protocol}").serving
    return serving


async def _ended(work: asyncio.Task[None]) -> None:
    """End a relay's work; what it failed with is raised."""
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work


def _run_of(settings: SimulatorSettings) -> tuple[Pace, int, bool]:
    """The pace and the seed of this folder's run, which go on where a relay is started again; whether it is new."""
    file = settings.data / "run.json"
    if file.exists():
        run = jsontext.loads(file.read_bytes())
        if run["minute_s"] == settings.minute_s:
            return Pace(**run["pace"]), run["seed"] if settings.seed is None else settings.seed, False
    now = time.time()
    if settings.start_minute is not None:
        pace = Pace.from_minute(settings.start_minute, settings.minute_s, now)
    else:
        pace = Pace.reaching_the_present(settings.minute_s, settings.minutes, now)
    seed = secrets.randbits(_SEED_BITS) if settings.seed is None else settings.seed
    run = {"minute_s": settings.minute_s, "pace": asdict(pace), "seed": seed}
    write_atomically(file, json.dumps(run).encode())
    return pace, seed, True

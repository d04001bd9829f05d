"""What a concentrator costs: 30 PMUs at 50 frames/s, decoded and aligned, as a share of one core.

    python -m benchmarks.pmu [--pmus 30] [--rate 50] [--seconds 20]

A process of its own serves a stream for each bus of case30 over TCP, or one stream with all of them; this one reads,
cuts, decodes and aligns them with the feeder's concentrator, and states its own processor time. ``--frames`` also makes
the frames of the case's three groups of each instant.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import resource
import sys
import time
from random import Random

from gridledger.field.c37118 import DataFrame, PmuData, Stat, time_at
from gridledger.grid.area import area_of
from gridledger.grid.case import Case, load_case
from gridledger.grid.grouping import grouping_of, members_of
from services.feeder.pmu.channels import BusPmu, configuration_of, pmus_of
from services.feeder.pmu.client import Source
from services.feeder.pmu.concentrator import Concentrator
from services.feeder.pmu.phasors import PhasorFrames, in_service
from services.feeder.pmu.server import PmuServer

_HOST = "127.0.0.1"


def now_us() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


def parts_of(case: Case, pmus: int, *, one_stream: bool) -> list[tuple[BusPmu, ...]]:
    """The PMUs of each stream."""
    chosen = pmus_of(case)[:pmus]
    return [chosen] if one_stream else [(pmu,) for pmu in chosen]


async def serve(parts: list[tuple[BusPmu, ...]], rate: float) -> None:
    """Serve the streams until standard input ends; their ports are told on standard output."""
    servers = [PmuServer(configuration_of(part, 1 + n, rate), now_us=now_us) for n, part in enumerate(parts)]
    for server in servers:
        await server.start(_HOST, 0)
    print(json.dumps([server.address[1] for server in servers]), flush=True)
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    data = [
        tuple(PmuData(Stat(0), tuple(complex(n, at) for n in range(len(pmu.channels))), 60.0, 0.0) for pmu in part)
        for at, part in enumerate(parts)
    ]
    begin, number = time.perf_counter(), 0
    while not ended.done():
        moment = time_at(now_us())
        for server, pmus in zip(servers, data, strict=True):
            server.publish(DataFrame(server.config.idcode, moment, pmus))
        number += 1
        await asyncio.sleep(max(0.0, begin + number / rate - time.perf_counter()))
    for server in servers:
        await server.stop()


async def measure(options: argparse.Namespace, case: Case, *, one_stream: bool) -> dict[str, float]:
    """Read the streams of another process; processor time, frames, and what was missing."""
    parts = parts_of(case, options.pmus, one_stream=one_stream)
    arguments = ["--serve", *(["--one-stream"] if one_stream else [])]
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.pmu", "--pmus", str(options.pmus), "--rate", str(options.rate), *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    if child.stdout is None or child.stdin is None:
        raise RuntimeError("the process that serves has no pipes")
    ports = json.loads(await child.stdout.readline())
    sources = [Source(str(n), 1 + n, _HOST, port) for n, port in enumerate(ports)]
    told = {(str(n), pmu.station): dict(pmu.channels) for n, part in enumerate(parts) for pmu in part}
    pdc = Concentrator(sources, told, wait_ms=60, now_us=now_us, random=Random(1))  # noqa: S311 -- of pauses only
    tasks = [asyncio.create_task(pdc.run())]
    await asyncio.sleep(3.0)  # all connected
    if options.frames:
        grouping = grouping_of(case, None)
        for group in grouping:
            maker = PhasorFrames(area_of(case, group, members_of(grouping, group)), in_service(case, ()))
            tasks.append(asyncio.create_task(make_frames(pdc, maker)))
    before, begun, frames = used_s(), time.perf_counter(), frames_of(pdc)
    await asyncio.sleep(options.seconds)
    used, passed, counted = used_s() - before, time.perf_counter() - begun, frames_of(pdc) - frames
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    child.stdin.close()
    await child.wait()
    alignment = pdc.alignment
    return {
        "streams": len(ports),
        "core_percent": round(100 * used / passed, 2),
        "frames_per_s": round(counted / passed, 1),
        "us_per_frame": round(1e6 * used / max(counted, 1), 1),
        "late": alignment.late.total(),
        "missing": alignment.missing.total(),
    }


async def make_frames(pdc: Concentrator, maker: PhasorFrames) -> None:
    """The group's frame of each instant."""
    last = -1
    while True:
        instant = await pdc.newest(maker.needs, last)
        last = instant.time_us
        maker.frame(instant.phasors, instant.time_us)


def used_s() -> float:
    """Processor time of this process, user and system."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def frames_of(pdc: Concentrator) -> int:
    """Data frames so far."""
    return sum(client.counts["frames"] for client in pdc.clients.values())


def main() -> None:
    """Measure both forms and print a line of JSON for each."""
    parser = argparse.ArgumentParser(description="The processor time of a PMU concentrator.")
    parser.add_argument("--pmus", type=int, default=30)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--frames", action="store_true", help="also make each group's frames")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--one-stream", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    case = load_case("case30")
    if options.serve:
        asyncio.run(serve(parts_of(case, options.pmus, one_stream=options.one_stream), options.rate))
        return
    for one_stream in (False, True):
        found = asyncio.run(measure(options, case, one_stream=one_stream))
        print(json.dumps({"pmus": options.pmus, "rate": options.rate, "python": platform.python_version(), **found}))


if __name__ == "__main__":
    main()

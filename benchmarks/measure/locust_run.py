"""One load on a running network, measured: ``await measure_load(bench, LoadSpec(workload="put", ...))``.

Locust sends, headless, with a master and so many workers, as anyone would start it (benchmarks/load/locustfile.py). Its
engines keep every transaction's intended time, end and code in files, from which throughput and latencies are taken
exactly; processes are looked at through /proc twice a second; blocks are read from the chain when all is over.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import cast

from benchmarks.load.bench_network import PROJECT, Bench
from benchmarks.load.plan import CLOSED_LOOP, DRAIN_S, LoadSpec, Target, Workloads
from benchmarks.load.transaction_log import Records
from benchmarks.load.workloads import payload_bytes
from benchmarks.measure.machine import TOPOLOGIES, Machine, measure_machine
from benchmarks.measure.processes import Sample, Watcher
from benchmarks.measure.results import BlockSizes, Load
from benchmarks.measure.window import Cut, Outcomes, Window, block_sizes, generator_use, offered, uses, window_of
from benchmarks.report.words import warnings_of
from gridledger.client import BlockEvent, Gateway, SigningIdentity
from gridledger.errors import UnavailableError

SAMPLE_EVERY_S = 0.5
STARTUP_S = 60.0
_USER_CLASSES = {
    "put": "Put",
    "read-write": "ReadWrite",
    "query": "Query",
    "ComputeVSI": "ComputeVSI",
    "LocalController": "LocalController",
}


async def measure_load(bench: Bench, spec: LoadSpec) -> Load:
    """Offer the load, and tell what became of it. :class:`UnavailableError` where Locust cannot do it."""
    targets = await bench.targets(spec.workload)
    folder = bench.root / "load"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    workloads = Workloads(roots=str(bench.profile.roots), workloads={spec.workload: targets})
    (folder / "bench.json").write_text(workloads.model_dump_json())
    channels = {target.channel: target for target in targets}
    before = {channel: await _height(bench, target) for channel, target in channels.items()}
    disk = ledger_bytes(bench, list(channels))
    samples = await _run_locust(spec, folder)
    outcomes = Outcomes.of([Records.read(folder / f"engine-{index}") for index in range(spec.workers)])
    window = window_of(spec, outcomes)
    blocks = {name: await _blocks(bench, target, before[name]) for name, target in channels.items()}
    grown = ledger_bytes(bench, list(channels)) - disk
    load = _load(bench, spec, targets, window=window, outcomes=outcomes, samples=samples, blocks=blocks, grown=grown)
    warn(load)
    return load


def _load(
    bench: Bench,
    spec: LoadSpec,
    targets: list[Target],
    *,
    window: Window,
    outcomes: Outcomes,
    samples: list[tuple[float, dict[int, Sample]]],
    blocks: dict[str, list[Cut]],
    grown: int,
) -> Load:
    found = outcomes.in_window(window)
    processes = uses(samples, window)
    committed = sum(block.transactions for cut in blocks.values() for block in cut)
    cores, us_per_request = generator_use(processes, window, found.answered)
    peers, endorsers = TOPOLOGIES[bench.topology]
    closed = spec.controller.type == CLOSED_LOOP
    floor = None if targets[0].readonly else this_machine().floor(peers=peers, endorsers=endorsers)
    sizes: list[BlockSizes] = block_sizes(blocks, window)
    return Load(
        topology=bench.topology,
        workload=spec.workload,
        controller=spec.controller.model_dump(),
        workers=spec.workers,
        offered_tx_s=None if closed else offered(spec, found.sent, window),
        started_at=datetime.fromtimestamp(window.begin_at, UTC).isoformat(),
        measured_s=window.lasts_s,
        sent=found.sent,
        valid=found.valid,
        tx_s=found.valid / window.lasts_s,
        codes=found.codes,
        refused=found.refused,
        latency=found.latency(),
        payload_bytes=payload_bytes(targets),
        disk_bytes_per_tx=grown / committed if committed else None,
        floor_tx_s=floor,
        generator_cores=cores,
        generator_us_per_request=us_per_request,
        generator_late_p99_ms=None if closed else found.late_p99_ms(),
        processes=processes,
        blocks=sizes,
        seconds=found.seconds(window),
    )


@cache
def this_machine() -> Machine:
    """The machine, measured once."""
    return measure_machine()


def warn(load: Load) -> None:
    """Say loudly what a reader must know before believing the numbers."""
    for warning in warnings_of(load):
        print(f"WARNING: {warning}", file=sys.stderr, flush=True)


def ledger_bytes(bench: Bench, channels: list[str]) -> int:
    """Bytes on disk of these channels' ledgers, each on its first peer: blocks allocated, not the sparse map's size."""
    total = 0
    for channel in channels:
        peer = bench.profile.channels[channel].peers[0]
        for file in (bench.root / "nodes" / peer / "data" / "ledger" / channel).rglob("*"):
            total += file.stat().st_blocks * 512
    return total


async def _run_locust(spec: LoadSpec, folder: Path) -> list[tuple[float, dict[int, Sample]]]:
    log = folder / "locust.log"
    lasts = spec.warmup_s + (spec.duration_s or 0.0) + DRAIN_S + STARTUP_S
    if spec.transactions is not None:
        # Bounded even if the ledger takes ten a second only.
        lasts += spec.transactions / 10
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *locust_command(spec, folder), cwd=PROJECT, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output
        )
        samples = []
        watcher, until = Watcher(os.getpid()), time.monotonic() + lasts
        try:
            while process.returncode is None and time.monotonic() < until:
                samples.append((time.time(), watcher.sample()))
                with suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), SAMPLE_EVERY_S)
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()
    missing = [index for index in range(spec.workers) if not (folder / f"engine-{index}").exists()]
    if missing:
        tail = log.read_text(errors="replace")[-2000:]
        raise UnavailableError(f"Locust ended with {process.returncode} and without the outcome of {missing}:\n{tail}")
    return samples


def locust_command(spec: LoadSpec, folder: Path) -> list[str]:
    """What starts Locust for a load."""
    users = max(spec.workers, int(spec.controller.opts.get("users", 0)))
    if spec.controller.type == CLOSED_LOOP:
        users = int(spec.controller.opts["users"])
    port = str(_free_port())
    bounds = {"--transactions": spec.transactions, "--duration": spec.duration_s}
    return [
        *(sys.executable, "-m", "locust", "--locustfile", "benchmarks/load/locustfile.py"),
        *("--headless", "--processes", str(spec.workers), "--users", str(users), "--spawn-rate", str(users)),
        *("--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-port", port),
        *("--only-summary", "--loglevel", "WARNING", "--exit-code-on-error", "0", "--stop-timeout", "0"),
        *("--bench", str(folder / "bench.json"), "--results", str(folder), "--warmup", str(spec.warmup_s)),
        *(word for name, bound in bounds.items() if bound is not None for word in (name, str(bound))),
        *("--workload", spec.workload, "--controller", spec.controller.model_dump_json()),
        _USER_CLASSES[spec.workload],
    ]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _gateway(bench: Bench, target: Target) -> Gateway:
    url = bench.profile.peer_of(target.channel).url
    return Gateway.connect(url, SigningIdentity.load(target.identity), roots=bench.profile.roots)


async def _height(bench: Bench, target: Target) -> int:
    async with _gateway(bench, target) as gateway:
        return (await gateway.get_network(target.channel).get_chain_info()).height


async def _blocks(bench: Bench, target: Target, first: int) -> list[Cut]:
    found: list[Cut] = []
    async with _gateway(bench, target) as gateway:
        network = gateway.get_network(target.channel)
        height = (await network.get_chain_info()).height
        if first >= height:
            return found
        stream = cast("AsyncGenerator[BlockEvent, None]", network.block_events(start_block=first))
        async with aclosing(stream) as events:
            async for block in events:
                found.append(Cut(block.timestamp_us, len(block.transactions)))
                if block.number + 1 >= height:
                    break
    return found

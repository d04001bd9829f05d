"""A load offered by Locust and measured: ``await measure_load(network, LoadSpec(workload="put", ...))``.

Locust runs headless with a master and its workers (benchmarks/load/locustfile.py). Its engines write the times and the
code of every transaction to files, from which throughput and latencies are computed exactly; processes are sampled
twice a second; blocks are read from the chain when the load is over.
"""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from benchmarks.load.bench_network import BenchNetwork
from benchmarks.load.plan import DRAIN_S, BenchFile, LoadSpec, LoadStream
from benchmarks.load.topologies import TOPOLOGIES
from benchmarks.load.workloads import payload_bytes
from benchmarks.measure.machine import this_machine
from benchmarks.measure.processes import Samples, run_sampled
from benchmarks.measure.results import Load
from benchmarks.measure.window import (
    CutBlock,
    EngineLogs,
    block_sizes,
    generator_use,
    offered_tx_s,
    process_uses,
)
from gridledger.client import BlockEvent, SigningIdentity
from gridledger.errors import UnavailableError

SAMPLE_EVERY_S = 0.5
STARTUP_S = 60.0
_LEAST_TX_S = 10
"""A load that is bounded by a number of transactions is stopped when the ledger takes fewer than this per second."""
_USER_CLASSES = {
    "put": "Put",
    "read-write": "ReadWrite",
    "query": "Query",
    "ComputeVSI": "ComputeVSI",
    "LocalController": "LocalController",
}


async def measure_load(network: BenchNetwork, spec: LoadSpec) -> Load:
    """Offer a load and measure it. Prints the load's warnings; raises :class:`UnavailableError` where Locust fails."""
    streams = await network.streams(spec.workload)
    folder = network.root / "load"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    BenchFile(roots=str(network.profile.roots), workloads={spec.workload: streams}).write(folder / "bench.json")
    channels = {stream.channel: stream for stream in streams}
    heights = {channel: await network.height(stream) for channel, stream in channels.items()}
    disk = ledger_bytes(network, list(channels))
    samples = await _run_locust(spec, folder)
    logs = EngineLogs.read(folder / f"engine-{index}" for index in range(spec.workers))
    blocks = {name: await _blocks(network, stream, heights[name]) for name, stream in channels.items()}
    grown = ledger_bytes(network, list(channels)) - disk
    load = _load(network, spec, streams, logs=logs, samples=samples, blocks=blocks, grown=grown)
    for warning in load.warnings():
        print(f"WARNING: {warning}", file=sys.stderr, flush=True)
    return load


def _load(
    network: BenchNetwork,
    spec: LoadSpec,
    streams: list[LoadStream],
    *,
    logs: EngineLogs,
    samples: Samples,
    blocks: dict[str, list[CutBlock]],
    grown: int,
) -> Load:
    window = logs.window(spec)
    outcome = logs.outcome(window)
    processes = process_uses(samples, window)
    committed = sum(block.transactions for cut in blocks.values() for block in cut)
    cores, us_per_request = generator_use(processes, window, outcome.answered)
    return Load(
        topology=network.topology,
        workload=spec.workload,
        controller=spec.controller.model_dump(),
        workers=spec.workers,
        offered_tx_s=offered_tx_s(spec, outcome.sent, window),
        started_at=datetime.fromtimestamp(window.begin_at, UTC).isoformat(),
        measured_s=window.lasts_s,
        sent=outcome.sent,
        ended=outcome.answered,
        valid=outcome.valid,
        tx_s=outcome.valid / window.lasts_s,
        codes=outcome.codes,
        refused=outcome.refused,
        latency=outcome.latency,
        payload_bytes=payload_bytes(streams),
        disk_bytes_per_tx=grown / committed if committed else None,
        floor_tx_s=None if streams[0].readonly else this_machine().floor_tx_s(TOPOLOGIES[network.topology]),
        generator_cores=cores,
        generator_us_per_request=us_per_request,
        generator_late_p99_ms=None if spec.closed else outcome.late_p99_ms(),
        processes=processes,
        blocks=block_sizes(blocks, window),
        seconds=outcome.seconds(window),
    )


def ledger_bytes(network: BenchNetwork, channels: list[str]) -> int:
    """Bytes on disk of these channels' ledgers, each on its first peer: blocks allocated, not the sparse map's size."""
    total = 0
    for channel in channels:
        peer = network.profile.channels[channel].peers[0]
        for file in (network.root / "nodes" / peer / "data" / "ledger" / channel).rglob("*"):
            total += file.stat().st_blocks * 512
    return total


async def _run_locust(spec: LoadSpec, folder: Path) -> Samples:
    """Run Locust to the end of the load; its engines leave their logs in ``folder``."""
    bound_s = (spec.duration_s or 0.0) + (spec.transactions or 0) / _LEAST_TX_S
    log = folder / "locust.log"
    code, samples = await run_sampled(
        locust_command(spec, folder),
        log,
        every_s=SAMPLE_EVERY_S,
        within_s=spec.warmup_s + bound_s + DRAIN_S + STARTUP_S,
    )
    missing = [index for index in range(spec.workers) if not (folder / f"engine-{index}").exists()]
    if missing:
        tail = log.read_text(errors="replace")[-2000:]
        raise UnavailableError(f"Locust ended with {code} and without the logs of engines {missing}:\n{tail}")
    return samples


def locust_command(spec: LoadSpec, folder: Path) -> list[str]:
    """The command line that starts Locust for a load."""
    users = spec.controller.opts.get("users", 0)
    users = str(users if spec.closed else max(spec.workers, users))
    port = str(_free_port())
    bounds = {"--transactions": spec.transactions, "--duration": spec.duration_s}
    return [
        *(sys.executable, "-m", "locust", "--locustfile", "benchmarks/load/locustfile.py"),
        *("--headless", "--processes", str(spec.workers), "--users", users, "--spawn-rate", users),
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


async def _blocks(network: BenchNetwork, stream: LoadStream, first: int) -> list[CutBlock]:
    """The blocks of a stream's channel from number ``first`` on."""
    height = await network.height(stream)
    found: list[CutBlock] = []
    if first >= height:
        return found
    async with network.gateway(stream.channel, SigningIdentity.load(stream.identity)) as gateway:
        blocks = gateway.get_network(stream.channel).block_events(start_block=first)
        async with aclosing(cast("AsyncGenerator[BlockEvent, None]", blocks)) as events:
            async for block in events:
                found.append(CutBlock(block.timestamp_us, len(block.transactions)))
                if block.number + 1 >= height:
                    break
    return found

"""``make bench``: the rounds of a benchmark file on each topology, and the report of what was measured.

A file is written as Caliper's are. Without ``--config`` it is configs/default.yaml. ``--workload`` keeps some of its
rounds; ``--controller`` runs one round of each workload under that controller instead.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from benchmarks import PROJECT
from benchmarks.load.bench_network import WORKLOADS, BenchNetwork, running_bench_network
from benchmarks.load.benchmark_file import BenchmarkConfig, RoundConfig, WorkloadName, load_config, load_spec
from benchmarks.load.plan import ControllerSpec
from benchmarks.load.rates import Share, build_controller
from benchmarks.load.topologies import TOPOLOGIES
from benchmarks.measure.locust_run import measure_load
from benchmarks.measure.machine import this_machine
from benchmarks.measure.processes import LOCUST
from benchmarks.measure.results import BenchmarkReport, Load
from benchmarks.report import write_report
from gridledger.command_line import tell_error
from gridledger.errors import GridLedgerError, SettingsError

DEFAULT = PROJECT / "benchmarks" / "configs" / "default.yaml"
_START_S = 12.0
_ROUND_S = 8.0
"""What starting a topology, and what each round, takes beside its load; only for the time left that is printed."""
_TX_S = 300.0
"""The same for the throughput of a round that is bounded by transactions and has no rate."""


@dataclass
class BenchRun:
    """A run: its rounds, its topologies, and the loads measured so far."""

    config: BenchmarkConfig
    topologies: list[str]
    loads: list[Load] = field(default_factory=list)

    def left_s(self, topology: int, number: int) -> float:
        """Seconds until the end, when round ``number`` of a topology is the next one."""
        rounds = self.config.rounds
        of_all = sum(self._lasts_s(item) for item in rounds) + _START_S
        return (len(self.topologies) - topology - 1) * of_all + sum(self._lasts_s(item) for item in rounds[number:])

    def _lasts_s(self, item: RoundConfig) -> float:
        warmup = self.config.warmup if item.warmup is None else item.warmup
        tps = item.rateControl.opts.get("tps")
        bound = item.txDuration or (item.txNumber or 0) / (tps if isinstance(tps, int | float) else _TX_S)
        return warmup + bound + _ROUND_S

    def report(self) -> BenchmarkReport:
        """The report of the loads measured so far."""
        return BenchmarkReport(
            title=self.config.name,
            machine=this_machine().to_dict(),
            configuration={"topologies": self.topologies, "test": self.config.model_dump(exclude_none=True)},
            loads=self.loads,
        )


async def run(config: BenchmarkConfig, options: argparse.Namespace, folder: Path) -> None:
    """Measure every round on every topology, and write the report."""
    bench = BenchRun(config, options.topology or config.topologies)
    print(
        f"{config.name}: {len(config.rounds)} rounds on {', '.join(bench.topologies)}; about "
        f"{_clock(bench.left_s(-1, len(config.rounds)))} minutes\n{this_machine()}",
        flush=True,
    )
    for place, topology in enumerate(bench.topologies):
        async with running_bench_network(topology, folder / "network", port_offset=options.port_offset) as network:
            await _rounds(bench, network, place, folder)
    write_report(bench.report(), folder)
    print(f"report: {folder / 'report.html'}")


async def _rounds(bench: BenchRun, network: BenchNetwork, place: int, folder: Path) -> None:
    saturation: dict[str, float] = {}
    rounds = bench.config.rounds
    for number, item in enumerate(rounds):
        begun, spec = time.monotonic(), load_spec(bench.config, item, saturation)
        load = await measure_load(network, spec)
        if spec.closed:
            saturation[load.workload] = load.tx_s
        bench.loads.append(load)
        # After each round, so that a later failure does not lose what was measured.
        (folder / "report.json").write_text(bench.report().model_dump_json(), encoding="utf-8")
        done = place * len(rounds) + number + 1
        total = len(bench.topologies) * len(rounds)
        print(
            f"[{done}/{total}] {network.topology}, {item.label}: {summary(load)} ({time.monotonic() - begun:.0f} s; "
            f"{_clock(bench.left_s(place, number + 1))} left)",
            flush=True,
        )


def summary(load: Load) -> str:
    """A load in one line."""
    text = f"{load.tx_s:.0f} tx/s"
    if load.latency is not None:
        text += f", p50 {load.latency.p50_ms:.1f}, p99 {load.latency.p99_ms:.1f} ms"
    for name, counts in (("invalid", load.invalid), ("refused", load.refused)):
        if counts:
            text += f", {name} " + " ".join(f"{code} {number}" for code, number in counts.items())
    if load.floor_share is not None:
        text += f", {load.floor_share:.0%} of the floor"
    locust = sum(use.cores for use in load.processes if use.kind == LOCUST)
    locust_us = load.generator_us_per_request * locust / load.generator_cores if load.generator_cores else 0.0
    late = "" if load.generator_late_p99_ms is None else f", p99 {load.generator_late_p99_ms:.0f} ms late"
    return text + (
        f"; generator {load.generator_cores:.2f} cores, {load.generator_us_per_request:.0f} us a request, of it Locust "
        f"itself {locust_us:.0f}{late}"
    )


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def selected(options: argparse.Namespace) -> BenchmarkConfig:
    """The benchmark file with the changes of the command line. Raises :class:`SettingsError` if anything is wrong."""
    config = load_config(options.config)
    if options.controller:
        try:
            controller = ControllerSpec.model_validate_json(options.controller)
        except ValidationError as error:
            raise SettingsError(f"--controller: {error.errors()[0]['msg']}") from None
        rounds = [
            RoundConfig(
                label=f"{name} {controller.type}",
                workload=WorkloadName(module=name),
                txDuration=options.seconds,
                rateControl=controller,
            )
            for name in options.workload or WORKLOADS
        ]
    else:
        rounds = [item for item in config.rounds if not options.workload or item.workload.module in options.workload]
        if options.seconds is not None:
            rounds = [item.model_copy(update={"txNumber": None, "txDuration": options.seconds}) for item in rounds]
    if not rounds:
        raise SettingsError(f"{options.config} has no round of {', '.join(options.workload)}")
    changes: dict[str, object] = {"rounds": rounds}
    if options.workers:
        changes["workers"] = config.workers.model_copy(update={"number": options.workers})
    config = config.model_copy(update=changes)
    _check(config, options.topology)
    return config


def _check(config: BenchmarkConfig, topologies: list[str] | None) -> None:
    """Find everything that can be wrong before anything is started."""
    if unknown := [name for name in topologies or config.topologies if name not in TOPOLOGIES]:
        raise SettingsError(f"there is no topology {unknown[0]!r}; there are {', '.join(TOPOLOGIES)}")
    for item in config.rounds:
        if item.workload.module not in WORKLOADS:
            raise SettingsError(f"round {item.label!r}: there are the workloads {', '.join(WORKLOADS)}")
        spec = load_spec(config, item, dict.fromkeys(WORKLOADS, 100.0))
        replays = "replay-rate" in json.dumps(spec.controller.model_dump())
        if not spec.closed and not replays:
            build_controller(spec.controller, Share(0, spec.workers, spec.duration_s, spec.transactions))


def main() -> int:
    """Read the options and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.commands.bench", description=__doc__)
    parser.add_argument("--config", type=Path, default=DEFAULT, help="a benchmark file (default: %(default)s)")
    parser.add_argument("--topology", action="append", choices=TOPOLOGIES, help="instead of the file's")
    parser.add_argument("--workload", action="append", choices=WORKLOADS, help="only these")
    parser.add_argument("--controller", help='one round each under {"type": ..., "opts": {...}}')
    parser.add_argument("--seconds", type=float, help="how long each round is measured, instead of what the file says")
    parser.add_argument("--workers", type=int, help="Locust workers")
    parser.add_argument("--name", help="name of the folder below --out (default: date and time)")
    parser.add_argument("--out", type=Path, default=Path("out/bench"))
    parser.add_argument("--port-offset", type=int, default=10_000)
    options = parser.parse_args()
    if options.controller and options.seconds is None:
        options.seconds = 10.0
    try:
        config = selected(options)
        folder: Path = options.out.absolute() / (options.name or datetime.now(UTC).strftime("%Y-%m-%d-%H%M%S"))
        folder.mkdir(parents=True, exist_ok=True)
        asyncio.run(run(config, options, folder))
    except GridLedgerError as error:
        return tell_error(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())

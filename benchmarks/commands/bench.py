"""``make bench``: the rounds of a benchmark file on each topology, and the report of what was measured.

A file is written as those of Caliper. Without ``--config`` it is configs/default.yaml; ``--workload`` keeps some
of its rounds, ``--controller`` runs one round of each workload under that controller instead.
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

from benchmarks.load.bench_network import PROJECT, WORKLOADS, Bench, running_bench
from benchmarks.load.benchmark_file import RoundConfig, TestConfig, WorkloadRef, load_config, spec_of
from benchmarks.load.plan import CLOSED_LOOP, ControllerSpec
from benchmarks.load.rates import Share, build
from benchmarks.measure.locust_run import measure_load, this_machine
from benchmarks.measure.machine import TOPOLOGIES
from benchmarks.measure.processes import LOCUST
from benchmarks.measure.results import Load, Report
from benchmarks.report import write_report
from gridledger.errors import GridLedgerError, SettingsError

DEFAULT = PROJECT / "benchmarks" / "configs" / "default.yaml"
_START_S = 12.0
_ROUND_S = 8.0
"""What starting a topology, and what each round, takes beside the load; only for the time that is said to be left."""


@dataclass
class Run:
    """A run under way: what was measured so far, and the time that is left."""

    test: TestConfig
    topologies: list[str]
    loads: list[Load] = field(default_factory=list)

    def left_s(self, topology: int, number: int) -> float:
        """Seconds until the end, when round ``number`` of a topology is the next."""
        rounds = self.test.rounds
        of_all = sum(self._lasts(item) for item in rounds) + _START_S
        return (len(self.topologies) - topology - 1) * of_all + sum(self._lasts(item) for item in rounds[number:])

    def _lasts(self, item: RoundConfig) -> float:
        warmup = self.test.warmup if item.warmup is None else item.warmup
        tps = item.rateControl.opts.get("tps")
        bound = item.txDuration or (item.txNumber or 0) / (tps if isinstance(tps, int | float) else 300)
        return warmup + bound + _ROUND_S

    def report(self) -> Report:
        """What there is."""
        return Report(
            title=self.test.name,
            machine=this_machine().to_dict(),
            configuration={"topologies": self.topologies, "test": self.test.model_dump(exclude_none=True)},
            loads=self.loads,
        )


async def run(test: TestConfig, options: argparse.Namespace, folder: Path) -> None:
    """Measure, print, write."""
    under_way = Run(test, options.topology or test.topologies)
    machine = this_machine()
    print(
        f"{test.name}: {len(test.rounds)} rounds on {', '.join(under_way.topologies)}; about "
        f"{_clock(under_way.left_s(-1, len(test.rounds)))} minutes\n{machine.cores} cores, {machine.processor}, Python "
        f"{machine.python}, commit {machine.commit}; P-256 sign {machine.sign_s * 1e6:.0f} us, verify "
        f"{machine.verify_s * 1e6:.0f} us",
        flush=True,
    )
    for place, topology in enumerate(under_way.topologies):
        network = folder / "network"
        async with running_bench(topology, network.absolute(), port_offset=options.port_offset) as bench:
            await _rounds(under_way, bench, place, folder)
    write_report(under_way.report(), folder)
    print(f"report: {folder / 'report.html'}")


async def _rounds(under_way: Run, bench: Bench, place: int, folder: Path) -> None:
    saturation: dict[str, float] = {}
    rounds = under_way.test.rounds
    for number, item in enumerate(rounds):
        begun = time.monotonic()
        load = await measure_load(bench, spec_of(under_way.test, item, saturation))
        if load.controller["type"] == CLOSED_LOOP:
            saturation[load.workload] = load.tx_s
        under_way.loads.append(load)
        # After each round: what was measured is not lost if a later one fails.
        (folder / "report.json").write_text(under_way.report().model_dump_json(), encoding="utf-8")
        done = place * len(rounds) + number + 1
        total = len(under_way.topologies) * len(rounds)
        print(
            f"[{done}/{total}] {bench.topology}, {item.label}: {line_of(load)} ({time.monotonic() - begun:.0f} s; "
            f"{_clock(under_way.left_s(place, number + 1))} left)",
            flush=True,
        )


def line_of(load: Load) -> str:
    """A load in one line."""
    said = f"{load.tx_s:.0f} tx/s"
    if load.latency is not None:
        said += f", p50 {load.latency.p50_ms:.1f}, p99 {load.latency.p99_ms:.1f} ms"
    others = {code: number for code, number in load.codes.items() if code not in ("VALID", "ANSWERED")}
    for name, counts in (("invalid", others), ("refused", load.refused)):
        if counts:
            said += f", {name} " + " ".join(f"{code} {number}" for code, number in counts.items())
    if load.floor_share is not None:
        said += f", {load.floor_share:.0%} of the floor"
    locust = sum(use.cores for use in load.processes if use.kind == LOCUST)
    of_it = load.generator_us_per_request * locust / load.generator_cores if load.generator_cores else 0.0
    late = "" if load.generator_late_p99_ms is None else f", p99 {load.generator_late_p99_ms:.0f} ms late"
    return said + (
        f"; generator {load.generator_cores:.2f} cores, {load.generator_us_per_request:.0f} us a request, of it Locust "
        f"itself {of_it:.0f}{late}"
    )


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def chosen(options: argparse.Namespace) -> TestConfig:
    """The benchmark file, with what the command line changes; :class:`SettingsError` where that cannot be."""
    test = load_config(options.config)
    if options.controller:
        try:
            controller = ControllerSpec.model_validate_json(options.controller)
        except ValidationError as error:
            raise SettingsError(f"--controller: {error.errors()[0]['msg']}") from None
        rounds = [
            RoundConfig(
                label=f"{name} {controller.type}",
                workload=WorkloadRef(module=name),
                txDuration=options.seconds,
                rateControl=controller,
            )
            for name in options.workload or WORKLOADS
        ]
    else:
        rounds = [item for item in test.rounds if not options.workload or item.workload.module in options.workload]
        if options.seconds is not None:
            rounds = [item.model_copy(update={"txNumber": None, "txDuration": options.seconds}) for item in rounds]
    if not rounds:
        raise SettingsError(f"{options.config} has no round of {', '.join(options.workload)}")
    changes: dict[str, object] = {"rounds": rounds}
    if options.workers:
        changes["workers"] = test.workers.model_copy(update={"number": options.workers})
    test = test.model_copy(update=changes)
    _check(test, options.topology)
    return test


def _check(test: TestConfig, topologies: list[str] | None) -> None:
    """All that can be wrong is found before anything is started."""
    if unknown := [name for name in topologies or test.topologies if name not in TOPOLOGIES]:
        raise SettingsError(f"there is no topology {unknown[0]!r}; there are {', '.join(TOPOLOGIES)}")
    for item in test.rounds:
        if item.workload.module not in WORKLOADS:
            raise SettingsError(f"round {item.label!r}: there are the workloads {', '.join(WORKLOADS)}")
        spec = spec_of(test, item, dict.fromkeys(WORKLOADS, 100.0))
        replays = "replay-rate" in json.dumps(spec.controller.model_dump())
        if spec.controller.type != CLOSED_LOOP and not replays:
            build(spec.controller, Share(0, spec.workers, spec.duration_s, spec.transactions))


def main() -> int:
    """Read the options and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.commands.bench", description=__doc__)
    parser.add_argument("--config", type=Path, default=DEFAULT, help="a benchmark file (default: %(default)s)")
    parser.add_argument("--topology", action="append", choices=sorted(TOPOLOGIES), help="instead of the file's")
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
        test = chosen(options)
        folder: Path = options.out / (options.name or datetime.now(UTC).strftime("%Y-%m-%d-%H%M%S"))
        folder.mkdir(parents=True, exist_ok=True)
        asyncio.run(run(test, options, folder))
    except GridLedgerError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""PMU frames in real time: ``python -m benchmarks.commands.frame_stream --groups 16 --rate 30 --seconds 600``.

The feeder itself streams: the simulated grid's PMU frames of every group at a fixed rate, open-loop, each latency from
the frame's intended time to its durable commit, the control loop closed. Several numbers of groups are tried one after
another on one network, until the p99 latency exceeds ``--most-ms`` or a frame is lost. Beside the latencies, the memory
of every process is watched: what a third of the way in is there, and what at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.measure.locust_run import this_machine
from benchmarks.measure.machine import TOPOLOGIES
from benchmarks.measure.processes import GENERATOR, Sample, Watcher
from benchmarks.measure.results import ProcessUse
from benchmarks.measure.window import Window, uses
from gridledger.network.folder import NetworkFolder
from gridledger.network.schema import load_network_config
from gridledger.network.supervisor import running_network

PROJECT = Path(__file__).resolve().parents[2]
_SAMPLE_EVERY_S = 5.0
_MARGIN_S = 300.0
"""What a stream may take beside its time: enrolling, records, power flows."""
_MIB = 2**20


async def measure(options: argparse.Namespace) -> bool:
    """Stream with each number of groups; whether the last one was sustained."""
    options.out.mkdir(parents=True, exist_ok=True)
    config = load_network_config(PROJECT / "network-config" / f"{options.topology}.yaml")
    folder = NetworkFolder(options.out / "network")
    found: list[dict[str, Any]] = []
    async with running_network(
        config.with_port_offset(options.port_offset), folder, project=PROJECT, sink=lambda _name, _line: None
    ):
        for groups in options.groups:
            run = await _stream(options, folder.root, groups)
            found.append(run)
            print(line_of(run), flush=True)
            report = {"topology": options.topology, "machine": asdict(this_machine()), "runs": found}
            (options.out / "frames.json").write_text(json.dumps(report, indent=1))
            if not run["sustained"]:
                break
    return bool(found and found[-1]["sustained"])


async def _stream(options: argparse.Namespace, network: Path, groups: int) -> dict[str, Any]:
    path = options.out / "feeder.json"
    path.unlink(missing_ok=True)
    command = [
        *(sys.executable, "-m", "services.feeder", "--case", options.case, "--groups", str(groups)),
        *("--rate", str(options.rate), "--seconds", str(options.seconds), "--dir", str(network)),
        *("--report", str(path)),
    ]
    samples: list[tuple[float, dict[int, Sample]]] = []
    watcher, begin_at = Watcher(os.getpid()), time.time()
    with (options.out / "feeder.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=PROJECT, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
        until = time.monotonic() + options.seconds + _MARGIN_S
        while process.returncode is None and time.monotonic() < until:
            samples.append((time.time(), watcher.sample()))
            try:
                await asyncio.wait_for(process.wait(), _SAMPLE_EVERY_S)
            except TimeoutError:
                continue
        if process.returncode is None:
            process.kill()
            await process.wait()
    if not path.exists():
        raise SystemExit(f"the feeder ended with {process.returncode} and no report: see {options.out / 'feeder.log'}")
    return outcome_of(json.loads(path.read_text()), samples, begin_at, time.time(), most_ms=options.most_ms)


def outcome_of(
    report: dict[str, Any],
    samples: list[tuple[float, dict[int, Sample]]],
    begin_at: float,
    end_at: float,
    *,
    most_ms: float,
) -> dict[str, Any]:
    """What a stream's report and the samples say. Memory counts from a third of the way in: by then all is loaded."""
    everything, groups = report["all"], len(report["groups"])
    lasts = end_at - begin_at
    settled = Window(lasts / 3, lasts, begin_at + lasts / 3, counted=False)
    processes = uses(samples, settled)
    sustained = (
        everything["valid"] == everything["sent"]
        and not report["not_sent"]
        and everything["latency_ms"].get("p99", float("inf")) <= most_ms
    )
    return {
        "case": report["case"],
        "groups": groups,
        "rate_per_group": report["rate_per_group"],
        "frames_per_second": everything["sent"] / report["seconds"],
        "seconds": report["seconds"],
        "sent": everything["sent"],
        "valid": everything["valid"],
        "not_sent": report["not_sent"],
        "latency_ms": everything["latency_ms"],
        "sustained": sustained,
        "feeder_cores": sum(use.cores for use in processes if use.kind in GENERATOR),
        "cores": sum(use.cores for use in processes),
        "memory": memory_of(processes),
        "processes": [use.model_dump() for use in processes],
    }


def memory_of(processes: list[ProcessUse]) -> dict[str, dict[str, float]]:
    """By kind of process, MiB of all of them together: a third of the way in, at the end, and each one's most."""
    kinds: dict[str, dict[str, float]] = {}
    for use in processes:
        sums = kinds.setdefault(use.kind, {"processes": 0, "then_mib": 0.0, "end_mib": 0.0, "most_mib": 0.0})
        sums["processes"] += 1
        sums["then_mib"] += use.rss_first_bytes / _MIB
        sums["end_mib"] += use.rss_last_bytes / _MIB
        sums["most_mib"] += use.rss_max_bytes / _MIB
    return kinds


def line_of(run: dict[str, Any]) -> str:
    """A stream in one line."""
    latency = run["latency_ms"]
    memory = ", ".join(f"{kind} {sums['then_mib']:.0f} > {sums['end_mib']:.0f}" for kind, sums in run["memory"].items())
    return (
        f"{run['case']}, {run['groups']} groups at {run['rate_per_group']:g}: {run['frames_per_second']:.0f} frames/s "
        f"for {run['seconds']:g} s, {run['valid']} of {run['sent']} valid, p50 {latency.get('p50', 0):.1f}, "
        f"p99 {latency.get('p99', 0):.1f}, most {latency.get('max', 0):.1f} ms: "
        f"{'sustained' if run['sustained'] else 'NOT sustained'}; {run['cores']:.2f} cores, the feeder's "
        f"{run['feeder_cores']:.2f}; memory in MiB: {memory}"
    )


def main() -> int:
    """Read the options and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.commands.frame_stream", description=__doc__)
    parser.add_argument("--topology", choices=sorted(TOPOLOGIES), default="three-shards")
    parser.add_argument("--case", default="case300", help="the grid (default: %(default)s)")
    parser.add_argument("--groups", type=int, nargs="+", default=[16], help="one after another")
    parser.add_argument("--rate", type=float, default=30.0, help="frames per second of each group")
    parser.add_argument("--seconds", type=float, default=600.0, help="of each number of groups")
    parser.add_argument("--most-ms", type=float, default=100.0, help="the p99 latency that counts as sustained")
    parser.add_argument("--out", type=Path, default=Path("out/frames"))
    parser.add_argument("--port-offset", type=int, default=10_000)
    options = parser.parse_args()
    return 0 if asyncio.run(measure(options)) else 1


if __name__ == "__main__":
    sys.exit(main())

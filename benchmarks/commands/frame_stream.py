"""PMU frames in real time: ``python -m benchmarks.commands.frame_stream --groups 16 --rate 30 --seconds 600``.

The feeder itself streams the simulated grid's frames of every group at a fixed rate, open-loop, with the control loop
closed; a frame's latency counts from its intended time to its durable commit. Several numbers of groups are tried one
after another on one network, until the p99 latency exceeds ``--most-ms`` or a frame is lost. The memory of every
process is recorded a third of the way in and at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.load.topologies import TOPOLOGIES, running_topology
from benchmarks.measure.machine import this_machine
from benchmarks.measure.processes import GENERATOR, Samples, run_sampled
from benchmarks.measure.results import ProcessUse
from benchmarks.measure.window import Window, process_uses

_SAMPLE_EVERY_S = 5.0
_MARGIN_S = 300.0
"""What a stream may take beside its frames: enrolling, records, power flows."""
_MIB = 2**20


async def measure(options: argparse.Namespace) -> bool:
    """Stream with each number of groups; whether the last stream was sustained."""
    options.out = options.out.absolute()
    options.out.mkdir(parents=True, exist_ok=True)
    network = options.out / "network"
    streams: list[dict[str, Any]] = []
    async with running_topology(options.topology, network, port_offset=options.port_offset):
        for groups in options.groups:
            stream = await _stream(options, network, groups)
            streams.append(stream)
            print(summary(stream), flush=True)
            report = {"topology": options.topology, "machine": this_machine().to_dict(), "runs": streams}
            (options.out / "frames.json").write_text(json.dumps(report, indent=1))
            if not stream["sustained"]:
                break
    return bool(streams and streams[-1]["sustained"])


async def _stream(options: argparse.Namespace, network: Path, groups: int) -> dict[str, Any]:
    path, log = options.out / "feeder.json", options.out / "feeder.log"
    path.unlink(missing_ok=True)
    command = [
        *(sys.executable, "-m", "services.feeder", "--case", options.case, "--groups", str(groups)),
        *("--rate", str(options.rate), "--seconds", str(options.seconds), "--dir", str(network)),
        *("--report", str(path)),
    ]
    begin_at = time.time()
    code, samples = await run_sampled(command, log, every_s=_SAMPLE_EVERY_S, within_s=options.seconds + _MARGIN_S)
    if not path.exists():
        raise SystemExit(f"the feeder ended with {code} and no report: see {log}")
    return outcome_of(json.loads(path.read_text()), samples, begin_at, time.time(), most_ms=options.most_ms)


def outcome_of(
    report: dict[str, Any], samples: Samples, begin_at: float, end_at: float, *, most_ms: float
) -> dict[str, Any]:
    """A stream's outcome from the feeder's report and the samples. Cores and memory count from a third of the way in,
    when everything is loaded."""
    frames, lasts_s = report["all"], end_at - begin_at
    processes = process_uses(samples, Window(lasts_s / 3, lasts_s, begin_at + lasts_s / 3))
    sustained = (
        frames["valid"] == frames["sent"]
        and not report["not_sent"]
        and frames["latency_ms"].get("p99", float("inf")) <= most_ms
    )
    return {
        "case": report["case"],
        "groups": len(report["groups"]),
        "rate_per_group": report["rate_per_group"],
        "frames_per_second": frames["sent"] / report["seconds"],
        "seconds": report["seconds"],
        "sent": frames["sent"],
        "valid": frames["valid"],
        "not_sent": report["not_sent"],
        "latency_ms": frames["latency_ms"],
        "sustained": sustained,
        "feeder_cores": sum(use.cores for use in processes if use.kind in GENERATOR),
        "cores": sum(use.cores for use in processes),
        "memory": memory_by_kind(processes),
        "processes": [use.model_dump() for use in processes],
    }


def memory_by_kind(processes: list[ProcessUse]) -> dict[str, dict[str, float]]:
    """For each kind of process the sum of its processes' memory in MiB: a third of the way in, at the end, at most."""
    kinds: dict[str, dict[str, float]] = {}
    for use in processes:
        sums = kinds.setdefault(use.kind, {"processes": 0, "then_mib": 0.0, "end_mib": 0.0, "most_mib": 0.0})
        sums["processes"] += 1
        sums["then_mib"] += use.rss_first_bytes / _MIB
        sums["end_mib"] += use.rss_last_bytes / _MIB
        sums["most_mib"] += use.rss_max_bytes / _MIB
    return kinds


def summary(stream: dict[str, Any]) -> str:
    """A stream in one line."""
    latency = stream["latency_ms"]
    memory = ", ".join(
        f"{kind} {sums['then_mib']:.0f} > {sums['end_mib']:.0f}" for kind, sums in stream["memory"].items()
    )
    return (
        f"{stream['case']}, {stream['groups']} groups at {stream['rate_per_group']:g}: "
        f"{stream['frames_per_second']:.0f} frames/s for {stream['seconds']:g} s, {stream['valid']} of "
        f"{stream['sent']} valid, p50 {latency.get('p50', 0):.1f}, p99 {latency.get('p99', 0):.1f}, most "
        f"{latency.get('max', 0):.1f} ms: {'sustained' if stream['sustained'] else 'NOT sustained'}; "
        f"{stream['cores']:.2f} cores, the feeder's {stream['feeder_cores']:.2f}; memory in MiB: {memory}"
    )


def main() -> int:
    """Read the options and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.commands.frame_stream", description=__doc__)
    parser.add_argument("--topology", choices=TOPOLOGIES, default="three-shards")
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

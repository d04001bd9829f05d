"""The closed loop on grids of any size, with automatic groups: ``python -m benchmarks.grids``.

For each case a network is started; the feeder itself streams frames of every group at a fixed rate, open-loop, while
ten groups alarm one after the other (as many as the grid has) and one more, which has no VVC, merges. A frame's latency
counts from its intended time to its durable commit.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import PROJECT
from benchmarks.grids.outcome import outcome_of, table
from benchmarks.grids.plan import Plan, plan_of
from benchmarks.load.topologies import TOPOLOGIES, running_topology
from benchmarks.measure.machine import this_machine
from benchmarks.measure.processes import run_sampled

CASES = {
    "tests/data/cases/case14.m": 10.0,
    "tests/data/cases/case39.m": 10.0,
    "tests/data/cases/case1354pegase.m.gz": 2.0,
    "tests/data/cases/case9241pegase.m.gz": 0.4,
}
"""Frames per second of each group, by case."""
_SAMPLE_EVERY_S = 5.0
_MARGIN_S = 600.0
"""What a stream may take beside its frames: enrolling, records, power flows."""


async def measure(options: argparse.Namespace) -> bool:
    """One case after the other; whether all went well."""
    out = options.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    runs: list[dict[str, Any]] = []
    for case in options.case or CASES:
        rate = options.rate or CASES.get(case, 1.0)
        plan = await asyncio.to_thread(plan_of, case, rate=rate, frames=options.frames, alarms=options.alarms)
        runs.append(await _stream(plan, options, out / plan.case))
        report = {
            "machine": this_machine().to_dict(),
            "configuration": {
                "topology": options.topology,
                "frames_per_group": options.frames,
                "alarms": options.alarms,
                "profile": "corrected",
                "note": options.note,
            },
            "runs": runs,
        }
        (out / "grids.json").write_text(json.dumps(report, indent=1) + "\n")
        (out / "grids.md").write_text(table(runs))
        print(table(runs[-1:]), flush=True)
    return all(run["complete"] for run in runs)


async def _stream(plan: Plan, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    scenario, report, log = folder / "scenario.yaml", folder / "feeder.json", folder / "feeder.log"
    _begin_anew(folder)
    plan.write(scenario)
    network = folder / "network"
    command = [
        *(sys.executable, "-m", "services.feeder", "run", str(scenario)),
        *("--dir", str(network), "--report", str(report)),
    ]
    async with running_topology(options.topology, network, port_offset=options.port_offset):
        begin_at = time.time()
        within_s = plan.scenario["duration"] + _MARGIN_S
        code, samples = await run_sampled(command, log, every_s=_SAMPLE_EVERY_S, within_s=within_s)
    return outcome_of(plan, _read(report, code, log), samples, (begin_at, time.time()), frames=options.frames)


def _begin_anew(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _read(report: Path, code: int, log: Path) -> Any:
    if not report.exists():
        raise SystemExit(f"the feeder ended with {code} and no report: see {log}")
    return json.loads(report.read_text())


def main() -> int:
    """Read the options and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.grids", description=__doc__)
    parser.add_argument("--case", action="append", help="a case, again for several (default: 14 to 9,241 buses)")
    parser.add_argument("--rate", type=float, help="frames per second of each group (default: by case)")
    parser.add_argument("--frames", type=int, default=300, help="of each group, one after the other")
    parser.add_argument("--alarms", type=int, default=10, help="in how many groups")
    parser.add_argument("--topology", choices=TOPOLOGIES, default="three-shards")
    parser.add_argument("--out", type=Path, default=PROJECT / "out/grids")
    parser.add_argument("--port-offset", type=int, default=11_000)
    parser.add_argument("--note", default="", help="what else the machine did, for the report")
    return 0 if asyncio.run(measure(parser.parse_args())) else 1


if __name__ == "__main__":
    sys.exit(main())

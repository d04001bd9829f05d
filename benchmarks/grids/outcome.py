"""What became of a case's stream, and the table of several."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.grids.plan import Plan
from benchmarks.measure.processes import GENERATOR, Samples
from benchmarks.measure.window import Window, process_uses

_BUSY = 0.85
"""The share of all cores from which on these are what limits."""
_COLUMNS = (
    *("case", "buses", "groups", "rate/s", "frames/s", "sent", "valid", "superseded", "fewest of a group"),
    *("alarms answered", "merges", "p50 ms", "p99 ms", "worst ms"),
    *("power flow ms", "planner s", "records s", "cores", "feeder's", "limit"),
)


def outcome_of(
    plan: Plan, report: Mapping[str, Any], samples: Samples, lasted: tuple[float, float], *, frames: int
) -> dict[str, Any]:
    """The outcome from the feeder's report and the samples.

    Complete: every frame was valid or superseded, every group sent ``frames`` of its own or in its merge, every planned
    alarm was answered by an injection, and the group without VVC merged.
    """
    total, groups = report["all"], report["groups"]
    injected = {injection["group"] for injection in report["injections"]}
    answered = [group for group in plan.alarms if any(group in name.split("_") for name in injected)]
    merged = sorted(name for name in groups if "_" in name)
    own = {group: groups[group]["sent"] for group in groups if "_" not in group}
    for name in merged:
        for part in name.split("_"):
            own[part] = own.get(part, 0) + groups[name]["sent"]
    begin_at, end_at = lasted
    window = Window((end_at - begin_at) / 3, end_at - begin_at, begin_at + (end_at - begin_at) / 3)
    uses = process_uses(samples, window)
    cores, feeder = sum(use.cores for use in uses), sum(use.cores for use in uses if use.kind in GENERATOR)
    counted = total["valid"] + total["superseded"] == total["sent"] and not report["not_sent"]
    return {
        "case": plan.case,
        "sizes": plan.sizes,
        "times_s": plan.times_s,
        "scenario": plan.scenario,
        "rate_per_group": report["rate_per_group"],
        "frames_per_second": round(total["sent"] / report["seconds"], 2),
        "seconds": report["seconds"],
        "all": total,
        "fewest_frames_of_a_group": min(own.values()),
        "alarms_planned": plan.alarms,
        "alarms_answered": answered,
        "merged": merged,
        "merges": report["merges"],
        "injections": report["injections"],
        "vvc_pu": report["vvc_pu"],
        "groups": groups,
        "cores": round(cores, 3),
        "feeder_cores": round(feeder, 3),
        "processes": [use.model_dump() for use in uses],
        "limit": _limit(cores, feeder, 0 if counted else total["sent"] - total["valid"] - total["superseded"]),
        "complete": counted and min(own.values()) >= frames and answered == plan.alarms and bool(merged),
    }


def _limit(cores: float, feeder: float, failed: int) -> str:
    """What there is least left of; where frames failed, that."""
    if failed:
        return f"the network: {failed} frames failed"
    available = os.cpu_count() or 1
    if cores >= _BUSY * available:
        return "all cores"
    return "the feeder's core" if feeder >= _BUSY else "nothing: the rate"


def table(runs: Iterable[Mapping[str, Any]]) -> str:
    """The runs as a table in Markdown."""
    lines = [f"| {' | '.join(_COLUMNS)} |", f"|{'---|' * len(_COLUMNS)}"]
    for run in runs:
        latency, times = run["all"]["latency_ms"], run["times_s"]
        values = (
            *(run["case"], run["sizes"]["buses"], run["sizes"]["groups"], f"{run['rate_per_group']:g}"),
            *(run["frames_per_second"], run["all"]["sent"], run["all"]["valid"], run["all"]["superseded"]),
            *(run["fewest_frames_of_a_group"], f"{len(run['alarms_answered'])} of {len(run['alarms_planned'])}"),
            *(" ".join(run["merged"]) or "none", latency.get("p50"), latency.get("p99"), latency["max"]),
            *(round(1000 * times["power_flow"], 1), times["planner"], times["records"]),
            *(run["cores"], run["feeder_cores"], run["limit"]),
        )
        lines.append(f"| {' | '.join(map(str, values))} |")
    return "\n".join(lines) + "\n"

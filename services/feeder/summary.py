"""What summary.json says of the scenarios."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gridledger.demonstration.summary import channel_summary, percentiles_ms
from gridledger.network.status import NetworkState
from services.feeder.scenario_run import ScenarioRun


def scenario_summary(run: ScenarioRun) -> dict[str, Any]:
    """One entry of ``scenarios``."""
    bus = run.weak_bus
    return {
        "name": run.scenario.name,
        "profile": run.planner.profile,
        "frames": run.frames,
        "steps": run.steps,
        "injections": [{"bus": i.bus, "q_mvar": i.q_mvar, "tx_id": i.tx_id} for i in run.injections],
        "weak_bus": bus,
        "v_before": run.voltage(run.before),
        "v_after": run.voltage(run.after),
        "vsi_before": run.before.vsi[bus],
        "vsi_after": run.after.vsi[bus],
        "cured": run.cured,
    }


def summary(ready_s: float, runs: Sequence[ScenarioRun], state: NetworkState) -> dict[str, Any]:
    """The whole file."""
    return {
        "ready_s": round(ready_s, 2),
        "scenarios": [scenario_summary(run) for run in runs],
        "channels": channel_summary(state),
        "latency_ms": percentiles_ms(latency for run in runs for latency in run.latencies_s),
    }

"""The file summary.json: the results of a demonstration, for programs to read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from gridledger import jsontext
from gridledger.network.status import NetworkState
from services.feeder.scenario_run import ScenarioRun

PERCENTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}


def percentiles_ms(latencies_s: Iterable[float]) -> dict[str, float]:
    """p50, p95, p99 of latencies, milliseconds; {} where there are none. The nearest rank, no interpolation."""
    ordered = sorted(latencies_s)
    if not ordered:
        return {}
    return {
        name: round(1000.0 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2)
        for name, share in PERCENTILES.items()
    }


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


def channel_summary(state: NetworkState) -> dict[str, Any]:
    """``channels``: the height of each, and the height and commit hash of its peers."""
    return {
        name: {
            "height": max((peer.height for peer in channel.peers.values()), default=0),
            "peers": {
                peer: {"height": found.height, "commit_hash": found.commit_hash}
                for peer, found in sorted(channel.peers.items())
            },
        }
        for name, channel in state.channels.items()
    }


def write_summary(path: Path, ready_s: float, runs: Sequence[ScenarioRun], state: NetworkState) -> None:
    """Write the file; its folder exists."""
    summary = {
        "ready_s": round(ready_s, 2),
        "scenarios": [scenario_summary(run) for run in runs],
        "channels": channel_summary(state),
        "latency_ms": percentiles_ms(latency for run in runs for latency in run.latencies_s),
    }
    path.write_bytes(jsontext.dumps(summary) + b"\n")

"""One load on a running network, measured: ``await measure_load(bench, LoadSpec(workload="put", ...))``."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache

from pydantic import BaseModel, ConfigDict, Field, model_validator

from benchmarks.bench import Bench, run_load
from benchmarks.machine import Machine, measure_machine
from benchmarks.plan import ControllerSpec, Target
from benchmarks.results import Latency, Load
from gridledger import jsontext

TOPOLOGIES = {"no-shard": (6, 3), "two-shards": (3, 3), "three-shards": (2, 2)}
"""Peers per channel and endorsers per transaction."""

_PUT_BYTES = 100


class LoadSpec(BaseModel):
    """A load: what is sent (put, ComputeVSI, LocalController, read-write, query), at which rate, from how many Locust
    workers, and until when: so many transactions in all behind the warm-up, or so many seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    workload: str
    controller: ControllerSpec
    workers: int = Field(2, ge=1, le=64)
    transactions: int | None = Field(None, ge=1)
    duration_s: float | None = Field(None, gt=0)
    warmup_s: float = Field(0.0, ge=0)

    @model_validator(mode="after")
    def _one_bound(self) -> LoadSpec:
        if (self.transactions is None) == (self.duration_s is None):
            raise ValueError("give either transactions or duration_s")
        return self


async def measure_load(bench: Bench, spec: LoadSpec) -> Load:
    """Offer the load, and tell what became of it."""
    targets = bench.vsi_targets() if spec.workload == "ComputeVSI" else bench.put_targets(_PUT_BYTES)
    rate = spec.controller.opts.get("tps")
    duration_s = spec.duration_s or (spec.transactions or 0) / (rate or 100.0)
    started = datetime.now(UTC)
    outcome = await run_load(
        bench,
        targets,
        rate=rate,
        concurrency=int(spec.controller.opts.get("users", 1)),
        warmup_s=spec.warmup_s,
        duration_s=duration_s,
    )
    peers, endorsers = TOPOLOGIES[bench.config.name]
    latencies = [value * 1000 for value in outcome.latencies_s]
    refused = sum(outcome.refused.values())
    return Load(
        topology=bench.config.name,
        workload=spec.workload,
        controller=spec.controller.model_dump(),
        workers=spec.workers,
        offered_tx_s=rate,
        started_at=started.isoformat(),
        measured_s=outcome.measured_s,
        sent=len(latencies) + refused,
        valid=len(latencies),
        tx_s=len(latencies) / outcome.measured_s,
        codes={"VALID": len(latencies)},
        refused=outcome.refused,
        latency=latency_of(latencies),
        payload_bytes=_payload_bytes(targets),
        disk_bytes_per_tx=None,
        floor_tx_s=this_machine().floor(peers=peers, endorsers=endorsers),
        generator_cores=outcome.cpu_s / (outcome.measured_s + spec.warmup_s),
        generator_us_per_request=outcome.cpu_s * 1e6 / max(1, len(latencies) + refused),
        processes=[],
        blocks=[],
        seconds=[],
    )


@cache
def this_machine() -> Machine:
    """The machine, measured once."""
    return measure_machine()


def percentile(ordered: list[float], share: float) -> float:
    """The value below which ``share`` of the ordered values lie, NaN of none."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def latency_of(ordered_ms: list[float]) -> Latency | None:
    """Mean and percentiles of ordered latencies."""
    if not ordered_ms:
        return None
    return Latency(
        mean_ms=sum(ordered_ms) / len(ordered_ms),
        p50_ms=percentile(ordered_ms, 0.50),
        p95_ms=percentile(ordered_ms, 0.95),
        p99_ms=percentile(ordered_ms, 0.99),
        max_ms=ordered_ms[-1],
    )


def _payload_bytes(targets: list[Target]) -> float:
    return sum(len(jsontext.dumps(target.argument)) for target in targets) / len(targets)

"""What a generator process is told to do, and what it tells when it has done it. Both travel as JSON."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Target(_Part):
    """One stream of transactions: to which gateway, on which channel, as whom (an identity's folder), doing what.

    ``function`` and ``argument``: for ``ComputeVSI`` the argument is a frame whose time is replaced by ever later ones,
    for ``put`` it is {"bytes": N}, the size of the value.
    """

    url: str
    channel: str
    chaincode: str
    identity: str
    function: str
    argument: dict[str, Any]


class Plan(_Part):
    """Load for ``duration_s`` behind ``warmup_s``. Open loop: ``rate`` transactions per second, each begun at its
    intended time whatever became of those before. Closed loop (``rate`` null): ``concurrency`` at a time.

    ``first`` and ``stride`` keep the keys and times of several processes apart; ``start_at`` (clock, seconds since
    1970) begins them together.
    """

    roots: str
    targets: list[Target]
    rate: float | None
    concurrency: int
    warmup_s: float
    duration_s: float
    first: int
    stride: int
    start_at: float


class ControllerSpec(_Part):
    """A rate controller as Caliper's benchmark files write it: its type and that type's options (benchmarks/rates.py).

    Types: fixed-rate {tps}, fixed-load {transactionLoad}, fixed-feedback-rate {tps, transactionLoad}, linear-rate
    {startingTps, finishingTps}, maximum-rate {tps, step, sampleInterval}, composite-rate {weights, rateControllers},
    record-rate {rateController, pathTemplate}, replay-rate {pathTemplate}, zero-rate, and closed-loop {users}. Rates
    and loads are those of all workers together.
    """

    type: str
    opts: dict[str, Any] = Field(default_factory=dict)


class Workloads(_Part):
    """What a prepared network offers: the file of its roots, and each workload's streams."""

    roots: str
    workloads: dict[str, list[Target]]


class Outcome(_Part):
    """Latencies in seconds of what was begun after the warm-up and became VALID, from the intended time; refusals by
    code; seconds measured and seconds of processor time that the generator itself took."""

    latencies_s: list[float]
    refused: dict[str, int]
    measured_s: float
    cpu_s: float

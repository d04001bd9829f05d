"""What load generators are told to do. All of it travels as JSON."""

from __future__ import annotations

import time
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

CLOSED_LOOP = "closed-loop"
"""The type of the controller that is no schedule: so many users, each waits for its answer before it goes on."""
DRAIN_S = 65.0
"""How long a load waits for what it has sent: longer than the SDK's own time-outs, so that nothing ends in silence."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Target(_Part):
    """One stream of transactions: to which gateway, on which channel, as whom (an identity's folder), doing what.

    ``function`` and ``argument`` say what (workloads.py). ``exclusive``: one transaction of the stream at a time; while
    none is free, the next one waits. ``readonly``: evaluated, not submitted.
    """

    url: str
    channel: str
    chaincode: str
    identity: str
    function: str
    argument: dict[str, Any]
    exclusive: bool = False
    readonly: bool = False


class Workloads(_Part):
    """What a prepared network offers: the file of its roots, and each workload's streams."""

    roots: str
    workloads: dict[str, list[Target]]


class ControllerSpec(_Part):
    """A rate controller as Caliper's benchmark files write it: its type and that type's options (rates.py).

    Types: fixed-rate {tps}, fixed-load {transactionLoad}, fixed-feedback-rate {tps, transactionLoad}, linear-rate
    {startingTps, finishingTps}, maximum-rate {tps, step, sampleInterval}, composite-rate {weights, rateControllers},
    record-rate {rateController, pathTemplate}, replay-rate {pathTemplate}, zero-rate, and closed-loop {users}. Rates
    and loads are those of all workers together.
    """

    type: str
    opts: dict[str, Any] = Field(default_factory=dict)


class LoadSpec(_Part):
    """A load: what is sent (put, ComputeVSI, LocalController, read-write, query), at which rate, from how many Locust
    workers, and until when: so many transactions in all behind the warm-up, or so many seconds."""

    workload: str
    controller: ControllerSpec
    workers: int = Field(default=2, ge=1, le=64)
    transactions: int | None = Field(default=None, ge=1)
    duration_s: float | None = Field(default=None, gt=0)
    warmup_s: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _one_bound(self) -> LoadSpec:
        if (self.transactions is None) == (self.duration_s is None):
            raise ValueError("give either transactions or duration_s")
        return self


class Round(_Part):
    """One load as one engine of ``count`` is to carry it out.

    ``controller`` null: a closed loop whose users come and go by order. Neither bound: until it is told to stop.
    ``start_at`` (clock, seconds since 1970) begins all engines together; ``first`` keeps their keys and times apart
    from those of other rounds. ``results``: the file for every transaction's outcome.
    """

    workloads: list[str] = Field(min_length=1)
    controller: ControllerSpec | None = None
    index: int = 0
    count: int = 1
    warmup_s: float = 0.0
    duration_s: float | None = None
    transactions: int | None = None
    start_at: float
    first: int
    results: str | None = None


def first_number() -> int:
    """A number beyond those of earlier rounds: keys and frame times must not meet."""
    return int(time.time() * 1e6) % 10**12

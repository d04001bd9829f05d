"""The load that generators are told to offer: streams, rate controllers, loads and rounds. All travel as JSON."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

CLOSED_LOOP = "closed-loop"
"""The controller type that is no schedule: so many users, each of whom waits for its answer before it sends again."""
DRAIN_S = 65.0
"""How long a load waits for the answers to what it has sent: longer than the SDK's own time-outs."""


class StrictModel(BaseModel):
    """Base of what benchmarks read and write as JSON or YAML: immutable, and unknown members are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LoadStream(StrictModel):
    """One stream of transactions: the gateway's URL, the channel, the sender (an identity's folder), what is sent.

    workloads.py reads ``function`` and ``argument``. ``exclusive``: at most one transaction of the stream is under way;
    the next one waits. ``readonly``: transactions are evaluated, not submitted.
    """

    url: str
    channel: str
    chaincode: str
    identity: str
    function: str
    argument: dict[str, Any]
    exclusive: bool = False
    readonly: bool = False


class BenchFile(StrictModel):
    """``bench.json``, which describes a prepared network: the file of its roots, and the streams of each workload."""

    roots: str
    workloads: dict[str, list[LoadStream]]

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(self.model_dump_json(), encoding="utf-8")


class ControllerSpec(StrictModel):
    """A rate controller as in Caliper's benchmark files: its type and the options of that type (rates.py).

    Types: fixed-rate {tps}, fixed-load {transactionLoad}, fixed-feedback-rate {tps, transactionLoad}, linear-rate
    {startingTps, finishingTps}, maximum-rate {tps, step, sampleInterval}, composite-rate {weights, rateControllers},
    record-rate {rateController, pathTemplate}, replay-rate {pathTemplate}, zero-rate, and closed-loop {users}. Rates
    and loads are those of all workers together.
    """

    type: str
    opts: dict[str, Any] = Field(default_factory=dict)


class LoadSpec(StrictModel):
    """A load: the workload (put, ComputeVSI, LocalController, read-write, query), its rate controller, the number of
    Locust workers, and its bound after the warm-up: a number of transactions of all workers, or seconds."""

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

    @property
    def closed(self) -> bool:
        """Whether the load is a closed loop."""
        return self.controller.type == CLOSED_LOOP


class Round(StrictModel):
    """The part of one load that engine ``index`` of ``count`` carries out.

    Without a ``controller`` it is a closed loop whose users come and go by order. Without a bound it lasts until it is
    told to stop. ``start_at`` (seconds since 1970) lets all engines begin together; keys and frame times count from
    ``first``, so that rounds never share them. ``results`` is the file for every transaction's outcome.
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
    """A ``first`` for a round that is larger than any number an earlier round used."""
    return int(time.time() * 1e6) % 10**12


def engine_command(bench_file: str | Path) -> list[str]:
    """The command line that starts an engine."""
    return [sys.executable, "-m", "benchmarks.load.engine", str(bench_file)]

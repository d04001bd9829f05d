"""The results of a benchmark: the file that commands write, and that reports, figures and the model read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from benchmarks.load.plan import StrictModel
from benchmarks.load.transaction_log import GOOD
from benchmarks.measure.processes import GENERATOR

LATE_MS = 100.0
"""A generator that sends later than this had to wait for a core."""
NEAR_A_CORE = 0.85
"""A generator's process of one thread that uses this many cores may be what limited a load."""


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which ``share`` of the ordered values lie; NaN if there are none."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


class Latency(StrictModel):
    """Milliseconds from the intended send time until the verdict, of transactions that became VALID."""

    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float

    @classmethod
    def of(cls, latencies_s: Sequence[float]) -> Latency | None:
        """Mean and percentiles of latencies in seconds, None if there are none."""
        if not latencies_s:
            return None
        ordered = sorted(1000 * latency for latency in latencies_s)
        return cls(
            mean_ms=sum(ordered) / len(ordered),
            p50_ms=percentile(ordered, 0.50),
            p95_ms=percentile(ordered, 0.95),
            p99_ms=percentile(ordered, 0.99),
            max_ms=ordered[-1],
        )


class ProcessUse(StrictModel):
    """One process under load: its node's name, its kind, cores used (processor seconds per second), and its resident
    memory without mapped files at the begin, at the end and at most."""

    name: str
    kind: str
    pid: int
    cores: float
    rss_first_bytes: int
    rss_last_bytes: int
    rss_max_bytes: int


class Second(StrictModel):
    """One second of a load, counted from its begin: transactions sent, VALID, refused, and the latency of the VALID."""

    at_s: int
    sent: int
    valid: int
    refused: int
    p50_ms: float | None
    p99_ms: float | None


class BlockSizes(StrictModel):
    """The blocks that one channel added under load."""

    channel: str
    blocks: int
    transactions: int
    mean: float
    p50: int
    max: int


class Load(StrictModel):
    """One load on one topology, measured behind its warm-up."""

    topology: str
    workload: str
    controller: dict[str, Any] = Field(description="Type and options of the rate controller, as Caliper names them.")
    workers: int
    offered_tx_s: float | None = Field(description="The open loop's mean rate; null in a closed loop.")
    started_at: str = Field(description="UTC, RFC 3339.")
    measured_s: float
    sent: int = Field(description="Transactions due in the measured time.")
    ended: int | None = Field(
        default=None,
        description="Those that ended in it, also if due before; null in reports that do not tell it.",
    )
    valid: int = Field(description="VALID ones of those that ended in the measured time.")
    tx_s: float = Field(description="VALID transactions per second measured.")
    codes: dict[str, int] = Field(description="Of those sent: validation codes of the committed, VALID among them.")
    refused: dict[str, int] = Field(description="Of those sent: errors' codes of the others, 429s among them.")
    latency: Latency | None = Field(description="Null if nothing became VALID.")
    payload_bytes: float = Field(description="Mean bytes of a transaction's arguments.")
    disk_bytes_per_tx: float | None = Field(description="Growth of one peer's ledger by its transactions.")
    floor_tx_s: float | None = Field(description="What the signatures alone allow; null where nothing is committed.")
    generator_cores: float = Field(description="Processor seconds of Locust and its engines per second measured.")
    generator_us_per_request: float
    generator_late_p99_ms: float | None = Field(
        default=None, description="How long after its intended time a transaction was sent; null in a closed loop."
    )
    processes: list[ProcessUse]
    blocks: list[BlockSizes]
    seconds: list[Second]

    @property
    def floor_share(self) -> float | None:
        """Throughput as a share of the floor."""
        return self.tx_s / self.floor_tx_s if self.floor_tx_s else None

    @property
    def success(self) -> float | None:
        """The share of the transactions sent that became VALID, also after the measured time."""
        good = sum(count for code, count in self.codes.items() if code in GOOD)
        return good / self.sent if self.sent else None

    @property
    def invalid(self) -> dict[str, int]:
        """The validation codes of transactions that were committed as invalid."""
        return {code: count for code, count in self.codes.items() if code not in GOOD}

    @property
    def generators(self) -> list[ProcessUse]:
        """The load generator's processes."""
        return [use for use in self.processes if use.kind in GENERATOR]

    @property
    def busy_generators(self) -> list[ProcessUse]:
        """Processes of the load generator that used nearly a whole core, so that they may have limited the load."""
        return [use for use in self.generators if use.cores >= NEAR_A_CORE]

    def warnings(self) -> list[str]:
        """What a reader must know before relying on the load's numbers."""
        found = []
        if self.busy_generators:
            worst = ", ".join(f"{use.name} {use.pid}: {use.cores:.2f} of a core" for use in self.busy_generators)
            found.append(f"the generator may have limited this load ({worst}). Measure again with more workers.")
        late_ms = self.generator_late_p99_ms or 0.0
        if late_ms > LATE_MS:
            found.append(
                f"the generator had to wait for a core: one transaction in a hundred was sent {late_ms:.0f} ms late or "
                "later, which its latency includes."
            )
        if not self.valid:
            found.append("nothing became VALID.")
        # Refusals are no warning: in a closed loop, users are told to come later as a matter of course.
        if invalid := sum(self.invalid.values()):
            found.append(f"{invalid:,} transactions were committed as invalid.")
        if self.ended is not None and self.sent > self.ended:
            more = self.sent - self.ended
            found.append(f"the backlog grew: {more:,} more transactions were sent than ended in the measured time.")
        return found


class BenchmarkReport(StrictModel):
    """A run: the machine (:class:`.machine.Machine` as a dict, with the commit), its configuration, its loads."""

    title: str
    machine: dict[str, Any]
    configuration: dict[str, Any]
    loads: list[Load]

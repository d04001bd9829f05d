"""What a benchmark measured: the file between those that load a network and those that draw and write about it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Latency(_Part):
    """Milliseconds from the intended send time until the verdict; of transactions that became VALID."""

    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


class ProcessUse(_Part):
    """One process under load: its node's name, its kind, cores used (processor seconds by second), memory (resident,
    without pages of mapped files)."""

    name: str
    kind: str
    pid: int
    cores: float
    rss_first_bytes: int
    rss_last_bytes: int
    rss_max_bytes: int


class Second(_Part):
    """One second of a load, counted from its begin: transactions sent, VALID, refused, and the latency of the VALID."""

    at_s: int
    sent: int
    valid: int
    refused: int
    p50_ms: float | None
    p99_ms: float | None


class BlockSizes(_Part):
    """The blocks that one channel added under load."""

    channel: str
    blocks: int
    transactions: int
    mean: float
    p50: int
    max: int


class Load(_Part):
    """One load on one topology, measured behind its warm-up."""

    topology: str
    workload: str
    controller: dict[str, Any] = Field(description="Type and options of the rate controller, as Caliper names them.")
    workers: int
    offered_tx_s: float | None = Field(description="The open loop's mean rate; null in a closed loop.")
    started_at: str = Field(description="UTC, RFC 3339.")
    measured_s: float
    sent: int
    valid: int
    tx_s: float = Field(description="VALID transactions by seconds measured.")
    codes: dict[str, int] = Field(description="Validation codes of what was committed, VALID among them.")
    refused: dict[str, int] = Field(description="Errors' codes of what was not committed, 429s among them.")
    latency: Latency | None = Field(description="Null if nothing became VALID.")
    payload_bytes: float = Field(description="Mean bytes of a transaction's arguments.")
    disk_bytes_per_tx: float | None = Field(description="Growth of one peer's ledger by its transactions.")
    floor_tx_s: float | None = Field(description="What the signatures alone allow; null where nothing is committed.")
    generator_cores: float = Field(description="Processor seconds of Locust and its senders by seconds measured.")
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


class Report(_Part):
    """A run: the machine (:class:`.machine.Machine` as a dict, with the commit), what was asked for, the loads."""

    title: str
    machine: dict[str, Any]
    configuration: dict[str, Any]
    loads: list[Load]

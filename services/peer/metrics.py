"""A peer's metrics, in prometheus_client's default registry. Times in seconds."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Protocol

from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import Collector

from services.peer.committer.messages import BlockCommitted
from services.peer.gateway.commit_notifier import CommitNotifier
from services.peer.gateway.endorsement import Collector as EndorsementCollector
from services.peer.gateway.ordering_queue import OrderingQueue

_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)

ENDORSEMENTS = Counter("gridledger_peer_endorsements_total", "Proposals run here", ("channel", "chaincode", "outcome"))
ENDORSE_SECONDS = Histogram("gridledger_peer_endorse_seconds", "Time to run and sign here", buckets=_BUCKETS_S)
COLLECT_SECONDS = Histogram("gridledger_gateway_endorse_seconds", "Time to collect endorsements", buckets=_BUCKETS_S)
SUBMIT_SECONDS = Histogram("gridledger_gateway_submit_seconds", "From submission to durable commit", buckets=_BUCKETS_S)
HEIGHT = Gauge("gridledger_peer_height_blocks", "Blocks committed", ("channel",))
COMMIT_HASH = Gauge(
    "gridledger_peer_commit_hash_info",
    "Commit hash after the newest block (its first 13 digits as a number)",
    ("channel",),
)
BEHIND = Gauge("gridledger_peer_blocks_behind", "Blocks received that wait for their commit", ("channel",))
CONNECTED = Gauge("gridledger_peer_source_connected", "Whether blocks come from an orderer", ("channel",))
TRANSACTIONS = Counter("gridledger_peer_transactions_total", "Transactions committed, by code", ("channel", "code"))
BLOCK_SECONDS = Histogram(
    "gridledger_peer_block_seconds", "Validation and commit of one block", ("channel",), buckets=_BUCKETS_S
)
BLOCK_TRANSACTIONS = Histogram(
    "gridledger_peer_block_transactions",
    "Transactions in a block",
    ("channel",),
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500),
)

_HASH_DIGITS = 13
"""As many hexadecimal digits as a binary64 gauge holds exactly (52 bits)."""


class MeteredPeer(Protocol):
    """The parts of a peer that keep counters."""

    collector: EndorsementCollector
    notifier: CommitNotifier
    queues: dict[str, OrderingQueue]


class GatewayCollector(Collector):
    """Reads what a peer's parts have counted when somebody asks for the metrics."""

    def __init__(self, peer: MeteredPeer) -> None:
        self._peer = peer

    def __enter__(self) -> None:
        REGISTRY.register(self)

    def __exit__(self, *_: object) -> None:
        REGISTRY.unregister(self)

    def collect(self) -> Iterable[Metric]:
        """The metrics now."""
        peer = self._peer
        yield GaugeMetricFamily(
            "gridledger_peer_commit_waiters", "Callers that wait for a commit", value=len(peer.notifier)
        )
        yield CounterMetricFamily(
            "gridledger_gateway_mismatches",
            "Times that endorsers differed, settled or not",
            value=peer.collector.mismatches,
        )
        yield CounterMetricFamily(
            "gridledger_gateway_bad_endorsements",
            "Answers of other peers that were no endorsement by them",
            value=peer.collector.bad_endorsements,
        )
        yield CounterMetricFamily(
            "gridledger_gateway_hedges",
            "Times that others were asked because some were slow",
            value=peer.collector.hedges,
        )
        queued = GaugeMetricFamily(
            "gridledger_gateway_ordering_queue", "Envelopes that wait for the orderers", labels=("channel",)
        )
        ordered, batches, retries = (
            CounterMetricFamily(f"gridledger_gateway_{name}", text, labels=("channel",))
            for name, text in (
                ("ordered", "Envelopes that orderers acknowledged"),
                ("ordering_batches", "Batches they came in"),
                ("ordering_retries", "Envelopes sent once more"),
            )
        )
        for name, queue in peer.queues.items():
            queued.add_metric((name,), len(queue))
            ordered.add_metric((name,), queue.counters.envelopes)
            batches.add_metric((name,), queue.counters.batches)
            retries.add_metric((name,), queue.counters.retries)
        yield from (queued, ordered, batches, retries)


def observe_endorsement(channel: str, chaincode: str, took_s: float, *, endorsed: bool) -> None:
    """Count one proposal that was run here."""
    _endorsements(channel, chaincode, "endorsed" if endorsed else "failed").inc()
    ENDORSE_SECONDS.observe(took_s)


@lru_cache(1024)
def _endorsements(channel: str, chaincode: str, outcome: str) -> Counter:
    return ENDORSEMENTS.labels(channel, chaincode, outcome)


def observe_block(report: BlockCommitted) -> None:
    """Count one committed block."""
    block = report.block
    HEIGHT.labels(block.channel).set(block.number + 1)
    COMMIT_HASH.labels(block.channel).set(int(block.commit_hash[:_HASH_DIGITS], 16))
    BEHIND.labels(block.channel).set(report.behind)
    BLOCK_SECONDS.labels(block.channel).observe(report.work_s)
    BLOCK_TRANSACTIONS.labels(block.channel).observe(len(block.codes))
    for code in set(block.codes):
        TRANSACTIONS.labels(block.channel, code.name).inc(block.codes.count(code))


_OF_A_CHANNEL: tuple[MetricWrapperBase, ...] = (
    ENDORSEMENTS,
    HEIGHT,
    COMMIT_HASH,
    BEHIND,
    CONNECTED,
    TRANSACTIONS,
    BLOCK_SECONDS,
    BLOCK_TRANSACTIONS,
)


def forget(channel: str) -> None:
    """Measure nothing of a channel any more, and show nothing of it."""
    _endorsements.cache_clear()
    for metric in _OF_A_CHANNEL:
        metric.remove_by_labels({"channel": channel})

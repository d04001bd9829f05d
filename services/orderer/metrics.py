"""What an orderer measures, in prometheus_client's default registry."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

BLOCKS = Counter("gridledger_orderer_blocks_total", "Blocks made", ("channel",))
TRANSACTIONS = Counter("gridledger_orderer_transactions_total", "Transactions ordered", ("channel",))
REFUSED = Counter("gridledger_orderer_refused_total", "Envelopes refused", ("channel", "code"))
HEIGHT = Gauge("gridledger_orderer_height", "Blocks on the channel here", ("channel",))
IS_LEADER = Gauge("gridledger_orderer_is_leader", "1 where this orderer leads the channel", ("channel",))
TERM = Gauge("gridledger_orderer_term", "Raft's term", ("channel",))
RAFT_REFUSED = Counter(
    "gridledger_orderer_raft_refused_total",
    "Raft messages from nodes that are no orderers of the channel, and attempts to send some",
    ("channel",),
)
BROKEN = Gauge(
    "gridledger_orderer_broken", "1 where the channel has stopped on this orderer (see its log)", ("channel",)
)
DENIALS = Gauge(
    "gridledger_orderer_denials",
    "How often other orderers refused entries that they had acknowledged, since this one's start (one lost its log)",
    ("channel",),
)
CLOCK_OFF = Gauge(
    "gridledger_orderer_clock_off",
    "1 where this orderer's clock and the leader's, or a majority's, are too far apart",
    ("channel",),
)
DIFFERENT = Gauge(
    "gridledger_orderer_different_blocks", "Orderers that hold another newest block than this one", ("channel",)
)
DAMAGED = Gauge(
    "gridledger_orderer_damaged_blocks", "Blocks that were found damaged on the disk since the start", ("channel",)
)
VOTERS = Gauge("gridledger_orderer_voters", "Voters of the channel's Raft group, as known here", ("channel",))
LEARNERS = Gauge("gridledger_orderer_learners", "Learners of the channel's Raft group, as known here", ("channel",))
CHANGING = Gauge(
    "gridledger_orderer_changing",
    "1 where this orderer leads the channel and Raft's members are not yet the configuration's orderers",
    ("channel",),
)
CATCH_UP_ROUND = Gauge(
    "gridledger_orderer_catch_up_round", "The round of a learner's catch-up, at the leader; 0 for none", ("channel",)
)
CATCH_UP_BEHIND = Gauge(
    "gridledger_orderer_catch_up_entries", "Entries that a learner still lacks, at the leader", ("channel",)
)
REMOVED = Gauge(
    "gridledger_orderer_removed", "1 where this orderer takes no part in the channel any more", ("channel",)
)
QUEUED = Gauge("gridledger_orderer_queued", "Envelopes that wait to be ordered", ("channel",))
BATCH_SECONDS = Histogram(
    "gridledger_orderer_batch_seconds",
    "From cutting a batch to its being durable on a majority",
    ("channel",),
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0),
)
BATCH_ENVELOPES = Histogram(
    "gridledger_orderer_batch_envelopes",
    "Transactions per block",
    ("channel",),
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
)
BACKLOG = Gauge(
    "gridledger_orderer_peer_backlog_blocks", "Blocks that the slowest reporting peer is behind", ("channel",)
)

_OF_A_CHANNEL: tuple[MetricWrapperBase, ...] = (
    BLOCKS,
    TRANSACTIONS,
    REFUSED,
    HEIGHT,
    IS_LEADER,
    TERM,
    RAFT_REFUSED,
    BROKEN,
    DENIALS,
    CLOCK_OFF,
    DIFFERENT,
    DAMAGED,
    VOTERS,
    LEARNERS,
    CHANGING,
    CATCH_UP_ROUND,
    CATCH_UP_BEHIND,
    REMOVED,
    QUEUED,
    BATCH_SECONDS,
    BATCH_ENVELOPES,
    BACKLOG,
)


def forget(channel: str) -> None:
    """Measure nothing of a channel any more, and show nothing of it."""
    for metric in _OF_A_CHANNEL:
        metric.remove_by_labels({"channel": channel})

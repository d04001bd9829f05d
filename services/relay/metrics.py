"""What a server of relay monitoring measures, in prometheus_client's default registry. Times in seconds."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_BUCKETS_S = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)

WON = Counter("gridledger_relay_won_total", "Captures that this server recorded first", ("relay",))
LOST = Counter("gridledger_relay_lost_total", "Captures that another server had recorded", ("relay",))
ATTESTED = Counter(
    "gridledger_relay_attested_total", "Captures attested: the same text, or another", ("relay", "match")
)
CONCLUDED = Counter("gridledger_relay_concluded_total", "Verdicts that this server submitted", ("relay", "status"))
DISPUTED = Counter("gridledger_relay_disputed_total", "Captures that this server saw disputed", ("relay",))
REFUSED = Counter("gridledger_relay_refused_total", "Captures that the ledger refused", ("relay",))
BAD = Counter("gridledger_relay_bad_captures_total", "Deliveries of the relay that are no capture", ("relay",))
SPOOLED = Gauge("gridledger_relay_spool_captures", "Captures that wait for the ledger", ("relay",))
NOT_SPOOLED = Counter("gridledger_relay_spool_refused_total", "Captures that the spool could not keep", ("relay",))
READS = Gauge("gridledger_relay_answers", "Whether the relay answers this server", ("relay",))
LATENCY_SECONDS = Histogram(
    "gridledger_relay_latency_seconds",
    "From the relay's completing a capture, by its clock, to its arrival here",
    ("relay",),
    buckets=_BUCKETS_S,
)
UPDATE_SECONDS = Histogram(
    "gridledger_relay_update_seconds",
    "From a capture's arrival here to its valid transaction, of those that this server won",
    ("relay",),
    buckets=_BUCKETS_S,
)

"""What a light node counts. Devices are no labels: there may be thousands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

RECORDED = Counter("gridledger_lightnode_events_recorded_total", "Events recorded, by kind", ("kind",))
NOT_RECORDED = Counter("gridledger_lightnode_events_not_recorded_total", "Events refused, by error code", ("code",))
FORWARDED = Counter("gridledger_lightnode_events_forwarded_total", "Events that the ledger took")
REFUSED = Counter("gridledger_lightnode_events_set_aside_total", "Events that the ledger refuses for good")
FOREIGN = Counter("gridledger_lightnode_foreign_events_total", "Events on the ledger that are no records of this node")
RECORD_SECONDS = Histogram(
    "gridledger_lightnode_record_seconds", "From an event's arrival to the disk's acknowledgement", buckets=_BUCKETS_S
)
WAITING = Gauge("gridledger_lightnode_events_waiting", "Events recorded that the ledger has not yet")
RECORDER_BYTES = Gauge("gridledger_lightnode_recorder_bytes", "The size of the recorder's files, in bytes")
BLOCKED = Gauge("gridledger_lightnode_devices_blocked", "Devices whose events the ledger does not take as things are")
HEADERS = Gauge("gridledger_lightnode_headers", "Headers of blocks that are kept, by channel", ("channel",))
SOURCE_UP = Gauge("gridledger_lightnode_source_up", "1 while the source of a device can be read", ("device",))
SOURCE_EVENTS = Counter("gridledger_lightnode_source_events_total", "Events that sources gave, by source", ("source",))


def watch(waiting: Callable[[], int], size: Callable[[], int], blocked: Callable[[], int]) -> None:
    """Tell of a node as it is when it is asked for."""
    WAITING.set_function(waiting)
    RECORDER_BYTES.set_function(size)
    BLOCKED.set_function(blocked)

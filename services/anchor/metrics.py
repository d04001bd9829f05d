"""What an agent of anchors measures, in prometheus_client's default registry."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

HEIGHT = Gauge("gridledger_anchor_height", "Blocks of the channel that the agent has", ("channel",))
SIZE = Gauge("gridledger_anchor_size", "Blocks of the channel that are anchored", ("channel",))
LAG_SECONDS = Gauge(
    "gridledger_anchor_lag_seconds", "Age of the oldest block that is not anchored, by the agent's clock", ("channel",)
)
FORKS = Gauge(
    "gridledger_anchor_forks", "Sizes at which the channel's organisations attested differently", ("channel",)
)
ALARMS = Gauge("gridledger_anchor_alarms", "1 while an alarm is on", ("channel", "kind"))
SAID = Counter("gridledger_anchor_transactions_total", "Transactions of the agent", ("channel", "result"))

"""What the case desk measures, in prometheus_client's default registry."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

_BUCKETS_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)

ROWS = Counter("gridledger_case_rows_total", "Rows added to the desk's index since the start")
HEIGHT = Gauge("gridledger_case_indexed_blocks", "Blocks of a channel that the desk's index has", ("channel",))
REBUILT = Counter("gridledger_case_index_rebuilt_total", "Times that the desk made its index anew")
ANSWERED = Counter("gridledger_case_answers_total", "Questions answered, by what for", ("purpose",))
REFUSED = Counter("gridledger_case_refusals_total", "Questions refused, by the error's code", ("code",))
SECONDS = Histogram(
    "gridledger_case_answer_seconds",
    "From a question's arrival to its answer, with the wait for its Query",
    ("purpose",),
    buckets=_BUCKETS_S,
)

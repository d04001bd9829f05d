"""What a process of holders counts."""

from __future__ import annotations

from typing import Any, Final, Protocol

from prometheus_client import Counter, Gauge, Histogram


class Watched(Protocol):
    """A holder's store."""

    @property
    def size(self) -> int: ...
    def held(self) -> dict[Any, Any]: ...


_BUCKETS_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

TAKEN = Counter("gridledger_vault_shares_taken_total", "Shares stored, and acknowledged or signed for", ("holder",))
SERVED = Counter(
    "gridledger_vault_shares_served_total", "Shares served to readers, and fragments to repairs", ("holder", "purpose")
)
REFUSED = Counter("gridledger_vault_requests_refused_total", "Requests that a holder refused", ("holder", "code"))
CONTRIBUTED = Counter("gridledger_vault_contributions_total", "Contributions to others' repairs", ("holder",))
REBUILT = Counter("gridledger_vault_shares_rebuilt_total", "Own shares put together again", ("holder",))
DELETED = Counter("gridledger_vault_shares_deleted_total", "Shares deleted: replaced, or abandoned", ("holder",))
AUDITED = Counter("gridledger_vault_audits_answered_total", "Challenges answered", ("holder",))
DAMAGED = Counter(
    "gridledger_vault_damaged_shares_served_total", "Shares served that are not what the ledger has", ("holder",)
)
SHARES = Gauge("gridledger_vault_shares", "Shares that are there", ("holder",))
BYTES = Gauge("gridledger_vault_share_bytes", "The size of all shares, in bytes", ("holder",))
SECONDS = Histogram(
    "gridledger_vault_request_seconds",
    "From a request's arrival to its answer, with all waiting for the ledger",
    ("holder", "step"),
    buckets=_BUCKETS_S,
)


def watch(holder: str, store: Watched) -> None:
    """Tell of what a holder keeps, as it is when it is asked for."""
    SHARES.labels(holder).set_function(lambda: len(store.held()))
    BYTES.labels(holder).set_function(lambda: store.size)

"""Whose share of the bridge's bounds a request counts against: its token's."""

from __future__ import annotations

import pytest

from gridledger.errors import BusyError
from gridledger.shares import Pool
from services.rest.callers import Client


def test_each_token_has_a_share_of_its_own() -> None:
    """Two clients that act as the same identities, and one of them takes all that it can get."""
    greedy, other = (Client(name, ("admin",)) for name in ("matlab", "node-red"))
    pool = Pool("requests", 64, retry_after_s=0.2)
    for _ in range(56):
        pool.take(greedy.signer)
    with pytest.raises(BusyError):
        pool.take(greedy.signer)
    assert pool.take(other.signer).held == 1

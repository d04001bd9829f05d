"""The places of an orderer's queue: what clients broadcast leaves the gateways theirs."""

from __future__ import annotations

import itertools
from contextlib import ExitStack

import pytest

from gridledger.errors import BusyError
from services.orderer.queue_shares import QueueShares
from services.orderer.settings import OrdererLimits

CLIENT, OTHER, PEER = ("Org1MSP", "client"), ("Org1MSP", "other"), ("Org1MSP", "peer1")


def fill(shares: QueueShares, stack: ExitStack, envelopes: int, size: int) -> int:
    """Have one client hold all it can get, in broadcasts of this size; how many it got."""
    for got in itertools.count():
        try:
            stack.enter_context(shares.holding(CLIENT, envelopes, size, is_peer=False))
        except BusyError:
            return got
    raise AssertionError


@pytest.mark.parametrize(("envelopes", "size"), [(50, 100), (1, 1000)])
def test_one_client_leaves_places_to_others_and_most_to_peers(envelopes: int, size: int) -> None:
    shares = QueueShares(OrdererLimits(max_queued=4000, max_queued_bytes=400_000))
    with ExitStack() as stack:
        got = fill(shares, stack, envelopes, size)
        assert got * envelopes <= 1000
        assert got * size <= 100_000
        with shares.holding(OTHER, envelopes, size, is_peer=False):
            pass
        for _ in range(2500 // 250):
            stack.enter_context(shares.holding(PEER, 250, 20_000, is_peer=True))
    with shares.holding(CLIENT, 800, 80_000, is_peer=False):
        pass


def test_places_come_back_when_an_order_fails() -> None:
    shares = QueueShares(OrdererLimits(max_queued=40, max_queued_bytes=400_000))
    for _ in range(100):
        with pytest.raises(ZeroDivisionError), shares.holding(CLIENT, 8, 100, is_peer=False):
            raise ZeroDivisionError

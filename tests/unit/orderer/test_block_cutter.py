"""Cutting batches: nothing is lost or reordered, and no bound is passed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridledger.errors import BusyError
from gridledger.protocol import BatchLimits
from gridledger.protocol.config_update import CONFIG_PREFIX
from services.orderer.block_cutter import BlockCutter

envelopes = st.lists(st.sampled_from([b"x" * 10, b"y" * 60, b"z" * 200, CONFIG_PREFIX + b"1}"]), max_size=30)


@given(envelopes, st.integers(1, 5))
def test_batches_hold_everything_in_order_within_the_limits(arrivals: list[bytes], count: int) -> None:
    cutter: BlockCutter[int] = BlockCutter(
        BatchLimits(max_message_count=count, preferred_max_bytes=100), max_queued=100, max_queued_bytes=10**6
    )
    for number, envelope in enumerate(arrivals):
        cutter.add(envelope, number)
    seen = []
    while batch := cutter.next_batch():
        assert len(batch) <= count
        assert len(batch) == 1 or sum(len(item.envelope) for item in batch) <= 100
        assert len(batch) == 1 or not any(item.envelope.startswith(CONFIG_PREFIX) for item in batch)
        seen += [(item.token, item.envelope) for item in batch]
    assert seen == list(enumerate(arrivals))
    assert len(cutter) == 0


def test_a_full_queue_refuses_by_count_and_by_bytes() -> None:
    cutter: BlockCutter[None] = BlockCutter(BatchLimits(), max_queued=2, max_queued_bytes=100)
    cutter.add(b"a" * 60, None)
    with pytest.raises(BusyError):
        cutter.add(b"a" * 60, None)
    cutter.add(b"a" * 40, None)
    with pytest.raises(BusyError):
        cutter.add(b"", None)
    assert len(cutter.drain()) == 2
    cutter.add(b"a" * 100, None)
    cutter.next_batch()
    cutter.add(b"a" * 100, None)


def test_a_batch_is_whole_by_count_or_by_bytes() -> None:
    cutter: BlockCutter[None] = BlockCutter(
        BatchLimits(max_message_count=2, preferred_max_bytes=100), max_queued=9, max_queued_bytes=1000
    )
    cutter.add(b"a", None)
    assert not cutter.full
    cutter.add(b"a", None)
    assert cutter.full
    cutter.next_batch()
    cutter.add(b"a" * 100, None)
    assert cutter.full

"""Who may have how many envelopes on their way through one channel's queue: shared by callers, most of it for peers.

Gateways send what clients bring, so peers have three quarters of the queue, whatever clients broadcast themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gridledger.errors import BusyError
from gridledger.shares import Caller, Pool
from services.orderer.settings import OrdererLimits

_RETRY_AFTER_S = 0.25


class _Part:
    """A part of the queue, in envelopes and in bytes."""

    def __init__(self, whose: str, envelopes: int, size: int) -> None:
        self.envelopes = Pool(f"envelopes of {whose}", envelopes, retry_after_s=_RETRY_AFTER_S)
        self.bytes = Pool(f"bytes of {whose}", size, retry_after_s=_RETRY_AFTER_S)


class QueueShares:
    """The places of one channel's queue."""

    def __init__(self, limits: OrdererLimits) -> None:
        of_others = limits.max_queued // 4, limits.max_queued_bytes // 4
        self._of_others = _Part("clients", *of_others)
        self._of_peers = _Part("peers", limits.max_queued - of_others[0], limits.max_queued_bytes - of_others[1])

    @contextmanager
    def holding(self, caller: Caller, envelopes: int, size: int, *, is_peer: bool) -> Iterator[None]:
        """Hold places for a broadcast, from before it is checked until it is ordered; :class:`BusyError`."""
        part = self._of_peers if is_peer else self._of_others
        place = part.envelopes.take(caller, envelopes)
        try:
            bytes_place = part.bytes.take(caller, size)
        except BusyError:
            place.give(envelopes)
            raise
        try:
            yield
        finally:
            place.give(envelopes)
            bytes_place.give(size)

"""Cutting batches. Pure: no clock, no I/O.

The cutter clocks itself: the sequencer asks for the next batch the moment the last one is ordered, so an idle channel
orders a transaction at once and a busy one fills a batch while the last is made durable. The limits are upper bounds.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

from gridledger.errors import BusyError
from gridledger.protocol import BatchLimits
from gridledger.protocol.config_update import CONFIG_PREFIX

_Token = TypeVar("_Token")


@dataclass(slots=True)
class Pending(Generic[_Token]):
    """An envelope that waits for its place, with what its sender is told through."""

    envelope: bytes
    token: _Token


class BlockCutter(Generic[_Token]):
    """A bounded queue of envelopes, taken out as batches."""

    def __init__(self, limits: BatchLimits, *, max_queued: int, max_queued_bytes: int) -> None:
        self.limits = limits
        self._max_queued = max_queued
        self._max_queued_bytes = max_queued_bytes
        self._queue: deque[Pending[_Token]] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def full(self) -> bool:
        """Whether what waits is a whole batch: more time would not make it larger."""
        limits = self.limits
        return len(self._queue) >= limits.max_message_count or self._bytes >= limits.preferred_max_bytes

    def add(self, envelope: bytes, token: _Token) -> None:
        """Queue an envelope; :class:`BusyError` when the queue is full."""
        if len(self._queue) >= self._max_queued or self._bytes + len(envelope) > self._max_queued_bytes:
            raise BusyError(f"{len(self._queue)} transactions wait to be ordered: send more slowly", retry_after_s=0.25)
        self._queue.append(Pending(envelope, token))
        self._bytes += len(envelope)

    def next_batch(self) -> list[Pending[_Token]]:
        """The next batch: up to the limits' count and preferred bytes, a config transaction alone, [] when idle.

        A transaction larger than the preferred bytes goes alone as well.
        """
        batch: list[Pending[_Token]] = []
        size = 0
        while self._queue and len(batch) < self.limits.max_message_count:
            head = self._queue[0]
            alone = head.envelope.startswith(CONFIG_PREFIX)
            if batch and (alone or size + len(head.envelope) > self.limits.preferred_max_bytes):
                break
            batch.append(self._queue.popleft())
            size += len(head.envelope)
            if alone:
                break
        self._bytes -= size
        return batch

    def drain(self) -> list[Pending[_Token]]:
        """Everything that waits, taken out."""
        drained = list(self._queue)
        self._queue.clear()
        self._bytes = 0
        return drained

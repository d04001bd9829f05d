"""The bound on a leader's clock: an entry whose time lies too far ahead of this orderer's clock is not accepted.

A block far ahead in time would stay the channel's time for good, since that never goes back, and make peers refuse all
that clients propose. Only what lies ahead is judged: an entry that is late was on its way, or was acknowledged by a
leader that died since, and must still be taken.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from services.orderer.chain import entry_time_us

_log = logging.getLogger(__name__)


class ClockBound:
    """The judgement on one channel's entries. ``clock_us`` gives microseconds since 1970."""

    def __init__(self, channel: str, clock_us: Callable[[], int], most_ahead_s: float) -> None:
        self.ahead_s = 0.0
        """How far the entry that was not accepted lay ahead of this orderer's clock; 0 once one is accepted again."""
        self._channel = channel
        self._clock_us = clock_us
        self._most_ahead_s = most_ahead_s

    def accepts(self, entry: bytes) -> bool:
        """Whether an entry's time is not too far ahead. One that has no time is accepted: it becomes no block."""
        time_us = entry_time_us(entry)
        ahead_s = 0.0 if time_us is None else (time_us - self._clock_us()) / 1_000_000
        if ahead_s <= self._most_ahead_s:
            self.ahead_s = 0.0
            return True
        if not self.ahead_s:
            _log.warning(
                "the leader's time is %.1f s ahead of this orderer's clock, more than limits.max_clock_ahead_s (%g): "
                "one of the two clocks is off",
                ahead_s,
                self._most_ahead_s,
                extra={"channel": self._channel},
            )
        self.ahead_s = ahead_s
        return False

"""The pace of a channel's blocks: at once under low load, with an interval that grows under high load.

Every block costs each orderer and each peer its flushes and wake-ups, whatever is in it. Under high load, waiting a few
milliseconds for more transactions makes all of them cheaper.
"""

from __future__ import annotations

from math import ceil, exp, frexp

from services.orderer.settings import Pacing

_MEMORY_S = 0.25
_WEIGHT = 0.1
_BEAT_S = 0.025
_CAUGHT_UP = 4
"""So many blocks a peer commits together in little more time than one: they are no reason to slow down."""


class Pace:
    """One channel's pace. Times are in seconds of one monotonic clock."""

    def __init__(self, pacing: Pacing) -> None:
        self._pacing = pacing
        self._behind: dict[str, tuple[int, float]] = {}
        self._rate = 0.0
        self._at = 0.0
        self._took_s = 0.0

    def report(self, peer: str, behind: int, now: float) -> None:
        """A peer says how many blocks it is behind."""
        self._behind[peer] = (behind, now)

    def backlog(self, now: float) -> int:
        """How many blocks the slowest peer that reported lately is behind."""
        lifetime_s = self._pacing.report_lifetime_s
        self._behind = {peer: (behind, at) for peer, (behind, at) in self._behind.items() if now - at <= lifetime_s}
        return max((behind for behind, _ in self._behind.values()), default=0)

    def cut(self, count: int, now: float) -> None:
        """A batch of so many transactions is cut."""
        self._rate = self._rate * exp((self._at - now) / _MEMORY_S) + count / _MEMORY_S
        self._at = now

    def ordered(self, took_s: float) -> None:
        """A batch has been made durable on a majority in this time."""
        self._took_s += (took_s - self._took_s) * _WEIGHT

    def next_cut(self, least_ms: int, now: float) -> float:
        """When the next batch may be cut, if one is cut now. Where blocks are far apart they keep to a common beat: the
        channels of one orderer then share a flush, and a message to each of the others."""
        interval_s = self.interval_s(least_ms, now)
        if interval_s < _BEAT_S:
            return now + interval_s
        beat_s = _BEAT_S * 2.0 ** (frexp(interval_s / _BEAT_S)[1] - 1)  # so that channels of like load meet
        return ceil((now + interval_s) / beat_s - 0.5) * beat_s

    def interval_s(self, least_ms: int, now: float) -> float:
        """The least time between two blocks now. It grows with the rate of transactions, and with what the slowest peer
        still has to commit."""
        pacing = self._pacing
        load = min(1.0, (self._rate - pacing.calm_rate) / max(1, pacing.busy_rate - pacing.calm_rate))
        late_ms = max(0.0, self._took_s * 1000 - pacing.calm_batch_ms)
        busy_ms = min(pacing.busy_interval_ms * load, pacing.busy_batches * late_ms)
        slower = max(1.0, self.backlog(now) / _CAUGHT_UP)
        return min(max(least_ms, busy_ms) * slower, pacing.max_interval_ms) / 1000

"""Admission: refuses early a transaction that would wait too long for its commit.

The expected wait is the number of transactions under way through this gateway, divided by its commits a second
(Little's law). The rate of commits shows what the network can do only while transactions wait; on a calm network it
shows only what is asked of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gridledger.errors import BusyError

ALWAYS = 128
"""So many are admitted in any case: enough to find out that the network has become faster."""

_FIRST_RATE = 1000.0
_WINDOW_S = 0.25
_RISE, _FALL = 0.5, 0.3
_CALM_SHARE = 0.25
"""Below this share of the longest wait, transactions are taken to wait for nothing but their own way."""

_SHORTEST_RETRY_S, _LONGEST_RETRY_S = 0.1, 5.0


class Admission:
    """One gateway's count of transactions under way. ``clock`` is monotonic, in seconds; ``rate`` in commits a second.

    A proposal is refused when it would wait longer than ``max_wait_s``, an endorsed transaction, for which much has
    been done already, only when it would wait twice as long.
    """

    def __init__(self, max_wait_s: float, *, clock: Callable[[], float]) -> None:
        self.endorsing_now = 0
        self.submitting_now = 0
        self.rate = _FIRST_RATE
        self._max_wait_s = max_wait_s
        self._clock = clock
        self._since = clock()
        self._committed = 0

    @contextmanager
    def endorsing(self) -> Iterator[None]:
        """Count a proposal while it is endorsed; :class:`BusyError` where it would wait too long for its commit."""
        if self.endorsing_now + self.submitting_now >= self._most_under_way():
            raise self._busy()
        self.endorsing_now += 1
        try:
            yield
        finally:
            self.endorsing_now -= 1

    @contextmanager
    def submitting(self) -> Iterator[None]:
        """Count an endorsed transaction until it is committed; :class:`BusyError` as above, at twice the wait."""
        if self.submitting_now >= 2 * self._most_under_way():
            raise self._busy()
        self.submitting_now += 1
        try:
            yield
            self._committed += 1
        finally:
            self.submitting_now -= 1

    def _most_under_way(self) -> int:
        return max(ALWAYS, int(self._measured() * self._max_wait_s))

    def _busy(self) -> BusyError:
        under_way = self.endorsing_now + self.submitting_now
        wait_s = under_way / max(1.0, self.rate)
        return BusyError(
            f"{under_way} transactions are under way through this gateway, another would wait about {wait_s:.1f} s: "
            "come again later",
            retry_after_s=round(min(_LONGEST_RETRY_S, max(_SHORTEST_RETRY_S, wait_s - self._max_wait_s)), 3),
        )

    def _measured(self) -> float:
        now = self._clock()
        passed_s = now - self._since
        # A network that commits nothing (it elects a leader) says nothing about its rate: look again when it does.
        if passed_s >= _WINDOW_S and self._committed:
            seen = self._committed / passed_s
            if seen >= self.rate:
                self.rate += _RISE * (seen - self.rate)
            elif self.submitting_now > seen * self._max_wait_s * _CALM_SHARE:
                self.rate += _FALL * (seen - self.rate)
            self._since, self._committed = now, 0
        return self.rate

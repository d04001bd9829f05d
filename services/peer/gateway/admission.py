"""Admission: refuses early a transaction that would wait too long for its commit.

The expected wait is the number of transactions under way through this gateway, divided by its commits a second
(Little's law). How many may be under way is shared by callers (:mod:`gridledger.shares`). The rate of commits shows
what the network can do only while transactions wait; on a calm network it shows only what is asked of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gridledger.errors import BusyError
from gridledger.shares import KEPT_PART, Caller, Pool

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
        self._under_way = Pool("transactions", ALWAYS, retry_after_s=_SHORTEST_RETRY_S)
        self._submitting = Pool("endorsed transactions", 2 * ALWAYS, retry_after_s=_SHORTEST_RETRY_S)
        self._beyond: dict[Caller, int] = {}
        """How many of a caller's endorsed transactions have no place among those under way, beyond the longest wait."""
        self.rate = _FIRST_RATE
        self._max_wait_s = max_wait_s
        self._clock = clock
        self._since = clock()
        self._committed = 0

    @property
    def under_way(self) -> int:
        """How many transactions are under way."""
        return self._under_way.used + sum(self._beyond.values())

    @property
    def submitting_now(self) -> int:
        """How many endorsed ones."""
        return self._submitting.used

    @contextmanager
    def endorsing(self, caller: Caller) -> Iterator[None]:
        """Count a proposal while it is endorsed; :class:`BusyError` where it would wait too long for its commit."""
        self._measure()
        try:
            holder = self._under_way.take(caller)
        except BusyError:
            raise self._busy(caller) from None
        try:
            yield
        finally:
            holder.give()

    @contextmanager
    def submitting(self, caller: Caller, *, until_commit: bool = True) -> Iterator[None]:
        """Count an endorsed transaction until it is committed, or only ordered where nobody waits for its commit;
        :class:`BusyError` as above, at twice the wait."""
        self._measure()
        try:
            place = self._submitting.take(caller)
        except BusyError:
            raise self._busy(caller) from None
        try:
            self._under_way.take(caller)
        except BusyError:
            self._beyond[caller] = self._beyond.get(caller, 0) + 1
        try:
            yield
            self._committed += until_commit
        finally:
            place.give()
            self._leave(caller)

    def _leave(self, caller: Caller) -> None:
        """What is beyond the wait goes first, whichever transaction it was: proposals come in behind all of it."""
        beyond = self._beyond.pop(caller, 0)
        if beyond > 1:
            self._beyond[caller] = beyond - 1
        elif not beyond and (holder := self._under_way.holder(caller)) is not None:
            holder.give()

    def _measure(self) -> None:
        """Have as many places as the rate allows: those that are kept for newcomers come on top."""
        most = max(ALWAYS, int(self._measured() * self._max_wait_s))
        total = most * KEPT_PART // (KEPT_PART - 1)
        if total != self._under_way.total:
            self._under_way.resize(total)
            self._submitting.resize(2 * total)

    def _busy(self, caller: Caller) -> BusyError:
        under_way = self.under_way
        mine = self._under_way.held_by(caller) + self._beyond.get(caller, 0)
        wait_s = under_way / max(1.0, self.rate)
        return BusyError(
            f"{under_way} transactions are under way through this gateway, {mine} of them yours; another would wait "
            f"about {wait_s:.1f} s: come again later",
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

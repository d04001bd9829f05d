"""Early refusal: a transaction that would wait too long for its commit is refused before anything is done for it.

How long it would wait follows from how many are under way through this gateway and how many it commits in a second
(Little's law). Only where transactions wait does the rate of commits tell what the network can do; on a calm network it
tells what is asked of it, and says nothing against more.
"""

from __future__ import annotations

from collections.abc import Callable

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
        self.endorsing = 0
        self.submitting = 0
        self.rate = _FIRST_RATE
        self._max_wait_s = max_wait_s
        self._clock = clock
        self._since = clock()
        self._committed = 0

    def to_endorse(self, wanted: int) -> Passage:
        """Admit as many of so many proposals as may come in now."""
        free = max(ALWAYS, int(self._measured() * self._max_wait_s)) - self.endorsing - self.submitting
        return Passage(self, min(wanted, max(0, free)), endorse=True)

    def to_submit(self, wanted: int) -> Passage:
        """Admit as many of so many endorsed transactions as may come in now."""
        free = 2 * max(ALWAYS, int(self._measured() * self._max_wait_s)) - self.submitting
        return Passage(self, min(wanted, max(0, free)), endorse=False)

    def busy(self) -> BusyError:
        """The refusal of one that is not admitted."""
        under_way = self.endorsing + self.submitting
        wait_s = under_way / max(1.0, self.rate)
        return BusyError(
            f"{under_way} transactions are under way through this gateway, another would wait about {wait_s:.1f} s: "
            "come again later",
            retry_after_s=round(min(_LONGEST_RETRY_S, max(_SHORTEST_RETRY_S, wait_s - self._max_wait_s)), 3),
        )

    def committed(self) -> None:
        """One has been committed."""
        self._committed += 1

    def _measured(self) -> float:
        now = self._clock()
        passed_s = now - self._since
        # A network that commits nothing (it elects a leader) says nothing about its rate: look again when it does.
        if passed_s >= _WINDOW_S and self._committed:
            seen = self._committed / passed_s
            if seen >= self.rate:
                self.rate += _RISE * (seen - self.rate)
            elif self.submitting > seen * self._max_wait_s * _CALM_SHARE:
                self.rate += _FALL * (seen - self.rate)
            self._since, self._committed = now, 0
        return self.rate


class Passage:
    """Transactions that were admitted together; ``admitted`` is how many. Each :meth:`leave` takes one off the count,
    :meth:`close` whatever is left."""

    __slots__ = ("_admission", "_endorse", "_left", "admitted")

    def __init__(self, admission: Admission, admitted: int, *, endorse: bool) -> None:
        self._admission = admission
        self._endorse = endorse
        self._left = self.admitted = admitted
        self._count(admitted)

    def leave(self, *, committed: bool = False) -> None:
        """One is answered."""
        if self._left:
            self._left -= 1
            self._count(-1)
            if committed:
                self._admission.committed()

    def close(self) -> None:
        """None of them is under way any more."""
        left, self._left = self._left, 0
        self._count(-left)

    def _count(self, more: int) -> None:
        if self._endorse:
            self._admission.endorsing += more
        else:
            self._admission.submitting += more

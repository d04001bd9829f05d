"""Trying again what may succeed later: transactions that lost to a concurrent one, and what a busy gateway refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from gridledger.backoff import Backoff
from gridledger.errors import BusyError, SettingsError


@dataclass(frozen=True, slots=True)
class Retry:
    """How often one call is tried again, and for how long.

    ``attempts`` counts the first one too; none begins later than ``total_s`` seconds after the first. Between attempts
    comes a pause that doubles from ``first_pause_s`` up to ``longest_pause_s`` and is random, so that callers spread; a
    gateway's ``Retry-After`` comes on top of it. ``conflicts``: a transaction that lost to a concurrent one (MVCC or
    phantom read conflict) is made anew; allow it where the function may run twice. ``busy``: what a gateway refused as
    busy (429), which had no effect, is sent again.
    """

    attempts: int = 5
    total_s: float = 10.0
    first_pause_s: float = 0.02
    longest_pause_s: float = 2.0
    conflicts: bool = True
    busy: bool = True

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.total_s < 0 or self.first_pause_s < 0 or self.longest_pause_s < self.first_pause_s:
            raise SettingsError(
                "a Retry has at least one attempt, and pauses and a total time of 0 s or more: "
                f"{self} cannot be followed"
            )


NO_RETRY = Retry(attempts=1)
"""One attempt: what goes wrong is told at once."""


class Attempts:
    """The attempts of one call. ``clock`` is monotonic, in seconds.

    ``uncertain``: an attempt may have been carried out although its answer did not come.
    """

    __slots__ = ("_backoff", "_clock", "_made", "_random", "_retry", "_since", "uncertain")

    def __init__(self, retry: Retry, clock: Callable[[], float], random: Random) -> None:
        self.uncertain = False
        self._retry = retry
        self._clock = clock
        self._random = random
        self._since = clock()
        self._made = 1
        self._backoff: Backoff | None = None

    def after_busy(self, busy: BusyError) -> float | None:
        """How long to wait before the next attempt, None if there is none."""
        return self._next(max(0.0, busy.retry_after_s)) if self._retry.busy else None

    def after_conflict(self) -> float | None:
        """How long to wait before the transaction is made anew, None if it is not."""
        return self._next(0.0) if self._retry.conflicts else None

    def _next(self, at_least_s: float) -> float | None:
        retry = self._retry
        if self._made >= retry.attempts:
            return None
        if self._backoff is None:
            self._backoff = Backoff(retry.first_pause_s, retry.longest_pause_s, self._random)
        pause_s = at_least_s + self._backoff.failed()
        if self._clock() + pause_s - self._since > retry.total_s:
            return None
        self._made += 1
        return pause_s

"""A limit on guessing secrets: per identity, a few tries at once and then one every so many seconds."""

from __future__ import annotations

import threading
from collections.abc import Callable

from services.ca.errors import TooManyWrongSecrets


class Throttle:
    """Tokens by name: ``burst`` at most, one more every ``refill_s``. Safe between threads.

    A try takes a token before the secret is looked at, so that a thousand tries at once get no further than the same
    thousand one by one; the right secret gives it back. The names must be of a bounded set: ids that are registered.
    """

    def __init__(self, burst: int, refill_s: float, clock_s: Callable[[], float]) -> None:
        self._burst = burst
        self._refill_s = refill_s
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._spent: dict[str, tuple[float, float]] = {}

    def take(self, name: str) -> None:
        """Take a token; :class:`TooManyWrongSecrets` says when there will be one again."""
        with self._lock:
            now = self._clock_s()
            spent = self._current(name, now)
            if spent + 1 > self._burst:
                wait_s = (spent + 1 - self._burst) * self._refill_s
                raise TooManyWrongSecrets(
                    f"too many wrong secrets for this id; try again in {wait_s:.0f} s", retry_after_s=wait_s
                )
            self._spent[name] = (spent + 1, now)

    def give_back(self, name: str) -> None:
        """The secret was right."""
        with self._lock:
            now = self._clock_s()
            spent = self._current(name, now) - 1
            if spent > 0:
                self._spent[name] = (spent, now)
            else:
                self._spent.pop(name, None)

    def _current(self, name: str, now: float) -> float:
        spent, since = self._spent.get(name, (0.0, now))
        return max(0.0, spent - (now - since) / self._refill_s)

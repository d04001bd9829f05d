"""What failed, and when it is tried again: later and later, so that what stays broken costs the ledger little."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from random import Random
from typing import Final

from gridledger.backoff import Backoff

LONGEST_PAUSE_S: Final = 3600.0
_MOST: Final = 10_000
"""Failures that are remembered; of more the oldest are tried again at the next look."""

Key = tuple[str, str]
"""An object's name and a holder's."""


@dataclass(slots=True)
class _Failure:
    backoff: Backoff
    next_s: float = 0.0
    why: str = ""


class Again:
    """Pauses between attempts at shares, from ``first_s`` up to an hour. ``clock`` gives monotonic seconds."""

    def __init__(self, first_s: float, clock: Callable[[], float], random: Random) -> None:
        self._first_s = first_s
        self._clock = clock
        self._random = random
        self._failures: dict[Key, _Failure] = {}

    def is_due(self, key: Key) -> bool:
        """Whether it may be tried now."""
        failure = self._failures.get(key)
        return failure is None or self._clock() >= failure.next_s

    def failed(self, key: Key, why: str) -> bool:
        """Note a failure; whether it is one of another kind than the last."""
        failure = self._failures.get(key)
        if failure is None:
            if len(self._failures) >= _MOST:
                self._failures.pop(next(iter(self._failures)))
            longest_s = max(self._first_s, LONGEST_PAUSE_S)
            failure = self._failures[key] = _Failure(Backoff(self._first_s, longest_s, self._random))
        is_new, failure.why = failure.why != why, why
        failure.next_s = self._clock() + failure.backoff.failed()
        return is_new

    def succeeded(self, key: Key) -> None:
        """Forget what failed before."""
        self._failures.pop(key, None)

    def keep(self, names: Collection[str]) -> None:
        """Forget the shares of all other objects."""
        self._failures = {key: failure for key, failure in self._failures.items() if key[0] in names}

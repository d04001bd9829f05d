"""When a process that ended is started again: after pauses that grow, and begin anew once it has run for a while."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from gridledger.backoff import Backoff

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
CALM_S = 60.0
"""A process that has run this long since its last restart is taken to be well."""


class Restarts:
    """The restarts of one process. It is never given up: what it lacks, such as room on the disk, may come later.

    ``clock`` gives seconds and never goes back.
    """

    def __init__(self, clock: Callable[[], float], random: Random) -> None:
        self._clock = clock
        self._backoff = Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S, random)
        self._last = clock()

    def next_pause(self) -> float:
        """The process has ended: how many seconds to wait before it is started again."""
        now = self._clock()
        if now - self._last >= CALM_S:
            self._backoff.succeeded()
        pause = self._backoff.failed()
        self._last = now + pause
        return pause

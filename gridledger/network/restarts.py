"""When a process that ended is started again: pauses that grow, and a bound on starts per time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random

MOST = 5
WITHIN_S = 60.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 10.0


class Restarts:
    """The restarts of one process: at most ``MOST`` within any ``WITHIN_S`` seconds.

    ``clock`` gives seconds and never goes back.
    """

    def __init__(self, clock: Callable[[], float], random: Random) -> None:
        self._clock = clock
        self._random = random
        self._times: deque[float] = deque()

    def next_pause(self) -> float | None:
        """Count one restart: how many seconds to wait before it. None: the bound is reached, leave the process."""
        now = self._clock()
        while self._times and now - self._times[0] >= WITHIN_S:
            self._times.popleft()
        if len(self._times) >= MOST:
            return None
        pause = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** len(self._times))
        self._times.append(now)
        return pause * (0.5 + 0.5 * self._random.random())

    def forget(self) -> None:
        """Begin anew: somebody has started the process."""
        self._times.clear()

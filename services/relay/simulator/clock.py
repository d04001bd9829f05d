"""The relay's clock: it runs faster than the real one from the past until it reaches the present.

Times are seconds since 1970 in UTC. The real clock and the wait are handed in.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gridledger.field.clock import offset_at

MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class Pace:
    """Since ``real_s`` of the real clock the relay's runs ``rate`` times as fast, from ``start_s``."""

    start_s: float
    real_s: float
    rate: float

    @classmethod
    def reaching_the_present(cls, minute_s: float, minutes: int, real_s: float) -> Pace:
        """A minute lasts ``minute_s``, and the present is reached after ``minutes`` of them. At 60 s a minute it is
        the present from the beginning."""
        if minute_s == MINUTE_S:
            return cls(real_s, real_s, 1.0)
        end_minute = (real_s + minutes * minute_s) // MINUTE_S
        return cls((end_minute - minutes) * MINUTE_S, real_s, MINUTE_S / minute_s)

    @classmethod
    def from_minute(cls, minute: int, minute_s: float, real_s: float) -> Pace:
        """It begins with a UTC epoch minute, wherever the present is."""
        return cls(minute * MINUTE_S, real_s, MINUTE_S / minute_s)

    def shown_at(self, real_s: float) -> float:
        """What the relay's clock shows."""
        return min(self.start_s + (real_s - self.real_s) * self.rate, real_s)

    def real_at(self, second: float) -> float:
        """When the relay's clock shows a second."""
        return max(self.real_s + (second - self.start_s) / self.rate, second)


class RelayClock:
    """A pace, and the real clock that moves it."""

    def __init__(
        self, pace: Pace, real: Callable[[], float], sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._pace = pace
        self._real = real
        self._sleep = sleep

    def now(self) -> float:
        """What the relay's clock shows, seconds since 1970."""
        return self._pace.shown_at(self._real())

    def real_us(self) -> int:
        """The real time, microseconds since 1970."""
        return round(self._real() * 1_000_000)

    def next_minute(self) -> int:
        """The first minute that has not begun before now."""
        return math.ceil(self.now() / MINUTE_S)

    def real_seconds(self, relay_s: float) -> float:
        """How long a time of the relay's clock takes before it has reached the present, real seconds."""
        return relay_s / self._pace.rate

    async def until(self, second: float) -> None:
        """Wait until the relay's clock shows a second."""
        while (left := self._pace.real_at(second) - self._real()) > 0:
            await self._sleep(left)


def local_time(second: int, utc_offsets: Sequence[dict[str, int]]) -> datetime:
    """What a relay prints at a second of UTC: naive local time."""
    offset = timedelta(minutes=offset_at(utc_offsets, second // MINUTE_S))
    return datetime.fromtimestamp(second, UTC).replace(tzinfo=None) + offset

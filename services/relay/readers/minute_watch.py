"""Which minutes were seen whole, of a relay that tells its running values only. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.relay.readers.values import Row

_MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class Seen:
    """A reading: the UTC second since 1970, its ten values, and the faults in its minute so far."""

    second: int
    values: tuple[float, ...]
    faults: float


@dataclass(frozen=True, slots=True)
class Minute:
    """A period that is over: its first UTC minute, how many readings were missing, and those that were seen."""

    minute: int
    missing: int
    faults: float
    rows: tuple[Row, ...]


@dataclass(slots=True)
class MinuteWatch:
    """Puts readings together. ``period_s`` and ``reading_s`` are the relay's."""

    period_s: int
    reading_s: int
    last_second: int | None = None
    _is_first: bool = True
    _seen: list[Seen] = field(default_factory=list)

    def take(self, seen: Seen) -> Minute | None:
        """Take the next reading; the period before, where this one begins another.

        The first period is given only where it was seen whole. A second that does not follow begins another period: the
        relay's clock was set back.
        """
        ended = None
        if self._seen and (self._start(seen) != self._start(self._seen[0]) or seen.second <= self._seen[-1].second):
            ended = self._ended()
            self._seen = []
        self._seen.append(seen)
        self.last_second = seen.second
        return ended

    def _start(self, seen: Seen) -> int:
        return seen.second - seen.second % self.period_s

    def _ended(self) -> Minute | None:
        start = self._start(self._seen[0])
        expected = range(start, start + self.period_s, self.reading_s)
        missing = len(set(expected) - {seen.second for seen in self._seen})
        was_first, self._is_first = self._is_first, False
        if was_first and missing:
            return None
        rows = tuple((seen.second, seen.values) for seen in self._seen)
        return Minute(start // _MINUTE_S, missing, self._seen[-1].faults, rows)

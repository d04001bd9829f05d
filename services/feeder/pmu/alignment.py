"""Aligns what PMUs measured at the same instant. Pure: the time comes from outside. Nothing is filled in.

An instant is open until all PMUs are there, or for the wait time after its first one. What comes later is late, who
has not come then is missing, whose STAT or values are not good is bad, whose time is far from ours is off; each is
counted by PMU.
"""

from __future__ import annotations

import cmath
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gridledger.field.c37118 import Stat
from services.feeder.pmu.phasors import Phasors, Quantity

MAX_INSTANTS = 256
"""Instants that are kept, open or not."""
MAX_OFF_US = 60_000_000
"""How far from our clock an instant may be."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a PMU measured at one instant."""

    pmu: str
    stat: Stat
    phasors: Phasors


@dataclass(slots=True)
class Instant:
    """What is there of one instant. ``phasors`` are the good ones."""

    time_us: int
    opened_us: int
    phasors: dict[Quantity, complex] = field(default_factory=dict)
    came: set[str] = field(default_factory=set)
    is_open: bool = True

    def has(self, needs: frozenset[Quantity]) -> bool:
        """Whether all of these were measured."""
        return needs <= self.phasors.keys()


class Alignment:
    """Instants of a fixed set of PMUs."""

    def __init__(self, pmus: Iterable[str], *, wait_us: int, max_instants: int = MAX_INSTANTS) -> None:
        self.late: Counter[str] = Counter()
        self.missing: Counter[str] = Counter()
        self.bad: Counter[str] = Counter()
        self.off: Counter[str] = Counter()
        self._pmus = frozenset(pmus)
        self._wait_us = wait_us
        self._max_instants = max_instants
        self._instants: OrderedDict[int, Instant] = OrderedDict()
        self._latest_gone_us = -1

    def add(self, time_us: int, readings: Iterable[Reading], now_us: int) -> Instant | None:
        """Take readings of one instant; it, or None where they are late or off."""
        if abs(time_us - now_us) > MAX_OFF_US:
            self.off.update(reading.pmu for reading in readings)
            return None
        instant = self._instants.get(time_us)
        if instant is None and time_us > self._latest_gone_us:
            instant = self._instants[time_us] = Instant(time_us, now_us)
            self._make_room()
        if instant is None or not instant.is_open:
            self.late.update(reading.pmu for reading in readings)
            return None
        for reading in readings:
            instant.came.add(reading.pmu)
            if is_good(reading):
                instant.phasors.update(reading.phasors)
            else:
                self.bad[reading.pmu] += 1
        if instant.came >= self._pmus:
            instant.is_open = False
        return instant

    def expire(self, now_us: int) -> int:
        """Close the instants whose wait time is over; how many."""
        over = [one for one in self._instants.values() if one.is_open and now_us - one.opened_us >= self._wait_us]
        for instant in over:
            self._close(instant)
        return len(over)

    def newest(self, needs: frozenset[Quantity], after_us: int) -> Instant | None:
        """The newest instant after a time that has all of ``needs``."""
        found = (one for one in self._instants.values() if one.time_us > after_us and one.has(needs))
        return max(found, key=lambda instant: instant.time_us, default=None)

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """By PMU how many readings were late, missing, bad and off; those of which none was are left out."""
        counted = {"late": self.late, "missing": self.missing, "bad": self.bad, "off": self.off}
        names = sorted(set().union(*counted.values()))
        return {name: {what: counter[name] for what, counter in counted.items()} for name in names}

    def _close(self, instant: Instant) -> None:
        instant.is_open = False
        self.missing.update(self._pmus - instant.came)

    def _make_room(self) -> None:
        while len(self._instants) > self._max_instants:
            oldest = self._instants.pop(min(self._instants))
            self._latest_gone_us = max(self._latest_gone_us, oldest.time_us)
            if oldest.is_open:
                self._close(oldest)


def is_good(reading: Reading) -> bool:
    """Whether a PMU's values may be used: no error, in time with the others, every phasor there."""
    stat = reading.stat
    if not stat.is_good or stat.unsynchronised or stat.sorted_by_arrival:
        return False
    return all(map(cmath.isfinite, reading.phasors.values()))

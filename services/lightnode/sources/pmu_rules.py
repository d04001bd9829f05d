"""What of a PMU's measurements is an event. Pure: frames in, events out."""

from __future__ import annotations

from math import isfinite
from typing import Any, Final

from gridledger.field.c37118 import PmuData
from gridledger.field.c37118.data import TRIGGERS
from services.lightnode.settings import PmuSource

Event = dict[str, Any]

CLEAR_SHARE: Final = 0.8
"""An alarm is over when its value is below this share of its bound: one that swings about it is not told each time."""
_DIGITS: Final = 4
"""Of frequencies: 0.1 mHz."""


class PmuRules:
    """The events of one PMU's stream. Each alarm is told when it begins and when it is over."""

    def __init__(self, source: PmuSource) -> None:
        self._source = source
        self._on: set[str] = set()
        self._told_us: int | None = None

    def take(self, time_us: int, data: PmuData) -> list[Event]:
        """The events of a moment."""
        stat = data.stat
        events = self._switched("bad data", time_us, is_on=not stat.is_good, kind="health", word=stat.word)
        events += self._switched(
            "clock", time_us, is_on=stat.unsynchronised, kind="gps", unlocked=stat.unlocked, quality=stat.time_quality
        )
        events += self._switched(
            "trigger", time_us, is_on=stat.triggered, kind="alarm", reason=TRIGGERS[stat.trigger_reason]
        )
        if not stat.is_good or not isfinite(data.freq_hz):
            return events
        deviation, frequency = data.freq_hz - self._source.nominal_hz, round(data.freq_hz, _DIGITS)
        events += self._beyond("frequency", time_us, deviation, self._source.deviation_hz, frequency_hz=frequency)
        if isfinite(data.rocof_hz_s):
            rocof = round(data.rocof_hz_s, _DIGITS)
            events += self._beyond("rocof", time_us, rocof, self._source.rocof_hz_per_s, rocof_hz_per_s=rocof)
        return events + self._frequency(time_us, frequency)

    def _frequency(self, time_us: int, frequency: float) -> list[Event]:
        """The frequency at whole multiples of the interval, by the PMU's time."""
        every_us = round(self._source.every_s * 1e6)
        if self._source.batches or (self._told_us is not None and time_us // every_us == self._told_us // every_us):
            return []
        self._told_us = time_us
        return [{"kind": "frequency", "time_us": time_us, "body": {"frequency_hz": frequency}}]

    def _beyond(self, name: str, time_us: int, value: float, bound: float, **said: Any) -> list[Event]:
        share = CLEAR_SHARE if name in self._on else 1.0
        return self._switched(name, time_us, is_on=abs(value) > bound * share, kind="alarm", bound=bound, **said)

    def _switched(self, name: str, time_us: int, *, is_on: bool, kind: str, **said: Any) -> list[Event]:
        if is_on == (name in self._on):
            return []
        (self._on.add if is_on else self._on.discard)(name)
        body = {"alarm": name, "state": "begins" if is_on else "over", **said}
        return [{"kind": kind, "time_us": time_us, "body": body}]

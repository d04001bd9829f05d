"""The last minutes of a group's voltages and indices, for the chart. A ring of fixed size, whatever frames come."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from math import nan
from typing import Final

from services.console.grid.told import FrameTold

SPAN_S: Final = 600
SLOT_US: Final = 100_000
"""A tenth of a second: the screen is drawn no oftener. The weakest frame of a slot stands for it, so no sag is lost."""
SLOTS: Final = SPAN_S * 1_000_000 // SLOT_US
_FIELDS: Final = 2  # V and VSI
_BACK_SLOTS: Final = 100


class Series:
    """V and VSI of some buses by time slot, at most ten minutes: 48 KB a bus. Slots without a frame take no place."""

    __slots__ = ("_margins", "_places", "_rows", "_times", "buses")

    def __init__(self, buses: Sequence[int]) -> None:
        self.buses = tuple(buses)
        self._places = {bus: place for place, bus in enumerate(self.buses)}
        self._times: array[int] = array("q")
        self._margins: array[float] = array("d")
        self._rows: array[float] = array("f")

    def __len__(self) -> int:
        return len(self._times)

    def add(self, frame: FrameTold) -> None:
        """Take a frame in. One that is older than the newest slot is left out."""
        slot = frame.time_us // SLOT_US
        margin = frame.margin if frame.margin is not None else 0.0
        if self._times and slot <= self._times[-1]:
            if slot == self._times[-1] and margin < self._margins[-1]:
                self._margins[-1] = margin
                self._rows[-self._width :] = self._row(frame)
            return
        self._times.append(slot)
        self._margins.append(margin)
        self._rows.extend(self._row(frame))
        if len(self._times) >= SLOTS + SLOTS // 8:  # dropped in large steps: each costs a copy
            self._drop(len(self._times) - SLOTS)
        while self._times[0] <= slot - SLOTS - SLOTS // 8:
            self._drop(max(1, sum(1 for time in self._times if time <= slot - SLOTS)))

    def is_ahead_of(self, frame: FrameTold) -> bool:
        """Whether the frame's time is so far back that its source must have begun anew."""
        return bool(self._times) and frame.time_us // SLOT_US < self._times[-1] - _BACK_SLOTS

    def columns(
        self, buses: Sequence[int], since_us: int = 0
    ) -> tuple[list[float], dict[int, list[list[float | None]]]]:
        """Times, s since 1970, and by bus its V and its VSI at these; None where there is none."""
        first = _first_behind(self._times, since_us // SLOT_US)
        if self._times:
            first = max(first, _first_behind(self._times, self._times[-1] - SLOTS))
        found = {}
        for bus in buses:
            place = self._places.get(bus)
            if place is not None:
                found[bus] = [self._column(first, place * _FIELDS + field) for field in range(_FIELDS)]
        return [time * SLOT_US / 1_000_000 for time in self._times[first:]], found

    @property
    def _width(self) -> int:
        return max(1, len(self.buses) * _FIELDS)

    def _column(self, first: int, field: int) -> list[float | None]:
        values = self._rows[first * self._width + field :: self._width]
        return [None if value != value else round(value, 5) for value in values]  # noqa: PLR0124 - is it a number?

    def _row(self, frame: FrameTold) -> array[float]:
        row: array[float] = array("f")
        for bus in self.buses:
            row.append(frame.vm.get(bus, nan))
            row.append(frame.vsi.get(bus, nan))
        return row if row else array("f", [nan])

    def _drop(self, count: int) -> None:
        del self._times[:count]
        del self._margins[:count]
        del self._rows[: count * self._width]


def _first_behind(times: array[int], slot: int) -> int:
    low, high = 0, len(times)
    while low < high:
        middle = (low + high) // 2
        if times[middle] <= slot:
            low = middle + 1
        else:
            high = middle
    return low

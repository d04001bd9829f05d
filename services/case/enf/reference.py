"""The frequency of the grid as it was measured: one value a second, missing seconds marked. Rows come in batches.

Where rows come from is not known here: :mod:`services.case.enf.reference_csv` reads a file, others may read what a
ledger vouches for. Rows between two seconds are averaged to the nearest one; a second without rows is missing (NaN),
and nothing is put in its place.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.case.enf.errors import BadReference

Floats = NDArray[np.float64]
Batch = tuple[Floats, Floats]
"""Times in seconds since 1970, ascending, and frequencies in Hz (NaN: not measured), as many."""

MOST_SECONDS: Final = 100_000_000
"""Three years: 400 MB in memory."""
LEAST_SECONDS: Final = 60
PLAUSIBLE_HZ: Final = 3.0
"""What is further from nominal is a meter's fault and counts as missing."""
_WRONG_SHARE: Final = 0.5
_MOST_TIME: Final = 1e11
_BEGIN: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Reference:
    """``deviation_hz[n]`` is the frequency at ``start_s`` + n seconds less the nominal one; NaN where it is missing."""

    start_s: float
    nominal_hz: float
    deviation_hz: NDArray[np.float32]

    @property
    def seconds(self) -> int:
        """From the first row to the last."""
        return len(self.deviation_hz)

    @property
    def missing(self) -> int:
        """Seconds without a value."""
        return int(np.isnan(self.deviation_hz).sum())


def reference_of(batches: Iterable[Batch], nominal_hz: float) -> Reference:
    """Rows as one value a second; :class:`BadReference` where they are not in order, too many, or of another grid."""
    grid = _Grid()
    rows = doubtful = 0
    last = -np.inf
    usual: Floats = np.zeros(0)
    for times, values in batches:
        if not len(times):
            continue
        _check_order(times, last, rows)
        last = float(times[-1])
        measured = np.isfinite(values)
        plausible = measured & (np.abs(np.where(measured, values, 0.0) - nominal_hz) <= PLAUSIBLE_HZ)
        rows += len(times)
        doubtful += int(measured.sum() - plausible.sum())
        if measured.any():
            usual = np.append(usual, np.median(values[measured]))
        grid.add(times[plausible], values[plausible] - nominal_hz)
    if doubtful > _WRONG_SHARE * rows:
        raise BadReference(
            f"the reference's frequency lies at {np.median(usual):.2f} Hz, not near {nominal_hz:g} Hz: give --nominal"
        )
    return grid.reference(nominal_hz, rows)


def _check_order(times: Floats, last: float, rows: int) -> None:
    """Times are numbers, and each is later than the one before."""
    if not (np.isfinite(times).all() and np.abs(times).max() < _MOST_TIME):
        row = rows + int(np.argmax(~(np.abs(np.nan_to_num(times, nan=np.inf)) < _MOST_TIME))) + 1
        raise BadReference(f"row {row} of the reference has no time in seconds since 1970")
    earlier = np.flatnonzero(np.diff(times, prepend=last) <= 0.0)
    if len(earlier):
        raise BadReference(
            f"row {rows + int(earlier[0]) + 1} of the reference ({times[earlier[0]]:.3f}) is not later than the row "
            "before it: sort the rows by time and leave repeated ones out"
        )


class _Grid:
    """Sums and counts of the rows of each second."""

    def __init__(self) -> None:
        self._start: float | None = None
        self._sums = np.zeros(_BEGIN, np.float32)
        self._counts = np.zeros(_BEGIN, np.uint16)
        self._used = 0

    def add(self, times: Floats, deviations: Floats) -> None:
        """Take rows in; the first one's time is the grid's start."""
        if not len(times):
            return
        if self._start is None:
            self._start = float(times[0])
        span = float(times[-1]) - self._start
        if span >= MOST_SECONDS:
            raise BadReference(f"the reference spans {span:.0f} s; at most {MOST_SECONDS} s are compared at once")
        index = np.floor(times - self._start + 0.5).astype(np.int64)
        self._used = int(index[-1]) + 1
        if self._used > len(self._sums):
            size = max(self._used, 2 * len(self._sums))
            self._sums, self._counts = _longer(self._sums, size), _longer(self._counts, size)
        first = int(index[0])
        counts = np.bincount(index - first)
        part = slice(first, first + len(counts))
        self._sums[part] += np.bincount(index - first, weights=deviations)
        self._counts[part] = np.minimum(self._counts[part] + counts, np.iinfo(np.uint16).max)

    def reference(self, nominal_hz: float, rows: int) -> Reference:
        """What was taken in; a second with less than half of the usual number of rows is missing."""
        counts = self._counts[: self._used]
        present = counts[counts > 0]
        if self._start is None or len(present) < LEAST_SECONDS:
            raise BadReference(
                f"the reference has a frequency for {len(present)} seconds ({rows} rows); "
                f"at least {LEAST_SECONDS} are needed"
            )
        usual = float(np.median(present))
        if len(present) < 0.6 * self._used and _rows_are_rare(counts):
            raise BadReference("the reference has fewer rows than one a second: it must have one for each second")
        full = (counts > 0) & (counts >= 0.5 * usual)
        with np.errstate(invalid="ignore", divide="ignore"):
            deviation = np.where(full, self._sums[: self._used] / counts, np.nan).astype(np.float32)
        return Reference(self._start, nominal_hz, deviation)


def _rows_are_rare(counts: NDArray[np.uint16]) -> bool:
    """Whether most rows stand alone: a row each few seconds, not a record with gaps."""
    there = counts > 0
    neighbours = there[1:] & there[:-1]
    return bool(neighbours.sum() < 0.5 * there.sum())


def _longer(values: NDArray[Any], size: int) -> NDArray[Any]:
    longer = np.zeros(size, values.dtype)
    longer[: len(values)] = values
    return longer

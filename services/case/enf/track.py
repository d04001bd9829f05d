"""The frequencies heard in a recording beside what the reference has for them, at any lag."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.case.enf.correlate import smoothed
from services.case.enf.extract import Hum
from services.case.enf.reference import Reference

Floats = NDArray[np.float64]

_MARGIN: int = 10
"""Seconds more to both sides than the smoothing reaches."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Seconds ``first`` to ``last`` (included) of a track, and the reference's index at the track's second 0."""

    first: int
    last: int
    lag: float

    @property
    def seconds(self) -> int:
        """How many seconds it has."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Fit:
    """How recording and reference belong together beside the pieces.

    A second of the recorder is ``1 + stretch`` true seconds; ``offset_hz`` is what the recording shows more than the
    reference; ``noise_hz`` is the standard deviation of what is left.
    """

    stretch: float
    offset_hz: float
    noise_hz: float


class Track:
    """One recording's frequencies and one reference."""

    def __init__(self, hum: Hum, reference: Reference) -> None:
        self.heard = hum.deviation_hz
        self.noise = np.maximum(hum.noise, 1.0)
        """How much less accurate a second is than the median one."""
        self.nominal_hz = hum.nominal_hz
        self.reference = reference
        self.seconds = np.arange(len(self.heard), dtype=np.float64)

    def smooth(self, low: int, high: int) -> Floats:
        """The reference from index ``low`` to before ``high`` as windows see it, NaN where it is missing."""
        return smoothed(self._part(low - _MARGIN, high + _MARGIN))[_MARGIN:-_MARGIN]

    def expected(self, piece: Piece, stretch: float) -> Floats:
        """The reference's deviations beside a piece's seconds, NaN where they are missing."""
        at = piece.lag + self.seconds[piece.first : piece.last + 1] * (1.0 + stretch)
        low = int(np.floor(at[0]))
        part = self.smooth(low, int(np.ceil(at[-1])) + 2)
        values: Floats = np.interp(at - low, np.arange(len(part)), part)
        return values

    def left(self, piece: Piece, fit: Fit) -> Floats:
        """What a piece's seconds show more than the reference and the offset."""
        heard = self.heard[piece.first : piece.last + 1]
        difference: Floats = heard - fit.offset_hz - self.expected(piece, fit.stretch)
        return difference

    def instant(self, at: Floats) -> Floats:
        """The reference's deviations at these indexes, ascending, as they were measured: between two on a line."""
        low = int(np.floor(at[0]))
        part = self._part(low, int(np.ceil(at[-1])) + 2)
        values: Floats = np.interp(at - low, np.arange(len(part)), part)
        return values

    def _part(self, low: int, high: int) -> NDArray[np.float32]:
        part = np.full(high - low, np.nan, np.float32)
        inside = slice(max(low, 0), min(high, self.reference.seconds))
        if inside.start < inside.stop:
            part[inside.start - low : inside.stop - low] = self.reference.deviation_hz[inside]
        return part

"""Where in a recording an edit lies, by the phase of the hum.

The reference gives the frequency, and its integral the phase that an unedited recording would have. Turned back by it,
the hum stands still over a piece; where the lag is another it turns, and at a cut it jumps. In windows of some seconds
the turned-back hum is summed: the sum's power, divided by the power that it would have without any turning, is the
window's coherence. The place of an edit is the one for which windows wholly before it, with the one piece's lag, and
windows wholly behind it, with the other's, are most coherent. To which half minute to look for it, the frequencies say.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.case.enf.extract import WINDOW_S, Hum
from services.case.enf.pieces import CORRELATED_S
from services.case.enf.reference import Reference
from services.case.enf.track import Fit, Piece, Track

Floats = NDArray[np.float64]

_SUM_S: Final = 8.0
"""Length of the windows that are summed."""
_AROUND_S: Final = 30.0
_RESOLUTION_S: Final = 0.05
_HALF: Final = WINDOW_S / 2.0
_LEAST_NOISE: Final = 0.05
"""Of the power: the reference tells the phase no better."""
_EVEN, _LEAST_DIP = 0.05, 0.4
"""As parts of a piece's usual coherence: what is no difference, and what is one however uneven the coherence is."""
_ACROSS: Final = 0.25
"""What a window across an end counts, to one that ends there."""
_STRAY: Final = 0.85
"""The coherence, as a part of the piece's own, below which a window is no more the piece's."""
_FOREIGN: Final = 3.0
_MOST: Final = 10.0
"""What a second costs at most, in nats."""


class Phases:
    """The places of edits between pieces."""

    def __init__(self, hum: Hum, reference: Reference, fit: Fit) -> None:
        self._hum, self._fit = hum, fit
        self._track = Track(hum, reference)

    def deletion(self, one: Piece, other: Piece) -> float:
        """Where something is missing between two pieces."""
        return self._sought((one.last + other.first) / 2.0 + _HALF, 0.0, one, other)

    def insertion(self, one: Piece, other: Piece) -> float:
        """Where something as long as the step of the lag begins."""
        length = one.lag - other.lag
        return self._sought(self._cheapest(length, one, other) + _HALF, length, one, other)

    def foreign(self, one: Piece, other: Piece) -> tuple[float, float]:
        """Where a stretch begins and ends whose length the lags do not tell."""
        return self.end(one), self.begin(other)

    def end(self, one: Piece) -> float:
        """Where a piece ends."""
        return self._sought(one.last + _HALF, 0.0, one, None)

    def begin(self, other: Piece) -> float:
        """Where a piece begins."""
        return self._sought(other.first + _HALF, 0.0, None, other)

    def _cheapest(self, length: float, one: Piece, other: Piece) -> float:
        """The second of the track at which the insertion begins, by the frequencies.

        Seconds before it cost what they differ from the one piece's, those behind it from the other's.
        """
        whole, first, last = round(length), one.first, other.last
        before, behind = self._costs(one, first, last), self._costs(other, first, last)
        left = np.concatenate(([0.0], np.cumsum(before)))
        right = np.concatenate((np.cumsum(behind[::-1])[::-1], [0.0]))
        starts = np.arange(len(before) - whole + 1)
        if not len(starts):
            return float(one.last)
        return float(first + starts[np.argmin(left[starts] + right[starts + whole])])

    def _costs(self, piece: Piece | None, first: int, last: int) -> Floats:
        """What each of these seconds costs at a piece's lag, in nats; without a piece, as foreign ones."""
        if piece is None:
            return np.full(last - first + 1, _FOREIGN)
        left = self._track.left(Piece(first, last, piece.lag), self._fit)
        cost = np.minimum(0.5 * np.square(left / self._fit.noise_hz), _MOST)
        return np.where(np.isfinite(cost), cost, _MOST)

    def _sought(self, about: float, length: float, one: Piece | None, other: Piece | None) -> float:
        """The place near ``about`` before which the hum is the one piece's, and ``length`` behind which the other's."""
        low = max(about - _AROUND_S, 0.0 if one is None else one.first + _SUM_S)
        high = min(about + _AROUND_S, self._hum.duration_s - length)
        if other is not None:
            high = min(high, other.last + WINDOW_S - _SUM_S - length)
        places = np.arange(low, high, _RESOLUTION_S)
        if len(places) < 2:  # noqa: PLR2004 - nothing to choose between
            return about
        total = np.zeros(len(places))
        for harmonic in self._hum.baseband.samples:
            total += self._likelihood(harmonic, places, length, one, other)
        total -= self._frequencies(one, other, places, length)
        if not np.isfinite(total).all():
            return about
        return float(places[np.argmax(total)]) + _RESOLUTION_S / 2.0

    def _likelihood(
        self, harmonic: int, places: Floats, length: float, one: Piece | None, other: Piece | None
    ) -> Floats:
        """How likely each place is by one harmonic, in nats, but for a constant.

        Without a piece on one side, windows there are taken for ones of which the other side's piece has but a part.
        """
        rate = self._hum.baseband.rate_hz
        third = len(places) // 3 + 1  # how loud a piece's own hum is, the windows furthest inside of it tell
        sides: list[Floats] = []
        across: list[Floats] = []
        spread = 0.0
        for piece, begin, end, own in (
            (one, places - _SUM_S, places, slice(third)),
            (other, places + length, places + length, slice(-third, None)),
        ):
            if piece is not None:
                sides.append(self._coherence(harmonic, piece, begin, own))
                across.append(self._coherence(harmonic, piece, end - _SUM_S / 2.0, own))
                spread = max(spread, float(np.std(sides[-1][own])))
        best = max(float(np.quantile(side, 0.9)) for side in sides)
        # Inside of a piece the coherence goes up and down with speech and steps of quantisation: that says nothing.
        most = best - min(max(2.0 * spread, _EVEN * best), _LEAST_DIP * best)
        before = np.minimum(sides[0], most) if one is not None else _STRAY * most
        behind = np.minimum(sides[-1], most) if other is not None else _STRAY * most
        # One step further on, one more window lies before the place, and one less behind it.
        gain = np.cumsum(before - behind) * _RESOLUTION_S * rate
        if length:
            # What was put in may by chance be coherent with what stands beside it: the ends are where the phase jumps.
            gain -= _ACROSS * _SUM_S * rate * np.sum([np.minimum(each, most) for each in across], axis=0)
        likelihood: Floats = gain / max(1.0 - best, _LEAST_NOISE)
        return likelihood

    def _frequencies(self, one: Piece | None, other: Piece | None, places: Floats, length: float) -> Floats:
        """What the track costs, in nats, with the one piece's lag before each place and the other's behind it."""
        reach = int(_AROUND_S + _SUM_S)
        first = max(0, int(places[0]) - reach)
        last = min(len(self._track.heard) - 1, int(places[-1] + length) + reach)
        left = np.concatenate(([0.0], np.cumsum(self._costs(one, first, last))))
        right = np.concatenate((np.cumsum(self._costs(other, first, last)[::-1])[::-1], [0.0]))
        at = np.arange(len(left)) + first + _HALF - 0.5
        # Windows that hold sound from both sides of an end fit neither: as many are left out for each place.
        costs: Floats = np.interp(places - _HALF, at, left) + np.interp(places + length + _HALF, at, right)
        return costs / CORRELATED_S

    def _coherence(self, harmonic: int, piece: Piece, starts: Floats, own: slice) -> Floats:
        """Of the window from each start on, 0 to 1; less where it is quieter. NaN where the reference is missing."""
        rate = self._hum.baseband.rate_hz
        samples = self._hum.baseband.samples[harmonic]
        low = max(0, int(starts[0] * rate) - 1)
        high = min(len(samples), int((starts[-1] + _SUM_S) * rate) + 2)
        turned = samples[low:high] * np.exp(-2j * np.pi * harmonic * self._cycles(piece, low, high))
        sums = np.concatenate(([0.0], np.cumsum(turned)))
        powers = np.concatenate(([0.0], np.cumsum(np.abs(turned) ** 2)))
        begin = np.clip(np.round(starts * rate).astype(int) - low, 0, len(sums) - 1)
        end = np.clip(np.round((starts + _SUM_S) * rate).astype(int) - low, 0, len(sums) - 1)
        power = powers[end] - powers[begin]
        power = np.maximum(power, max(float(np.median(power[own])), 1e-30))
        coherence: Floats = np.abs(sums[end] - sums[begin]) ** 2 / np.maximum(end - begin, 1) / power
        return coherence

    def _cycles(self, piece: Piece, low: int, high: int) -> Floats:
        """The phase that the reference gives the fundamental from sample ``low`` on, less nominal, in cycles."""
        rate = self._hum.baseband.rate_hz
        at = piece.lag + (np.arange(low, high) / rate - _HALF) * (1.0 + self._fit.stretch)
        cycles: Floats = np.cumsum(self._track.instant(at) + self._fit.offset_hz) / rate
        return cycles

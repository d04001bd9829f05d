"""Sliding correlation of a track of frequencies with a reference of any length, by FFT, with gaps in both.

For each lag: over the seconds that both have, Pearson's coefficient (blind to a constant offset, the error of a
recorder's clock), and the offset itself. Blocks of the reference are transformed one after the other (overlap-save), so
memory does not grow with the reference beyond four bytes a lag.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from services.case.enf.extract import WINDOW_S
from services.case.enf.reference import Reference

Floats = NDArray[np.float64]

MOST_CLOCK_PPM: Final = 200.0
"""A recorder's clock is not further off; crystals of cheap recorders keep 100 ppm."""
_LEAST_BLOCK: Final = 1 << 15
_WHOLE: Final = 0.999
"""Of the kernel's weight: a smoothed second is missing where any second of weight is."""


@dataclass(frozen=True, slots=True)
class Curve:
    """``z[n]``: Fisher's z (artanh of the correlation) times the root of the share of the track that was compared.

    It belongs to the lag ``first_lag`` + n: the track's first second at this index of the reference. Zero where too
    little can be compared, or the offset is none of a clock.
    """

    first_lag: int
    z: NDArray[np.float32]


def smoothing_kernel() -> Floats:
    """How the peak of a window's spectrum weighs the frequencies inside the window, second by second.

    The peak follows the slope of the phase, weighted by the window w: the frequency at u counts by the integral of
    t w(t) from u on.
    """
    half = WINDOW_S / 2.0
    t = np.linspace(0.0, half, 8_001)
    moment = t * (0.5 + 0.5 * np.cos(np.pi * t / half))
    tail = np.concatenate((np.cumsum(moment[::-1])[::-1][1:], [0.0]))
    side = np.interp(np.arange(int(half)), t, tail)
    kernel: Floats = np.concatenate((side[:0:-1], side))
    kernel /= kernel.sum()
    return kernel


def smoothed(deviation: NDArray[np.float32]) -> Floats:
    """A reference as the windows of :mod:`extract` see it; missing wherever a missing second has weight."""
    kernel = smoothing_kernel()
    there = np.isfinite(deviation)
    values = np.convolve(np.where(there, deviation, 0.0).astype(np.float64), kernel, "same")
    if there.all():
        half = len(kernel) // 2
        values[:half] = values[len(values) - half :] = np.nan
        return values
    weight = np.convolve(there.astype(np.float64), kernel, "same")
    return np.where(weight >= _WHOLE, values, np.nan)


def correlate(reference: Reference, track: Floats, least_seconds: int) -> Curve:
    """The curve of ``track`` (a value a second, NaN where there is none) over all lags with ``least_seconds`` in both.

    The track may begin before the reference and end after it.
    """
    length = len(track)
    size = fft.next_fast_len(max(_LEAST_BLOCK, 4 * length), real=True)
    step = size - length + 1
    first_lag = -(length - 1)
    lags = reference.seconds + length - 1
    z = np.zeros(lags, np.float32)
    sliding = _Sliding(track, size, reference.nominal_hz, least_seconds)
    for start in range(0, lags, step):
        stop = min(start + step, lags)
        block = _block(reference, first_lag + start, size)
        z[start:stop] = sliding.over(block)[: stop - start]
    return Curve(first_lag, z)


def _block(reference: Reference, start: int, size: int) -> Floats:
    """Smoothed values from index ``start`` on, NaN outside of the reference."""
    half = len(smoothing_kernel()) // 2
    padded = np.full(size + 2 * half, np.nan, np.float32)
    low, high = start - half, start + size + half
    inside = slice(max(low, 0), min(high, reference.seconds))
    if inside.start < inside.stop:
        padded[inside.start - low : inside.stop - low] = reference.deviation_hz[inside]
    return smoothed(padded)[half : half + size]


class _Sliding:
    """One track against blocks of reference. What depends on the track alone is transformed once."""

    def __init__(self, track: Floats, size: int, nominal_hz: float, least_seconds: int) -> None:
        self._size, self._least = size, least_seconds
        self._lags = size - len(track) + 1
        self._most_offset = MOST_CLOCK_PPM * 1e-6 * nominal_hz
        there = np.isfinite(track)
        self._count = int(there.sum())
        # A common level costs digits in the sums below, and is free anyway.
        self._level = float(np.median(track[there])) if self._count else 0.0
        values = np.where(there, track - self._level, 0.0)
        self._sums = float(values.sum()), float((values * values).sum())
        self._mask, self._values, self._squares = (
            np.conj(fft.rfft(part, size)) for part in (there.astype(np.float64), values, values * values)
        )

    def over(self, block: Floats) -> Floats:
        """z at each lag of a block."""
        there = np.isfinite(block)
        if not there.any():
            return np.zeros(self._lags)
        x = np.where(there, block - self._level, 0.0)
        fx, fxx = fft.rfft(x), fft.rfft(x * x)
        sx, sxx, sxy = self._back(fx * self._mask), self._back(fxx * self._mask), self._back(fx * self._values)
        n: Floats | float = float(self._count)
        sy: Floats | float
        syy: Floats | float
        sy, syy = self._sums
        if not there.all():
            fg = fft.rfft(there.astype(np.float64))
            n, sy, syy = (self._back(fg * part) for part in (self._mask, self._values, self._squares))
        return self._z(np.round(n), (sx, sy), (sxx, syy), sxy)

    def _z(
        self,
        n: Floats | float,
        sums: tuple[Floats, Floats | float],
        squares: tuple[Floats, Floats | float],
        products: Floats,
    ) -> Floats:
        """z from how many values were compared, and their sums: of the reference, then of the track."""
        (sx, sy), (sxx, syy) = sums, squares
        many = np.maximum(n, 1.0)
        vx, vy = sxx - sx * sx / many, syy - sy * sy / many
        with np.errstate(invalid="ignore", divide="ignore"):
            r = (products - sx * sy / many) / np.sqrt(np.maximum(vx, 1e-12) * np.maximum(vy, 1e-12))
        offset = (sy - sx) / many
        admitted = (n >= self._least) & (np.abs(offset) <= self._most_offset)
        z = np.arctanh(np.clip(r, -0.999999, 0.999999)) * np.sqrt(n / max(self._count, 1))
        result: Floats = np.where(admitted, z, 0.0)
        return result

    def _back(self, product: NDArray[np.complex128]) -> Floats:
        result: Floats = fft.irfft(product, self._size)[: self._lags]
        return result

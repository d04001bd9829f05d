"""A recording as pieces: stretches whose hum fits the reference at one lag each, and stretches that fit nowhere.

Each second is in one of many states: a lag near the place where the recording was found (up to a quarter of an hour to
both sides, second by second, and around places where long stretches were found by themselves), or "foreign". A state
costs what its residual is worth as a log-likelihood, a change of state a fixed sum, and the cheapest path is found by
dynamic programming (Viterbi). Offset and noise are measured from the pieces of one round for the next.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.case.enf.extract import Hum
from services.case.enf.match import LEAST_DISTANCE, Place, place_of
from services.case.enf.reference import Reference
from services.case.enf.track import Fit, Piece, Track

Floats = NDArray[np.float64]

REACH_S: Final = 900
"""Lags to both sides of a place that are states."""
_FAR_REACH_S: Final = 60
_MOST_FAR: Final = 8
_TO_LAG, _TO_FOREIGN = 20.0, 10.0
"""What a change of state costs, in nats: more to a lag, as among two thousand one fits some seconds by chance."""
CORRELATED_S: Final = 6.0
"""Windows of 16 s that start a second apart: so many seconds count as one value."""
_SPREAD_HZ: Final = 0.1
"""Foreign hum is anywhere within this; it is what a foreign second's likelihood is taken from."""
_LEAST_NOISE_HZ, _FIRST_NOISE_HZ = 0.00015, 0.0005
_CAP: Final = 3.0
"""A residual costs at most so much more than a foreign second: one wild second changes no state."""
_BLOCK_S: Final = 60
_ROUNDS: Final = 4
_SAME_LAG_S: Final = 1.5
"""Neighbouring pieces whose lags are nearer than this are one."""
_ALONE_S: Final = 300
"""From this length on a foreign stretch is looked for in the whole reference."""
_EDGE_S: Final = 16
_SURE_S: Final = 150
"""A shorter piece may have its lag by chance."""
_FITS, _FITS_HZ = 2.0, 0.0004
"""Unless what is left of it is this many times the noise of the whole, or this."""
_LEAST_SECONDS: Final = 20


def pieces_of(hum: Hum, reference: Reference, place: Place) -> tuple[list[Piece], Fit]:
    """The pieces that have a place, in the order of the recording, and how they fit. Between them it fits nowhere."""
    search = _Search(Track(hum, reference))
    fit = search.first_fit(place.lag)
    windows = [(place.lag - REACH_S, place.lag + REACH_S)]
    tried: set[tuple[int, int]] = set()
    pieces = [Piece(0, len(hum.deviation_hz) - 1, float(place.lag))]
    for turn in range(_ROUNDS):
        base = search.base(pieces, fit)
        found = search.refined(search.path(windows, base, fit), fit) or pieces
        fit = search.fitted(found, fit)
        far = search.far_places(found, tried) if turn < _ROUNDS - 1 else []
        windows += [(lag - _FAR_REACH_S, lag + _FAR_REACH_S) for lag in far][: _MOST_FAR + 1 - len(windows)]
        settled = turn > 0 and not far and _alike(found, pieces)
        pieces = found
        if settled:
            break
    return search.sure(pieces, fit) or pieces, fit


def _alike(one: list[Piece], other: list[Piece]) -> bool:
    return [(piece.first, piece.last) for piece in one] == [(piece.first, piece.last) for piece in other]


class _Search:
    """The steps of one round."""

    def __init__(self, track: Track) -> None:
        self._track = track

    def first_fit(self, lag: int) -> Fit:
        """From blocks of a minute, each at its own best lag near the place: a cut may lie anywhere."""
        offsets, noises = [], []
        lags = np.arange(lag - REACH_S, lag + REACH_S + 1)
        last = len(self._track.heard) - 1
        window = self._track.smooth(int(lags[0]), int(lags[-1]) + last + 2)
        for first in range(0, last - _BLOCK_S + 2, _BLOCK_S):
            block = self._track.heard[first : first + _BLOCK_S]
            there = np.isfinite(block)
            if there.sum() < _BLOCK_S // 2:
                continue
            rows = np.lib.stride_tricks.sliding_window_view(window[first : first + len(lags) + _BLOCK_S - 1], _BLOCK_S)
            difference = block[there] - rows[:, there]
            spread = np.where(np.isfinite(difference).all(axis=1), difference.std(axis=1), np.inf)
            best = int(np.argmin(spread))
            if np.isfinite(spread[best]):
                offsets.append(float(difference[best].mean()))
                noises.append(float(spread[best]))
        offset = float(np.median(offsets)) if offsets else 0.0
        noise = max(_FIRST_NOISE_HZ, 2.0 * float(np.median(noises)) if noises else 0.0)
        return Fit(offset / self._track.nominal_hz, offset, noise)

    def base(self, pieces: list[Piece], fit: Fit) -> float:
        """The part of a second by which lags are off the reference's grid: that of the longest piece."""
        longest = max(pieces, key=lambda piece: piece.seconds)
        lag = self._best_lag(longest, fit)
        return lag - float(np.floor(lag))

    def path(self, windows: list[tuple[int, int]], base: float, fit: Fit) -> list[Piece]:
        """The cheapest path through the states, as pieces."""
        joined = _joined(windows)
        lags = np.concatenate([np.arange(low, high + 1) for low, high in joined])
        shifts = self._track.seconds * (1.0 + fit.stretch) + base
        whole = np.floor(shifts).astype(np.int64)
        part = shifts - whole
        ends = int(whole[-1]) + 2
        values = [self._track.smooth(low, high + ends) for low, high in joined]
        sizes = [high - low + 1 for low, high in joined]
        states = len(lags) + 1
        total = np.zeros(states)
        change = np.append(np.full(len(lags), _TO_LAG), _TO_FOREIGN)
        came = np.zeros((len(shifts), (states + 7) // 8), np.uint8)
        cheapest = np.zeros(len(shifts), np.int64)
        for second, heard in enumerate(self._track.heard):
            best = int(np.argmin(total))
            cheapest[second] = best
            total -= total[best]
            changed = total > change
            came[second] = np.packbits(changed)
            total = np.minimum(total, change)
            if np.isfinite(heard):
                start, share = int(whole[second]), float(part[second])
                beside = [v[start : start + n + 1] for v, n in zip(values, sizes, strict=True)]
                between = np.concatenate([v[:-1] * (1.0 - share) + v[1:] * share for v in beside])
                noise = fit.noise_hz * float(self._track.noise[second])
                total += _costs(heard - fit.offset_hz - between, noise)
        return _pieces(lags + base, came, cheapest, int(np.argmin(total)))

    def refined(self, pieces: list[Piece], fit: Fit) -> list[Piece]:
        """Lags to a fraction of a second; neighbours of one lag joined."""
        joined: list[Piece] = []
        for piece in pieces:
            lag = self._best_lag(piece, fit)
            one = joined[-1] if joined else None
            if one is not None and one.last + 1 == piece.first and abs(one.lag - lag) < _SAME_LAG_S:
                union = Piece(one.first, piece.last, one.lag if one.seconds > piece.seconds else lag)
                joined[-1] = replace(union, lag=self._best_lag(union, fit))
            else:
                joined.append(replace(piece, lag=lag))
        return joined

    def _best_lag(self, piece: Piece, fit: Fit) -> float:
        """Where the residual is smallest, near the lag that the piece has."""
        if piece.seconds < _LEAST_SECONDS:
            return piece.lag
        # Seconds near an end hold sound from both sides of it.
        inner = slice(8, -8) if piece.seconds > 4 * _LEAST_SECONDS else slice(None)
        weight = 1.0 / np.square(self._track.noise[piece.first : piece.last + 1][inner])
        lags = piece.lag + np.arange(-2.0, 2.25, 0.25)
        costs = []
        for lag in lags.tolist():
            square = np.square(self._track.left(replace(piece, lag=lag), fit)[inner])
            there = np.isfinite(square)
            costs.append(float(np.average(square[there], weights=weight[there])) if there.any() else np.inf)
        best = int(np.argmin(costs))
        if not np.isfinite(costs[best]) or not 0 < best < len(lags) - 1:
            return piece.lag
        below, at, above = costs[best - 1 : best + 2]
        bend = below - 2.0 * at + above
        return float(lags[best]) + (0.25 * 0.5 * (below - above) / bend if bend > 0.0 else 0.0)

    def sure(self, pieces: list[Piece], fit: Fit) -> list[Piece]:
        """Without short pieces that fit worse than the rest: they have their lag by chance."""
        return [piece for piece in pieces if piece.seconds >= _SURE_S or self._fits(piece, fit)]

    def _fits(self, piece: Piece, fit: Fit) -> bool:
        left = (self._track.left(piece, fit) / self._track.noise[piece.first : piece.last + 1])[8:-8]
        left = left[np.isfinite(left)]
        if len(left) < _LEAST_SECONDS // 2:
            return False
        return 1.4826 * float(np.median(np.abs(left))) <= max(_FITS * fit.noise_hz, _FITS_HZ)

    def fitted(self, pieces: list[Piece], fit: Fit) -> Fit:
        """Offset, noise and stretch by the pieces."""
        best: Fit | None = None
        for stretch in (fit.offset_hz / self._track.nominal_hz, 0.0):
            parts = [self._track.left(piece, Fit(stretch, 0.0, fit.noise_hz)) for piece in pieces]
            left = np.concatenate(parts)
            left = left[np.isfinite(left)]
            if len(left) < _LEAST_SECONDS:
                return fit
            offset = float(np.median(left))
            noise = 1.4826 * float(np.median(np.abs(left - offset)))
            if best is None or noise < 0.98 * best.noise_hz:
                best = Fit(stretch, offset, max(noise, _LEAST_NOISE_HZ))
        return best or fit

    def far_places(self, pieces: list[Piece], tried: set[tuple[int, int]]) -> list[int]:
        """Lags of long stretches of foreign and short pieces that have a place in the reference by themselves."""
        lags = []
        for first, last in _unplaced(pieces, len(self._track.heard)):
            stretch = (first // _BLOCK_S, last // _BLOCK_S)
            track = self._track.heard[first + _EDGE_S : last + 1 - _EDGE_S]  # without windows across its ends
            if len(track) < _ALONE_S or stretch in tried or np.isfinite(track).sum() < _ALONE_S // 2:
                continue
            tried.add(stretch)
            place, _ = place_of(track, self._track.reference)
            if place is not None and place.distance >= LEAST_DISTANCE:
                lags.append(place.lag - first - _EDGE_S)
        return lags


def _costs(left: Floats, noise_hz: float) -> Floats:
    """What each state costs in a second, by what is left of its frequency; the last is the foreign one."""
    foreign = max(2.0, float(np.log(_SPREAD_HZ / (noise_hz * np.sqrt(2.0 * np.pi)))))
    costs = 0.5 * np.square(left / noise_hz)
    costs = np.where(np.isnan(costs), foreign, np.minimum(costs, foreign + _CAP))
    result: Floats = np.append(costs, foreign) / CORRELATED_S
    return result


def _unplaced(pieces: list[Piece], seconds: int) -> list[tuple[int, int]]:
    """Stretches between pieces that are long enough not to have their lag by chance: first and last second of each."""
    sure = [piece for piece in pieces if piece.seconds >= _SURE_S]
    begins = [0, *(piece.last + 1 for piece in sure)]
    ends = [*(piece.first - 1 for piece in sure), seconds - 1]
    return [(first, last) for first, last in zip(begins, ends, strict=True) if first <= last]


def _joined(windows: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Windows in ascending order, those that touch as one."""
    joined: list[tuple[int, int]] = []
    for low, high in sorted(windows):
        if joined and low <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
        else:
            joined.append((low, high))
    return joined


def _pieces(lags: Floats, came: NDArray[np.uint8], cheapest: NDArray[np.int64], state: int) -> list[Piece]:
    """The path read backwards from its last state; seconds in the foreign state, the last one, are in no piece."""
    pieces: list[Piece] = []
    last = len(cheapest) - 1
    for second in range(last, -1, -1):
        changed = second > 0 and came[second, state >> 3] & (0x80 >> (state & 7))
        if second == 0 or changed:
            if state < len(lags):
                pieces.append(Piece(second, last, float(lags[state])))
            last, state = second - 1, int(cheapest[second])
    return pieces[::-1]

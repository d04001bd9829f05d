"""When a recording was made: the place in a reference where its hum fits, and whether it fits nowhere.

The place is where the correlation is largest. How far it stands out is measured on the reference at hand: the
correlations at all other places are what wrong places give. Their spread tells how many independent values the track
has; with it the best place's and the second best's correlations become log-likelihoods, and their difference is the
``distance``. If the recording is not in the reference, the best and the second best are the two largest of many alike,
and their distance exceeds d with a chance of about exp(-d): see docs/enf.md for the measurement.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from services.case.enf.correlate import Curve, correlate
from services.case.enf.extract import Hum
from services.case.enf.reference import Reference

Floats = NDArray[np.float64]

LEAST_DISTANCE: Final = 8.0
"""From which on a place is told: a chance of a wrong one of 0.03 %."""
LEAST_HEARD_S: Final = 60
"""Seconds of hum that are compared at all."""
_LEAST_SHARE_HEARD: Final = 0.1
_NEIGHBOURHOOD_S: Final = 180
"""Places nearer than this to the best one are the same place."""
_MANY_LAGS: Final = 600
"""Other places from which on their spread is measured; with fewer it is that of ``_USUAL_VALUES``."""
_USUAL_VALUES: Final = (4.0, 300.0)
"""Independent values of a track of s seconds: the first, and one more for each so many seconds; measured."""
_LEAST_WINDOW_S: Final = 150
_SPIKE_WINDOW_S: Final = 41
_SPIKE, _SPIKE_HZ = 10.0, 0.005
_SPARSE: Final = 7
"""Every so many lags count for the spread; neighbours say the same."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place of the track in the reference: ``lag`` is the index of the reference at the track's first second."""

    lag: int
    correlation: float
    second_lag: int | None
    second_correlation: float
    distance: float
    """In nats; exp(-distance) is about the chance that such a place is a wrong one."""

    @property
    def confidence(self) -> float:
        """1 - exp(-distance): from 0 to 1."""
        return float(-np.expm1(-self.distance))


@dataclass(frozen=True, slots=True)
class Found:
    """The best place, the curve it was read from, and why it is no match (empty where it is one)."""

    place: Place | None
    curve: Curve | None
    reason: str


def find(hum: Hum, reference: Reference) -> Found:
    """The place of a recording, by all of it or else by a part of it."""
    why = unfit(hum)
    if why:
        return Found(None, None, why)
    track = without_spikes(hum.deviation_hz)
    place, curve = place_of(track, reference)
    if place is None:
        return Found(None, curve, _no_overlap(hum, reference))
    if place.distance >= LEAST_DISTANCE:
        return Found(place, curve, "")
    part = _by_parts(track, reference)
    if part is not None:
        return Found(part, curve, "")
    return Found(place, curve, _not_in_the_record(place, reference))


def unfit(hum: Hum) -> str:
    """Why a hum can be compared with nothing; empty where it can."""
    if len(hum.times_s) < LEAST_HEARD_S:
        return f"too short: {hum.duration_s:.0f} s of sound; at least {LEAST_HEARD_S + 16} s are needed"
    if hum.heard_s < _LEAST_SHARE_HEARD * len(hum.times_s):
        best = max(tone.snr_db for tone in hum.tones)
        return (
            f"no hum: near {hum.nominal_hz:g} Hz and its harmonics a line stands out in {hum.heard_s} of "
            f"{len(hum.times_s)} seconds (best median {best:.0f} dB)"
        )
    if hum.heard_s < LEAST_HEARD_S:
        return f"too short: hum is heard in {hum.heard_s} s; at least {LEAST_HEARD_S} are needed"
    return ""


def without_spikes(track: Floats) -> Floats:
    """A track without seconds far off their neighbours: at a cut the phase jumps, and windows there show a spike."""
    there = np.isfinite(track)
    if there.sum() < _SPIKE_WINDOW_S:
        return track
    filled = np.interp(np.arange(len(track)), np.flatnonzero(there), track[there])
    off = np.abs(track - ndimage.median_filter(filled, _SPIKE_WINDOW_S, mode="nearest"))
    usual = float(np.median(off[there]))
    return np.where(off > max(_SPIKE * usual, _SPIKE_HZ), np.nan, track)


def place_of(track: Floats, reference: Reference) -> tuple[Place | None, Curve]:
    """The best place of a track, None where no place can be compared."""
    heard = int(np.isfinite(track).sum())
    curve = correlate(reference, track, max(LEAST_HEARD_S // 2, heard // 2))
    best = int(np.argmax(curve.z))
    z = float(curve.z[best])
    if z <= 0.0:
        return None, curve
    before, after = curve.z[: max(0, best - _NEIGHBOURHOOD_S)], curve.z[best + _NEIGHBOURHOOD_S + 1 :]
    second, second_z = _largest(before, after, best + _NEIGHBOURHOOD_S + 1)
    values = _independent_values(before, after, heard)
    distance = values * (_log_cosh(z) - _log_cosh(second_z))
    second_lag = None if second is None else second + curve.first_lag
    return Place(best + curve.first_lag, float(np.tanh(z)), second_lag, float(np.tanh(second_z)), distance), curve


def _largest(before: NDArray[np.float32], after: NDArray[np.float32], behind: int) -> tuple[int | None, float]:
    """Index and value of the largest value outside the neighbourhood; no index where none is above zero."""
    options = [(int(np.argmax(part)), start, part) for part, start in ((before, 0), (after, behind)) if len(part)]
    if not options:
        return None, 0.0
    at, start, part = max(options, key=lambda option: float(option[2][option[0]]))
    value = float(part[at])
    return (at + start, value) if value > 0.0 else (None, 0.0)


def _independent_values(before: NDArray[np.float32], after: NDArray[np.float32], heard: int) -> float:
    """How many independent values a correlation has: the variance of Fisher's z over wrong places is 1 / (n - 3)."""
    others = np.concatenate((before[::_SPARSE], after[::_SPARSE]))
    others = others[others != 0.0]
    if len(others) * _SPARSE < _MANY_LAGS:
        first, seconds = _USUAL_VALUES
        return first + heard / seconds
    return float(1.0 / max(float(np.mean(np.square(others, dtype=np.float64))), 1e-6) + 3.0)


def _log_cosh(z: float) -> float:
    """The log-likelihood of a correlation tanh(z), for each independent value."""
    return float(np.logaddexp(z, -z) - np.log(2.0))


def _by_parts(track: Floats, reference: Reference) -> Place | None:
    """The place of a part of a track, as of a whole one; None where no part has one.

    A recording of which much was cut out, or that was put together, fits nowhere as a whole.
    """
    parts: list[tuple[int, int]] = []
    for share in (2, 4):
        length = len(track) // share
        if length >= _LEAST_WINDOW_S:
            parts += [(start, length) for start in range(0, len(track) - length + 1, max(1, length // 2))]
    needed = LEAST_DISTANCE + float(np.log(max(1, len(parts))))  # the more parts, the more chances
    best: Place | None = None
    for start, length in parts:
        part = track[start : start + length]
        if np.isfinite(part).sum() < _LEAST_WINDOW_S // 2:
            continue
        place, _ = place_of(part, reference)
        if place is not None and place.distance >= needed and (best is None or place.distance > best.distance):
            second = None if place.second_lag is None else place.second_lag - start
            best = Place(place.lag - start, place.correlation, second, place.second_correlation, place.distance)
    return best


def _no_overlap(hum: Hum, reference: Reference) -> str:
    missing = reference.missing
    gaps = f"; {missing} of its {reference.seconds} seconds are missing" if missing else ""
    return (
        f"not comparable: nowhere does the reference have half of the {hum.heard_s} s of hum beside a clock error "
        f"below 200 ppm{gaps}"
    )


def _not_in_the_record(place: Place, reference: Reference) -> str:
    missing = reference.missing
    gaps = f"; {missing} of {reference.seconds} seconds of the reference are missing" if missing else ""
    return (
        f"not in the record: the best place (correlation {place.correlation:.3f}) stands out from the second best "
        f"({place.second_correlation:.3f}) no more than chance lets it: distance {place.distance:.1f}, needed "
        f"{LEAST_DISTANCE:g}{gaps}"
    )

"""What a recording's hum tells beside a reference: when it was made, and where it was edited."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from services.case.enf.chance import wrong_place_share
from services.case.enf.correlate import Curve
from services.case.enf.edits import Findings, findings
from services.case.enf.extract import WINDOW_S, Hum
from services.case.enf.match import LEAST_DISTANCE, Place, find, place_of, without_spikes
from services.case.enf.pieces import pieces_of
from services.case.enf.reference import Reference
from services.case.enf.track import Fit, Piece, Track

SURE_FROM_S: Final = 600
"""Shorter recordings are told with a warning."""
_MOST_TIMELINE_S: Final = 1_000_000
_LEAST_SHARE: Final = 0.5
_HALF: Final = WINDOW_S / 2.0
_DIGITS: Final = 3


@dataclass(frozen=True, slots=True)
class Analysis:
    """The answer, and what it was read from. ``start_s`` is None where there is no match; ``reason`` then says why."""

    hum: Hum
    reference: Reference
    start_s: float | None
    reason: str
    place: Place | None
    curve: Curve | None
    fit: Fit | None
    found: Findings
    warnings: tuple[str, ...]

    @property
    def confidence(self) -> float:
        """From 0 to 1; of the best place also where it is no match."""
        return 0.0 if self.place is None else max(0.0, self.place.confidence)

    def as_json(self) -> dict[str, Any]:
        """The result of ``gridledger case enf match --json``."""
        return {
            "start_s": None if self.start_s is None else round(self.start_s, _DIGITS),
            "confidence": round(self.confidence, 6),
            "reason": self.reason or None,
            "edits": [
                {"kind": edit.kind, "at_s": round(edit.at_s, 2), "length_s": round(edit.length_s, 2)}
                for edit in self.found.edits
            ],
            "doubts": [
                {"at_s": round(doubt.at_s, 2), "length_s": round(doubt.length_s, 2), "why": doubt.why}
                for doubt in self.found.doubts
            ],
            "warnings": list(self.warnings),
            "place": None if self.place is None else self._place(self.place),
            "fit": None if self.fit is None else self._fit(self.fit),
            "recording": {
                "duration_s": round(self.hum.duration_s, _DIGITS),
                "heard_s": self.hum.heard_s,
                "channel": self.hum.channel,
                "harmonics": [
                    {"harmonic": tone.harmonic, "snr_db": round(tone.snr_db, 1), "used": tone.used}
                    for tone in self.hum.tones
                ],
            },
            "reference": {
                "start_s": round(self.reference.start_s, _DIGITS),
                "seconds": self.reference.seconds,
                "missing": self.reference.missing,
            },
        }

    def _place(self, place: Place) -> dict[str, Any]:
        return {
            "correlation": round(place.correlation, 5),
            "second_correlation": round(place.second_correlation, 5),
            "second_start_s": None if place.second_lag is None else start_of(self.reference, place.second_lag, 0.0),
            "distance": round(place.distance, 2),
            "distance_needed": LEAST_DISTANCE,
        }

    @staticmethod
    def _fit(fit: Fit) -> dict[str, Any]:
        return {
            "offset_mhz": round(1e3 * fit.offset_hz, 3),
            "clock_ppm": round(1e6 * fit.stretch, 1),
            "rms_error_mhz": round(1e3 * fit.noise_hz, 3),
        }


def start_of(reference: Reference, lag: float, stretch: float) -> float:
    """The time, in seconds since 1970, of a recording's first sample; ``lag`` is that of its first window's middle."""
    return reference.start_s + lag - _HALF * (1.0 + stretch)


def analyse(hum: Hum, reference: Reference) -> Analysis:
    """Find the place, then the edits, then judge the place again with the edits undone."""
    first = find(hum, reference)
    if first.reason or first.place is None:
        nothing = Findings((), (), ())
        return Analysis(hum, reference, None, first.reason, first.place, first.curve, None, nothing, ())
    pieces, fit = pieces_of(hum, reference, first.place)
    found = findings(hum, reference, pieces, fit)
    place = _judged_again(hum, reference, found, first.place)
    start = start_of(reference, found.chain[0].lag, fit.stretch)
    if found.edits and found.edits[0].kind == "insertion" and found.edits[0].at_s == 0.0:
        start += found.edits[0].length_s  # what was put in front has no time of its own
    warnings = _warnings(hum, reference, found, place)
    return Analysis(hum, reference, start, "", place, first.curve, fit, found, warnings)


def _judged_again(hum: Hum, reference: Reference, found: Findings, place: Place) -> Place:
    """With each piece at its true time; the place by the whole recording where that cannot be done."""
    chain = found.chain
    if len(chain) == 1:
        return place
    length = round(chain[-1].lag - chain[0].lag) + chain[-1].last + 1
    if length > _MOST_TIMELINE_S:
        return place
    track = np.full(length, np.nan)
    for piece in chain:
        shift = round(piece.lag - chain[0].lag)
        low, high = max(0, piece.first + shift), min(length, piece.last + 1 + shift)
        track[low:high] = hum.deviation_hz[low - shift : high - shift]
    again, _ = place_of(without_spikes(track), reference)
    return place if again is None or again.distance < place.distance else again


def _warnings(hum: Hum, reference: Reference, found: Findings, place: Place) -> tuple[str, ...]:
    warnings = []
    if hum.heard_s < SURE_FROM_S:
        best = max(tone.snr_db for tone in hum.tones)
        share = wrong_place_share(hum.heard_s, best)
        warnings.append(
            f"short: {hum.heard_s} s of hum at {best:.0f} dB. Of synthesised recordings like it, the best place in a "
            f"day was a wrong one in {100 * share:.0f} %; this one's distance of {place.distance:.1f} leaves a chance "
            f"of {np.exp(-place.distance):.1g}"
        )
    together = sum(piece.seconds for piece in found.chain)
    if together < _LEAST_SHARE * len(hum.times_s):
        warnings.append(f"only {together} of {len(hum.times_s)} s of the recording fit the reference in one order")
    missing = sum(_missing(hum, reference, piece) for piece in found.chain)
    if missing:
        warnings.append(f"the reference is missing beside {missing} s of the recording: edits there are not seen")
    return tuple(warnings)


def _missing(hum: Hum, reference: Reference, piece: Piece) -> int:
    return int(np.isnan(Track(hum, reference).expected(piece, 0.0)).sum())

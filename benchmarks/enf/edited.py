"""Edited recordings by SNR: how many edits are found, and how far off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.case.enf import synthesis
from services.case.enf.analysis import analyse
from services.case.enf.extract import extract
from services.case.enf.reference import Reference
from services.case.enf.synthesis import Sound

Floats = NDArray[np.float64]

KINDS: Final = ("none", "cut of 17.3 s", "40 s of another day", "40 s without hum", "40 s of the same recording")
RATE: Final = 700
LENGTH_S: Final = 1_200.0
_CUT_S, _PUT_S = 17.3, 40.0
_HALF_DAY_S: Final = 43_200
_NEAR_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Edited:
    """Recordings of 20 minutes with one edit. ``right``: dated within 1 s, that edit alone told, within 3 s."""

    kind: str
    snr_db: float
    recordings: int
    right: int
    at_error_s: float | None
    length_error_s: float | None


def measure(snrs: Sequence[float], seeds: int, tell: Callable[[str], None]) -> list[Edited]:
    """Each kind at each SNR."""
    found = []
    for kind in KINDS:
        for snr in snrs:
            outcomes = [_one(kind, snr, seed) for seed in range(seeds)]
            right = [errors for is_right, errors in outcomes if is_right]
            errors = [pair for pair in right if pair is not None]
            at, length = (float(np.median([pair[n] for pair in errors])) if errors else None for n in (0, 1))
            found.append(Edited(kind, snr, seeds, len(right), at, length))
        tell(f"{kind}: {seeds} recordings at each SNR")
    return found


def _one(kind: str, snr: float, seed: int) -> tuple[bool, tuple[float, float] | None]:
    random = np.random.default_rng([seed, 12])
    day, other = (synthesis.grid_frequency(seed + offset, _HALF_DAY_S) for offset in (0, 100_000))
    start, at = float(random.uniform(0.0, 40_000.0)), float(random.uniform(0.2, 0.8) * LENGTH_S)
    sound = Sound(rate=RATE, snr_db=snr, clock_ppm=float(random.uniform(-80.0, 80.0)), speech=0.5)
    samples = synthesis.recorded(day, start, LENGTH_S, sound, seed)
    edited, length = _edited(kind, samples, round(at * RATE), other=other, sound=sound, random=random)
    hum = extract([edited[:, np.newaxis]], RATE, 50.0)
    analysis = analyse(hum, Reference(0.0, 50.0, (day - 50.0).astype(np.float32)))
    if analysis.start_s is None or abs(analysis.start_s - start) > 1.0:
        return False, None
    edits = analysis.found.edits
    if kind == KINDS[0]:
        return not edits, None
    if len(edits) != 1 or edits[0].kind != ("deletion" if kind == KINDS[1] else "insertion"):
        return False, None
    errors = abs(edits[0].at_s - at), abs(edits[0].length_s - length)
    return max(errors) <= _NEAR_S, errors


def _edited(
    kind: str, samples: Floats, at: int, *, other: Floats, sound: Sound, random: np.random.Generator
) -> tuple[Floats, float]:
    """The samples with the edit, and its length."""
    if kind == KINDS[0]:
        return samples, 0.0
    if kind == KINDS[1]:
        return np.concatenate((samples[:at], samples[at + round(_CUT_S * RATE) :])), _CUT_S
    if kind == KINDS[2]:
        put = synthesis.recorded(other, float(random.uniform(0.0, 40_000.0)), _PUT_S, sound, 1)
    elif kind == KINDS[3]:
        put = synthesis.silence(_PUT_S, sound, 1)
    else:
        first = int(random.uniform(0.05, 0.9) * (len(samples) - _PUT_S * RATE))
        put = samples[first : first + round(_PUT_S * RATE)]
    return np.concatenate((samples[:at], put, samples[at:])), _PUT_S


def as_json(found: Sequence[Edited]) -> list[dict[str, Any]]:
    """As they are stored."""
    return [asdict(each) for each in found]


def table(found: Sequence[Edited]) -> str:
    """Markdown, a row a kind and SNR."""
    lines = ["| edit | SNR, dB | right | median error of the place, s | of the length, s |", "|---|---|---|---|---|"]
    for each in found:
        at, length = ("" if error is None else f"{error:.2f}" for error in (each.at_error_s, each.length_error_s))
        lines.append(f"| {each.kind} | {each.snr_db:g} | {each.right} of {each.recordings} | {at} | {length} |")
    return "\n".join(lines)

"""Places of recordings by length and SNR: how far off, how often wrong, and what another day gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.case.enf import synthesis
from services.case.enf.correlate import Curve
from services.case.enf.extract import WINDOW_S, Hum, extract
from services.case.enf.match import LEAST_DISTANCE, Place, place_of, without_spikes
from services.case.enf.reference import Reference
from services.case.enf.synthesis import Sound

Floats = NDArray[np.float64]

DAY_S: Final = 86_400
RATE: Final = 700
_NEAR_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Cell:
    """Recordings of one length and SNR. ``wrong_share``: the best place was a wrong one, told or not."""

    length_s: int
    snr_db: float
    line_db: float
    recordings: int
    wrong_share: float
    told_share: float
    told_wrong: int
    error_s: float | None
    other_told: int
    other_distances: tuple[float, ...]


def measure(lengths: Sequence[int], snrs: Sequence[float], seeds: int, tell: Callable[[str], None]) -> list[Cell]:
    """Each seed is a day, a recording of the greatest length in it at each SNR, and another day.

    Shorter recordings are the beginnings of that recording.
    """
    cells = []
    for snr in snrs:
        rows: dict[int, list[tuple[float, Place | None, Place | None]]] = {length: [] for length in lengths}
        lines: list[float] = []
        for seed in range(seeds):
            start, hum, own, other = _recording(seed, snr, max(lengths))
            lines.append(max(tone.snr_db for tone in hum.tones))
            for length in lengths:
                track = without_spikes(hum.deviation_hz[: length - int(WINDOW_S)])
                right, curve = place_of(track, own)
                error = _error(right, curve, start)
                rows[length].append((error, right, place_of(track, other)[0]))
        cells += [_cell(length, snr, float(np.median(lines)), rows[length]) for length in lengths]
        tell(f"SNR {snr:g} dB: {seeds} recordings")
    return cells


def _recording(seed: int, snr: float, length: int) -> tuple[float, Hum, Reference, Reference]:
    random = np.random.default_rng([seed, 11])
    day = synthesis.grid_frequency(seed, DAY_S)
    start = float(random.uniform(0.0, DAY_S - length - 60.0))
    sound = Sound(rate=RATE, snr_db=snr, clock_ppm=float(random.uniform(-80.0, 80.0)), speech=0.5)
    samples = synthesis.recorded(day, start, length, sound, seed)
    hum = extract([samples[:, np.newaxis]], RATE, 50.0)
    return start, hum, _reference(day), _reference(synthesis.grid_frequency(seed + 100_000, DAY_S))


def _reference(day: Floats) -> Reference:
    return Reference(0.0, 50.0, (day - 50.0).astype(np.float32))


def _error(place: Place | None, curve: Curve, start: float) -> float:
    """Seconds that the place is off, between two lags by a parabola."""
    if place is None:
        return np.inf
    at = place.lag - curve.first_lag
    shift = 0.0
    if 0 < at < len(curve.z) - 1:
        below, middle, above = (float(np.tanh(curve.z[at + step])) for step in (-1, 0, 1))
        bend = below - 2.0 * middle + above
        shift = 0.5 * (below - above) / bend if bend < 0.0 else 0.0
    return abs(place.lag + shift - WINDOW_S / 2.0 - start)


def _cell(length: int, snr: float, line: float, rows: list[tuple[float, Place | None, Place | None]]) -> Cell:
    right = [error for error, _, _ in rows if error <= _NEAR_S]
    told = [error for error, place, _ in rows if place is not None and place.distance >= LEAST_DISTANCE]
    distances = [other.distance for _, _, other in rows if other is not None]
    return Cell(
        length,
        snr,
        line,
        len(rows),
        1.0 - len(right) / len(rows),
        len(told) / len(rows),
        sum(error > _NEAR_S for error in told),
        float(np.median(right)) if right else None,
        sum(distance >= LEAST_DISTANCE for distance in distances),
        tuple(round(distance, 3) for distance in distances),
    )


def as_json(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """The cells as they are stored."""
    return [asdict(cell) for cell in cells]


def table(cells: Sequence[Cell]) -> str:
    """Markdown, a row a length and SNR."""
    lines = [
        "| s | SNR, dB | line, dB | wrong best place, % | told, % | wrong told | median error, s | other day told |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for cell in cells:
        error = "" if cell.error_s is None else f"{cell.error_s:.2f}"
        lines.append(
            f"| {cell.length_s} | {cell.snr_db:g} | {cell.line_db:.0f} | {100 * cell.wrong_share:.0f} | "
            f"{100 * cell.told_share:.0f} | {cell.told_wrong} of {cell.recordings} | {error} | "
            f"{cell.other_told} of {cell.recordings} |"
        )
    return "\n".join(lines)


def tail(cells: Sequence[Cell]) -> str:
    """How far the distances of wrong places follow exp(-d), as Markdown."""
    distances = np.array([distance for cell in cells for distance in cell.other_distances])
    lines = ["| distance d | share of wrong places beyond d | exp(-d) |", "|---|---|---|"]
    lines += [f"| {d} | {np.mean(distances > d):.4f} | {np.exp(-d):.4f} |" for d in (1, 2, 3, 4, 5, 6, 7, 8)]
    return "\n".join([*lines, "", f"{len(distances)} places; the largest distance was {distances.max():.1f}."])

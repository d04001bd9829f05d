"""Edits of a recording, read from its pieces: what was cut out of it, what was put into it.

Sound that was recorded once runs through time in its own order. So the pieces that belong together are the longest
sequence in which true time only grows; what lies between them was put in. From one such piece to the next the lag
steps: up by what is missing (a deletion), down by what was put in (an insertion). The place is then sought to a tenth
of a second in the phase of the hum, which the reference predicts before and behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from services.case.enf.extract import WINDOW_S, Hum
from services.case.enf.phase import Phases
from services.case.enf.reference import Reference
from services.case.enf.track import Fit, Piece

Floats = NDArray[np.float64]

LEAST_EDIT_S: Final = 2.0
"""Shorter ones are not told: a step of the lag is measured to some tenths of a second."""
_SMEAR_S: Final = 18
"""Windows of 16 s blur the ends of a stretch by so much."""
_LEAST_FOREIGN_S: Final = 30
"""A shorter stretch that fits nowhere, without a step of the lag, may be a disturbance."""
_LEAST_TOLD_S: Final = 20
_HEARD_SHARE: Final = 0.8
_STEP: Final = 5
"""Seconds that one more piece must bring."""


@dataclass(frozen=True, slots=True)
class Edit:
    """``at_s`` in the recording; ``length_s`` of what is missing there, or of what was put in from there on."""

    kind: Literal["deletion", "insertion"]
    at_s: float
    length_s: float


@dataclass(frozen=True, slots=True)
class Doubt:
    """A stretch of the recording that fits nowhere and is still no proof of an edit."""

    at_s: float
    length_s: float
    why: str


@dataclass(frozen=True, slots=True)
class Findings:
    """The pieces that belong together, in order, and what lies between them."""

    chain: tuple[Piece, ...]
    edits: tuple[Edit, ...]
    doubts: tuple[Doubt, ...]


def findings(hum: Hum, reference: Reference, pieces: list[Piece], fit: Fit) -> Findings:
    """The edits that the pieces show."""
    chain = chain_of(pieces)
    reader = _Reader(hum, fit, Phases(hum, reference, fit))
    edits: list[Edit] = []
    doubts: list[Doubt] = []
    for found in (reader.start(chain[0]), *map(reader.between, chain, chain[1:]), reader.end(chain[-1])):
        edits += [each for each in found if isinstance(each, Edit)]
        doubts += [each for each in found if isinstance(each, Doubt)]
    return Findings(tuple(chain), tuple(edits), tuple(doubts))


def chain_of(pieces: list[Piece]) -> list[Piece]:
    """The pieces of most seconds in which true time only grows; seconds that come twice count once."""
    worth = [float(piece.seconds) for piece in pieces]
    before: list[int | None] = [None] * len(pieces)
    for k, piece in enumerate(pieces):
        for i in range(k):
            value = worth[i] + piece.seconds - _twice(pieces[i], piece) - _STEP
            if value > worth[k]:
                worth[k], before[k] = value, i
    at: int | None = int(np.argmax(worth))
    chain = []
    while at is not None:
        chain.append(pieces[at])
        at = before[at]
    return chain[::-1]


def _twice(one: Piece, other: Piece) -> float:
    """Seconds of true time that both pieces have."""
    return max(0.0, one.lag + one.last + 1.0 - (other.lag + other.first))


class _Reader:
    """What lies between two pieces, before the first and behind the last."""

    def __init__(self, hum: Hum, fit: Fit, phases: Phases) -> None:
        self._hum, self._fit, self._phases = hum, fit, phases

    def between(self, one: Piece, other: Piece) -> list[Edit | Doubt]:
        """The edits from one piece to the next."""
        step, gap = other.lag - one.lag, other.first - one.last - 1
        at = one.last + 0.5 + WINDOW_S / 2.0
        missing = step + gap
        is_foreign = gap >= _LEAST_FOREIGN_S and self._heard(one.last + 1, other.first)
        if step <= -LEAST_EDIT_S and not (missing > _SMEAR_S and is_foreign):
            return [Edit("insertion", self._phases.insertion(one, other), -step)]
        if is_foreign and missing > _SMEAR_S:
            start, end = self._phases.foreign(one, other)
            length = end - start
            return [Edit("insertion", start, length), Edit("deletion", end, step + length)]
        if step >= LEAST_EDIT_S:
            return [Edit("deletion", self._phases.deletion(one, other), step)]
        return self._doubt(at, gap)

    def start(self, first: Piece) -> list[Edit | Doubt]:
        """What stands before the first piece."""
        if first.first >= _LEAST_FOREIGN_S and self._heard(0, first.first):
            return [Edit("insertion", 0.0, self._phases.begin(first))]
        return self._doubt(0.0, first.first)

    def end(self, last: Piece) -> list[Edit | Doubt]:
        """What stands behind the last piece."""
        seconds = len(self._hum.deviation_hz) - last.last - 1
        if seconds >= _LEAST_FOREIGN_S and self._heard(last.last + 1, len(self._hum.deviation_hz)):
            at = self._phases.end(last)
            return [Edit("insertion", at, self._hum.duration_s - at)]
        return self._doubt(last.last + WINDOW_S / 2.0, seconds)

    def _heard(self, first: int, behind: int) -> bool:
        """Whether there is hum in these seconds, so that it is another one."""
        return float(np.isfinite(self._hum.deviation_hz[first:behind]).mean()) >= _HEARD_SHARE

    @staticmethod
    def _doubt(at: float, seconds: int) -> list[Edit | Doubt]:
        if seconds < _LEAST_TOLD_S:
            return []
        return [Doubt(at, float(seconds), "no hum that fits the reference, and the time runs on behind it")]

"""The schedule of a scenario: which change comes at which time. It has no clock: who runs it says what time it is.

Times are seconds since the stream began.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from gridledger.grid.case import FloatArray

RAMP_STEP_S = 0.1
"""How often a ramp changes its loads; a ramp of more than MAX_RAMP_STEPS of these takes longer steps."""
MAX_RAMP_STEPS = 1000


@dataclass(frozen=True, slots=True, eq=False)
class LoadChange:
    """Demand that replaces that of ``buses``: rows of MW, MVAr, ``share`` of the way from ``start`` to ``end``.

    A step has a share of 1. Of a ramp's steps only the first has a ``title``.
    """

    at_s: float
    title: str
    buses: tuple[int, ...]
    start: FloatArray = field(repr=False)
    end: FloatArray = field(repr=False)
    share: float = 1.0

    @property
    def kind(self) -> str:
        """In one word, as runs record it."""
        return "load"

    @property
    def loads(self) -> dict[int, tuple[float, float]]:
        """MW, MVAr by bus."""
        rows = self.end if self.share >= 1.0 else self.start + self.share * (self.end - self.start)
        return {bus: (p, q) for bus, (p, q) in zip(self.buses, rows.tolist(), strict=True)}


@dataclass(frozen=True, slots=True)
class LineChange:
    """A branch (f, t, n), the n-th between these buses, that is tripped (``out``) or closed."""

    at_s: float
    title: str
    branch: tuple[int, int, int]
    out: bool

    @property
    def kind(self) -> str:
        """In one word."""
        return "outage" if self.out else "restored"


@dataclass(frozen=True, slots=True)
class VvcChange:
    """What some buses may inject from now on, MVAr by bus; what they injected stays."""

    at_s: float
    title: str
    mvar: Mapping[int, float]

    @property
    def kind(self) -> str:
        """In one word."""
        return "resources"


Change = LoadChange | LineChange | VvcChange


class Schedule:
    """Changes in the order of time; those of one time in the order given."""

    def __init__(self, changes: Iterable[Change] = ()) -> None:
        self.changes: tuple[Change, ...] = tuple(sorted(changes, key=lambda change: change.at_s))

    def __len__(self) -> int:
        return len(self.changes)

    def moments(self) -> Iterator[tuple[float, Sequence[Change]]]:
        """Each time at which something changes, and what."""
        for at_s, changes in groupby(self.changes, key=lambda change: change.at_s):
            yield at_s, tuple(changes)

    def stretched(self, factor: float) -> Schedule:
        """The same with every time multiplied."""
        return Schedule(replace(change, at_s=change.at_s * factor) for change in self.changes)

    @property
    def loads(self) -> dict[int, tuple[float, float]]:
        """The demand of every bus that is changed, when all is done."""
        found: dict[int, tuple[float, float]] = {}
        for change in self.changes:
            if isinstance(change, LoadChange):
                found |= change.loads
        return found


def ramp(
    at_s: float, until_s: float, title: str, *, buses: tuple[int, ...], start: FloatArray, end: FloatArray
) -> Iterator[LoadChange]:
    """The steps of a ramp: the first one a step after ``at_s``, the last one at ``until_s``."""
    count = min(MAX_RAMP_STEPS, max(1, round((until_s - at_s) / RAMP_STEP_S)))
    for number in range(1, count + 1):
        share = number / count
        yield LoadChange(
            at_s + share * (until_s - at_s) if number < count else until_s,
            title if number == 1 else "",
            buses,
            start,
            end,
            share,
        )

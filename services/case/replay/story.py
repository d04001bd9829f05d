"""What a replay is made of: who and what there is, what happens when, how fast it is played, and the truth about it.

Times of a story are seconds since its begin. Nothing here reads a clock or does I/O: a story is a function of its seed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Login:
    """An operator's certificate opens a session."""

    at_s: float
    session: str
    operator: str
    terminal: str
    section: str
    reason: str


@dataclass(frozen=True, slots=True)
class Logout:
    """Closes it."""

    at_s: float
    session: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Denial:
    """Somebody was not let in; an operator of ``organisation`` reports it."""

    at_s: float
    organisation: str
    operator: str
    terminal: str
    why: str


@dataclass(frozen=True, slots=True)
class Order:
    """A command in a session. The device says that it carried it out as soon as the command is on the ledger, if it is
    one that does (``obeyed``)."""

    at_s: float
    session: str
    device: str
    command: str
    value: str | None = None
    obeyed: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """A device says an event. ``ahead_s``: by how much its clock is ahead, seconds of the replay."""

    at_s: float
    device: str
    kind: str
    body: Mapping[str, Any] = field(default_factory=dict)
    ahead_s: float = 0.0


Happening = Login | Logout | Denial | Order | Said


@dataclass(frozen=True, slots=True)
class Device:
    """A device as it is registered."""

    device: str
    type: str
    section: str
    site: str
    vendor: str
    model: str


@dataclass(frozen=True, slots=True)
class Cast:
    """Operators with their organisations, and devices, by name."""

    operators: Mapping[str, str]
    devices: Mapping[str, Device]


@dataclass(frozen=True, slots=True)
class Planted:
    """Something that must be found: by which rule, about whom (some of a finding's subject), and when it happened."""

    what: str
    rule: str
    subject: Mapping[str, str]
    at_s: float


@dataclass(frozen=True, slots=True)
class Truth:
    """All that must be found, by time; the openings in their order; and what may be accused beside: a finding about
    others than these sessions, devices and terminals accuses somebody who did nothing."""

    planted: tuple[Planted, ...]
    openings: tuple[str, ...]
    sessions: frozenset[str]
    devices: frozenset[str]
    terminals: frozenset[str]


@dataclass(frozen=True, slots=True)
class Story:
    """A made-up week: what happens, by time, and the truth about it."""

    seed: int
    length_s: float
    cast: Cast
    happenings: tuple[Happening, ...]
    truth: Truth
    pace: Pace


@dataclass(frozen=True, slots=True)
class Pace:
    """How a story's time passes when it is played: straight between knots (second of the story, second of the replay).

    A day without events is played fast, and the hour in which all happens slowly, so that a command's way through the
    ledger stays short beside what is between two of them.
    """

    knots: tuple[tuple[float, float], ...]

    @property
    def length_s(self) -> float:
        """How long the replay takes."""
        return self.knots[-1][1]

    def replay_s(self, story_s: float) -> float:
        """When a second of the story is played."""
        return _straight(story_s, self.knots)

    def story_s(self, replay_s: float) -> float:
        """Which second of the story is played then."""
        return _straight(replay_s, [(played, told) for told, played in self.knots])

    def faster(self, story_s: float) -> float:
        """How much faster than time the story is played there."""
        (told, played), (next_told, next_played) = _around(story_s, self.knots)
        return (next_told - told) / (next_played - played)


def _around(value: float, knots: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], tuple[float, float]]:
    place = min(max(bisect_right([knot[0] for knot in knots], value), 1), len(knots) - 1)
    return knots[place - 1], knots[place]


def _straight(value: float, knots: Sequence[tuple[float, float]]) -> float:
    (x, y), (next_x, next_y) = _around(value, knots)
    return y + (value - x) * (next_y - y) / (next_x - x)

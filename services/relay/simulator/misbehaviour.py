"""What a relay can do wrong, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final, Literal, get_args

from gridledger.field.capture import Capture, Reading, render_capture

Kind = Literal["silent", "slow", "reset", "repeat", "two-faced", "garbage", "skewed"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
SHIFTS_S: Final[dict[str, int]] = {"skewed": 90, "repeat": -60}
"""By how much a relay's clock is wrong, seconds: ahead, or standing for a minute."""
MAX_MINUTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Spell:
    """One kind of misbehaviour over the minutes from ``from_minute`` to ``until_minute``, which is not in it."""

    kind: Kind
    from_minute: int
    until_minute: int


class Misbehaviour:
    """The spell that runs or is to come; there is one at a time. Minutes are UTC epoch minutes of the relay's clock."""

    def __init__(self, spell: Spell | None = None) -> None:
        self._spell = spell

    def begin(self, kind: Kind | None, from_minute: int, minutes: int) -> Spell | None:
        """Misbehave from a minute on; None ends what runs."""
        self._spell = None if kind is None else Spell(kind, from_minute, from_minute + minutes)
        return self._spell

    def at(self, second: float) -> Kind | None:
        """What is done wrong at a second of the relay's clock (UTC, before any shift)."""
        spell = self._spell
        if spell is None or not spell.from_minute <= second // 60 < spell.until_minute:
            return None
        return spell.kind


def other_face(capture: Capture) -> Capture:
    """What every second asker is told of a capture: the first reading's Vab differs in its last digit."""
    first, *others = capture.readings
    vab, *rest = first.values
    changed = Reading(first.time, (round(vab + 0.001, 3), *rest))
    return Capture(capture.time, capture.relay, capture.substation, capture.faults, (changed, *others))


def garbage(capture: Capture, random: Random) -> bytes:
    """A capture's bytes as a broken relay writes them: noise, cut short, or a number that is none."""
    whole = render_capture(capture).encode()
    match random.randrange(3):
        case 0:
            return random.randbytes(len(whole))
        case 1:
            return whole[: len(whole) // 2]
        case _:
            return whole.replace(b";Ia;", b";Ia;#", 1)

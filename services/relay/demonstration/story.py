"""What happens in which minute of the demonstration, and who plays what. Minutes are numbered from 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

KILLED_IN: Final = 4
SILENT_IN: Final = (6, 7)
LIE_IN: Final = 8
TWO_FACES_IN: Final = 9
BACK_IN: Final = 10
CUT_OFF_IN: Final = 11
MADE_UP_IN: Final = 12
LEAST_MINUTES: Final = 12


@dataclass(frozen=True, slots=True)
class Cast:
    """The servers by the part that they play: ``killed`` and later cut off from its peer, ``liar`` attests another
    text, ``racer`` records a made-up one."""

    servers: tuple[str, ...]
    killed: str
    liar: str
    racer: str


def cast_of(servers: Sequence[str]) -> Cast:
    """The parts of a record's servers, of which there are four."""
    first, killed, liar, racer = servers
    return Cast((first, killed, liar, racer), killed, liar, racer)


def remark(number: int, cast: Cast) -> str:
    """What befalls a minute, in a few words."""
    return {
        KILLED_IN: f"server {cast.killed} is killed (kill -9)",
        SILENT_IN[0] - 1: "the relay falls silent at its end",
        **dict.fromkeys(SILENT_IN, "the relay answers nobody"),
        LIE_IN: f"server {cast.liar} attests another text",
        TWO_FACES_IN: "the relay tells two texts",
        BACK_IN: f"server {cast.killed} is back, and catches up",
        CUT_OFF_IN: f"the peer of {cast.killed} is cut off",
        MADE_UP_IN: f"server {cast.racer} records a made-up text first",
    }.get(number, "")


def is_timed(number: int, winner: str, cast: Cast) -> bool:
    """Whether a minute's update time counts: the relay answered when the minute was complete, what was recorded came
    from it, and the winner's own peer was there to tell."""
    is_silent = SILENT_IN[0] - 1 <= number < SILENT_IN[-1]
    is_cut_off = number == CUT_OFF_IN and winner == cast.killed
    return not is_silent and number != MADE_UP_IN and not is_cut_off

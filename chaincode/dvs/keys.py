"""Where things lie in the world state. Digits are padded, so that keys ascend as their numbers do."""

from __future__ import annotations

from typing import Final

TIME_DIGITS: Final = 16
ACTION_DIGITS: Final = 8

MERGE_INDEX: Final = "merge/0"


def group(name: str) -> str:
    """The record of a group without its matrices; read for every frame."""
    return f"group/{name}"


def matrix(name: str) -> str:
    """The matrices of a group's record; read on an alarm that may inject."""
    return f"matrix/{name}"


def check(name: str) -> str:
    """Shunts and branches of a record with ``check``; read for every frame of such a group."""
    return f"check/{name}"


def vvc(name: str) -> str:
    """The VVC list of a group, its count of actions and to which merge it is lent; read on an alarm."""
    return f"vvc/{name}"


def standing(name: str) -> str:
    """The injections of a group that stand; read for frames of a group whose record has ``release``."""
    return f"standing/{name}"


def vsi(name: str, time: int) -> str:
    """The result of one frame. ``time``: microseconds."""
    return f"vsi/{name}/{time:0{TIME_DIGITS}d}"


def action(name: str, number: int) -> str:
    """One action of a group: its frame's time and its control. ``number``: 1, 2, ..."""
    return f"action/{name}/{number:0{ACTION_DIGITS}d}"


def returned(name: str) -> str:
    """The number of the last merge that a group is back from, on the main channel; read when a neighbour is chosen."""
    return f"returned/{name}"


def merge(number: int) -> str:
    """One merge. ``number``: 1, 2, ...; :data:`MERGE_INDEX` has the last number, and which group is in which merge."""
    return f"merge/{number}"

"""Members of what a chaincode wrote. A chaincode may write anything, so each is judged, and its size bounded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite
from typing import Any, Final, NoReturn

MAX_BUSES: Final = 5000
"""Most buses of one frame that are read."""
MAX_INTEGER: Final = 2**53
MAX_TEXT: Final = 1024
GROUP: Final = re.compile(r"[1-9][0-9]{0,5}(?:_[1-9][0-9]{0,5}){0,31}")
KIND: Final = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_MAX_KIND: Final = 32


class UnreadableError(ValueError):
    """What was written is not of the form that its function promises; the text says where."""


def unreadable(where: str, what: str) -> NoReturn:
    """Say what is wrong."""
    raise UnreadableError(f"{where} {what}")


def members_of(value: Any, where: str) -> Mapping[str, Any]:
    """An object."""
    if type(value) is not dict:
        unreadable(where, "is no object")
    return value


def list_of(value: Any, where: str) -> list[Any]:
    """A list that is not too long."""
    if type(value) is not list or len(value) > MAX_BUSES:
        unreadable(where, f"is no list of at most {MAX_BUSES}")
    return value


def number(value: Any, where: str) -> float:
    """A finite number."""
    if type(value) is int and -MAX_INTEGER < value < MAX_INTEGER:
        return float(value)
    if type(value) is not float or not isfinite(value):
        unreadable(where, "is no number")
    return value


def integer(value: Any, where: str) -> int:
    """An integer from 0 to 2^53."""
    if type(value) is not int or not 0 <= value < MAX_INTEGER:
        unreadable(where, "is no integer from 0 to 2^53")
    return value


def text(value: Any, where: str, most: int = MAX_TEXT) -> str:
    """A text, cut where it is too long."""
    if type(value) is not str:
        unreadable(where, "is no text")
    return value[:most]


def text_or_none(value: Any, where: str) -> str | None:
    """A text or null."""
    return None if value is None else text(value, where)


def group_id(value: Any, where: str = "group") -> str:
    """The id of a group, single or merged of at most 32."""
    if type(value) is not str or not GROUP.fullmatch(value):
        unreadable(where, "is no group id")
    return value


def kind_name(value: Any, where: str = "kind") -> str:
    """A kind of alarm."""
    if type(value) is not str or len(value) > _MAX_KIND or not KIND.fullmatch(value):
        unreadable(where, "is no kind of alarm")
    return value


def amounts(value: Any, where: str) -> dict[int, float]:
    """Amounts by bus, whose numbers are decimal names."""
    named = members_of(value, where)
    if len(named) > MAX_BUSES:
        unreadable(where, f"has more than {MAX_BUSES} members")
    found = {}
    for name, amount in named.items():
        if len(name) > 16 or not (name.isascii() and name.isdigit()):  # noqa: PLR2004 - the digits of 2^53
            unreadable(where, "has a member that is no bus number")
        found[int(name)] = number(amount, where)
    return found

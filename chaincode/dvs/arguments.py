"""What callers hand over: the checks that are the grid's own. Every refusal names the field.

A number is a JSON integer or a JSON number with point or exponent, converted to binary64 once, here. An integer is a
JSON integer only. Booleans, strings and null are neither.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from math import isfinite
from typing import Any, Final

from gridledger.contract.arguments import refuse, shown

#: Times (microseconds) and all other integers lie below this: 2^53, where binary64 stops being exact.
INTEGER_LIMIT: Final = 2**53
#: Largest entry of a VVC list, p.u.
VVC_LIMIT: Final = 1e6
#: Longest channel name and transaction id that is kept, characters.
NAME_LIMIT: Final = 128

_MAX_GROUP_CHARACTERS: Final = 512
_GROUP: Final = re.compile(r"[1-9][0-9]*(?:_[1-9][0-9]*)*")


def items(value: Any, where: str) -> list[Any]:
    """``value`` itself if it is a JSON array."""
    if type(value) is not list:
        refuse(where, f"must be an array, not {shown(value)}")
    return value


def number(value: Any, where: str) -> float:
    """``value`` as binary64, -0 as 0; refused where it is no number or beyond binary64."""
    if type(value) is int:
        try:
            return float(value)
        except OverflowError:
            refuse(where, "is beyond binary64")
    if type(value) is not float or not isfinite(value):
        refuse(where, f"must be a number, not {shown(value)}")
    return value + 0.0


def number_within(value: Any, where: str, low: float, high: float) -> float:
    """A number with ``low`` <= value <= ``high``."""
    converted = number(value, where)
    if not low <= converted <= high:
        refuse(where, f"must lie within {low:g} and {high:g}, not {shown(value)}")
    return converted


def integer(value: Any, where: str, low: int = 0, high: int = INTEGER_LIMIT - 1) -> int:
    """A JSON integer with ``low`` <= value <= ``high``."""
    if type(value) is not int:
        refuse(where, f"must be an integer, not {shown(value)}")
    if not low <= value <= high:
        refuse(where, f"must lie within {low} and {high}, not {shown(value)}")
    return value


def text(value: Any, where: str) -> str:
    """A string of 1 to 128 characters."""
    if type(value) is not str or not 1 <= len(value) <= NAME_LIMIT:
        refuse(where, f"must be a string of 1 to {NAME_LIMIT} characters, not {shown(value)}")
    return value


def group_id(value: Any, where: str = "group") -> str:
    """The id of a single group ("2") or of a merged one ("1_2_10": components ascending)."""
    if type(value) is not str or len(value) > _MAX_GROUP_CHARACTERS or not _GROUP.fullmatch(value):
        refuse(where, f'must be a group id such as "2" or "1_2", not {shown(value)}')
    if "_" in value:
        numbers = [int(part) for part in value.split("_")]
        if any(one >= two for one, two in pairwise(numbers)):
            refuse(where, f"the components of a merged id ascend, not {shown(value)}")
    return value


def single_group_id(value: Any, where: str = "group") -> str:
    """The id of a single group."""
    if "_" in group_id(value, where):
        refuse(where, f"must be a single group, not the merged {shown(value)}")
    return str(value)


def components_of(group: str) -> list[str]:
    """The single groups of an id, in ascending numeric order."""
    return group.split("_")


def merged_id(groups: Iterable[str]) -> str:
    """The id of the merge of single groups."""
    return "_".join(sorted(groups, key=int))


def vvc_list(value: Any, where: str, loads: Iterable[int], also: Iterable[int] = ()) -> dict[str, float]:
    """A VVC list, p.u. per load bus, complete (absent is 0) and in ascending bus number.

    ``loads``: the group's load buses. ``also``: buses that may be named although they are none of these now. Any other
    key is refused.
    """
    if type(value) is not dict:
        refuse(where, f"must be an object of load-bus numbers and p.u. values, not {shown(value)}")
    named = {*loads, *(bus for bus in also if str(bus) in value)}
    complete = {str(bus): 0.0 for bus in sorted(named)}
    for key, amount in value.items():
        if key not in complete:
            refuse(f"{where}.{shown(key)[1:-1]}", "is no load bus of the group")
        complete[key] = number_within(amount, f"{where}.{key}", 0.0, VVC_LIMIT)
    return complete

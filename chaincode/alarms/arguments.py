"""What callers hand over: the checks that are this contract's own. Every refusal names the field."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any, Final

from gridledger.contract.arguments import integer, refuse, shown

from . import keys

Record = dict[str, Any]

#: Longest note and reason, characters.
MAX_REMARK: Final = 1024
#: Longest that a source is shelved, s.
MAX_SHELVED_S: Final = 24 * 3600
TIME_LIMIT_US: Final = 10**keys.TIME_DIGITS

_MAX_GROUP_CHARACTERS: Final = 512
_GROUP: Final = re.compile(r"[1-9][0-9]*(?:_[1-9][0-9]*)*")
_KIND: Final = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_MAX_KIND_CHARACTERS: Final = 32


def group_id(value: Any, where: str = "group") -> str:
    """The id of a group of ``dvs``, single ("2") or merged ("1_2_10": components ascending)."""
    if type(value) is not str or len(value) > _MAX_GROUP_CHARACTERS or not _GROUP.fullmatch(value):
        refuse(where, f'must be a group id such as "2" or "1_2", not {shown(value)}')
    if any(int(one) >= int(two) for one, two in pairwise(value.split("_"))):
        refuse(where, f"the components of a merged id ascend, not {shown(value)}")
    return value


def kind_name(value: Any, where: str = "kind") -> str:
    """A kind of alarm."""
    if type(value) is not str or not is_kind(value):
        refuse(where, f'must be a kind of alarm such as "vsi" or "no_data", not {shown(value)}')
    return value


def is_kind(value: str) -> bool:
    """Whether it is a kind of alarm: words of small letters and digits, joined by "_", 32 characters at most."""
    return len(value) <= _MAX_KIND_CHARACTERS and _KIND.fullmatch(value) is not None


def time_us(value: Any, where: str) -> int:
    """A time, microseconds since 1970."""
    return integer(value, where, 0, TIME_LIMIT_US - 1)


def source(argument: Record) -> tuple[str, str]:
    """The group and the kind that an argument names."""
    return group_id(argument["group"]), kind_name(argument["kind"])

"""What callers hand over: the checks that are the relay's own. Every refusal names the field."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from math import isfinite
from typing import Any, Final

from gridledger.contract.arguments import integer, refuse, shown

#: Minutes since 1970 lie below this, in the year 9575: all have a date of four digits in the year.
MINUTE_LIMIT: Final = 4_000_000_000
HOUR_LIMIT: Final = MINUTE_LIMIT // 60
#: Longest address of a relay and reason of a silence, characters.
MAX_REMARK: Final = 256
#: Largest number in a record, either sign.
NUMBER_LIMIT: Final = 1e9

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - UTC; what is written of it says so


def minute_shown(minute: int) -> str:
    """A minute as a message tells it: the number, and what it is in UTC."""
    return f"{minute} ({(_EPOCH + timedelta(minutes=minute)).isoformat(timespec='minutes')}Z)"


def number(value: Any, where: str) -> float:
    """A number within :data:`NUMBER_LIMIT`, as binary64."""
    if type(value) not in (int, float) or not isfinite(value) or not -NUMBER_LIMIT <= value <= NUMBER_LIMIT:
        refuse(where, f"must be a number within {-NUMBER_LIMIT:g} and {NUMBER_LIMIT:g}, not {shown(value)}")
    return float(value) + 0.0


def identifier(value: Any, where: str) -> str:
    """The id of a relay or server."""
    if type(value) is not str or not _ID.fullmatch(value):
        refuse(where, f'must be an id such as "Rele_1" (A-Z a-z 0-9 _ -, 32 at most), not {shown(value)}')
    return value


def minute_number(value: Any, where: str = "minute") -> int:
    """A minute of UTC, counted from 1970."""
    return integer(value, where, 0, MINUTE_LIMIT - 1)


def hour_number(value: Any, where: str = "hour") -> int:
    """An hour of UTC, counted from 1970."""
    return integer(value, where, 0, HOUR_LIMIT - 1)

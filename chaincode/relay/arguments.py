"""What callers hand over: the checks that all functions share. Every refusal names the field."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from math import isfinite
from typing import Any, Final, NoReturn

from gridledger.contract import ContractError

from .grammar import MAX_NAME, UNSEEN

#: Minutes since 1970 lie below this, in the year 9575: all have a date of four digits in the year.
MINUTE_LIMIT: Final = 4_000_000_000
HOUR_LIMIT: Final = MINUTE_LIMIT // 60
#: Longest address of a relay and reason of a silence, characters.
MAX_REMARK: Final = 256
#: Largest number in a record, either sign.
NUMBER_LIMIT: Final = 1e9

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - UTC; what is written of it says so
_SHOWN: Final = 60


def refuse(field: str, why: str) -> NoReturn:
    """Refuse the whole call; nothing of it is written."""
    raise ContractError(f"{field}: {why}")


def shown(value: object) -> str:
    """A value as a message quotes it: short."""
    text = ascii(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def moment(time_us: int) -> str:
    """A time as a message tells it: UTC, whole seconds."""
    return (_EPOCH + timedelta(seconds=time_us // 1_000_000)).isoformat() + "Z"


def minute_shown(minute: int) -> str:
    """A minute as a message tells it: the number, and what it is in UTC."""
    return f"{minute} ({(_EPOCH + timedelta(minutes=minute)).isoformat(timespec='minutes')}Z)"


def members(value: Any, where: str, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    """``value`` itself if it is an object with all ``required`` members, and no others than those and ``optional``.

    ``where``: how a message names the object, "" for the argument itself.
    """
    if type(value) is not dict:
        refuse(where or "argument", f"must be a JSON object, not {shown(value)}")
    prefix = where + "." if where else ""
    for name in required:
        if name not in value:
            refuse(prefix + name, "is missing")
    for name in value:
        if name not in required and name not in optional:
            refuse(prefix + shown(name)[1:-1], "is no field here")
    return value


def items(value: Any, where: str, most: int) -> list[Any]:
    """``value`` itself if it is a JSON array of 1 to ``most`` values."""
    if type(value) is not list or not 1 <= len(value) <= most:
        refuse(where, f"must be an array of 1 to {most}, not {shown(value)}")
    return value


def integer(value: Any, where: str, low: int, high: int) -> int:
    """A JSON integer with ``low`` <= value <= ``high``."""
    if type(value) is not int:
        refuse(where, f"must be an integer, not {shown(value)}")
    if not low <= value <= high:
        refuse(where, f"must lie within {low} and {high}, not {shown(value)}")
    return value


def number(value: Any, where: str) -> float:
    """A number within :data:`NUMBER_LIMIT`, as binary64."""
    if type(value) not in (int, float) or not isfinite(value) or not -NUMBER_LIMIT <= value <= NUMBER_LIMIT:
        refuse(where, f"must be a number within {-NUMBER_LIMIT:g} and {NUMBER_LIMIT:g}, not {shown(value)}")
    return float(value) + 0.0


def choice(value: Any, where: str, choices: Iterable[Any]) -> Any:
    """One of ``choices``, of the same type."""
    allowed = list(choices)
    if not any(type(value) is type(one) and value == one for one in allowed):
        refuse(where, f"must be {' or '.join(map(str, allowed))}, not {shown(value)}")
    return value


def name(value: Any, where: str, most: int = MAX_NAME, least: int = 1) -> str:
    """A string without characters that nobody sees, and without blanks at its ends."""
    if type(value) is not str or not least <= len(value) <= most:
        refuse(where, f"must be a string of {least} to {most} characters, not {shown(value)}")
    if unseen := UNSEEN.search(value):
        refuse(where, f"has a character that nobody sees: U+{ord(unseen.group()):04X}")
    if value != value.strip(" "):
        refuse(where, "begins or ends with a blank")
    return value


def identifier(value: Any, where: str) -> str:
    """The id of a relay or server."""
    if type(value) is not str or not _ID.fullmatch(value):
        refuse(where, f'must be an id such as "Rele_1" (A-Z a-z 0-9 _ -, 32 at most), not {shown(value)}')
    return value


def sha256(value: Any, where: str = "sha256") -> str:
    """A SHA-256, hexadecimal, small letters."""
    if type(value) is not str or not _SHA256.fullmatch(value):
        refuse(where, f"must be 64 hexadecimal digits in small letters, not {shown(value)}")
    return value


def minute_number(value: Any, where: str = "minute") -> int:
    """A minute of UTC, counted from 1970."""
    return integer(value, where, 0, MINUTE_LIMIT - 1)


def hour_number(value: Any, where: str = "hour") -> int:
    """An hour of UTC, counted from 1970."""
    return integer(value, where, 0, HOUR_LIMIT - 1)

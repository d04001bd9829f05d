"""Checks of what callers hand over, for contracts whose functions take one JSON object. Every refusal names the field.

Declared types (:mod:`gridledger.contract.annotations`) judge a value's type alone; these judge its bounds too, and any
member of any depth. Whatever is no such value is a :class:`ContractError`. Its text quotes values by ``ascii``, so that
it is the same with every version of Python.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final, NoReturn, TypeVar

from gridledger import jsontext
from gridledger.contract.errors import ContractError
from gridledger.errors import MalformedJSON
from gridledger.jsontext import MAX_VALUE_DEPTH

__all__ = [
    "UNSEEN",
    "choice",
    "integer",
    "items",
    "json_object",
    "members",
    "moment",
    "mspid",
    "name",
    "refuse",
    "sha256",
    "shown",
    "text",
]

_Choice = TypeVar("_Choice")

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MSPID: Final = re.compile(r"[A-Za-z0-9.-]{1,128}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - UTC; what is written of it says so
_SHOWN: Final = 60

#: By ranges of code points, as Python's versions know different versions of Unicode. ``gridledger.field.grammar`` has
#: the same ones: it imports nothing of GridLedger.
_UNSEEN_RANGES: Final = (
    "\x00-\x1f\x7f-\xa0"  # control characters, no-break space
    "\xad\u034f\u061c"  # soft hyphen, grapheme joiner, Arabic letter mark
    "\u115f\u1160\u3164\uffa0"  # Hangul fillers
    "\u1680\u2000-\u200f\u2028-\u202f\u205f\u3000"  # spaces, zero widths, ends of lines, marks of direction
    "\u17b4\u17b5\u180b-\u180f\ufe00-\ufe0f"  # Khmer inherent vowels, variation selectors
    "\u2060-\u206f\u2800\ufeff\ufff0-\ufffb"  # joiners, isolates, blank Braille, byte order mark, annotations
    "\ud800-\udfff"  # surrogates
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # shorthand and musical format controls
    "\U000e0000-\U000e0fff"  # tags, further variation selectors
)
UNSEEN: Final = re.compile(f"[{_UNSEEN_RANGES}]")
"""A character that nobody sees in a text, or takes for a blank."""


def refuse(field: str, why: str) -> NoReturn:
    """Refuse the whole call; nothing of it is written."""
    raise ContractError(f"{field}: {why}")


def shown(value: object) -> str:
    """A value as a message quotes it: at most 63 characters of ASCII."""
    quoted = ascii(value)
    return quoted if len(quoted) <= _SHOWN else quoted[:_SHOWN] + "..."


def moment(time_us: int) -> str:
    """A time (microseconds since 1970) as a message tells it: UTC, whole seconds."""
    return (_EPOCH + timedelta(seconds=time_us // 1_000_000)).isoformat() + "Z"


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
    if len(value) != len(required):
        for name in value:
            if name not in required and name not in optional:
                refuse(prefix + shown(name)[1:-1], "is no field here")
    return value


def items(value: Any, where: str, most: int, least: int = 1) -> list[Any]:
    """``value`` itself if it is a JSON array of ``least`` to ``most`` values."""
    if type(value) is not list or not least <= len(value) <= most:
        refuse(where, f"must be an array of {least} to {most}, not {shown(value)}")
    return value


def integer(value: Any, where: str, low: int, high: int) -> int:
    """A JSON integer with ``low`` <= value <= ``high``."""
    if type(value) is not int:
        refuse(where, f"must be an integer, not {shown(value)}")
    if not low <= value <= high:
        refuse(where, f"must lie within {low} and {high}, not {shown(value)}")
    return value


def choice(value: Any, where: str, choices: Iterable[_Choice]) -> _Choice:
    """One of ``choices``, of the same type."""
    allowed = list(choices)
    for one in allowed:
        if type(value) is type(one) and value == one:
            return one
    refuse(where, f"must be {' or '.join(map(str, allowed))}, not {shown(value)}")


def text(value: Any, where: str, most: int, least: int = 1) -> str:
    """A text for people, ``least`` to ``most`` characters: none that nobody sees, and no blanks at its ends."""
    if type(value) is not str or not least <= len(value) <= most:
        refuse(where, f"must be a string of {least} to {most} characters, not {shown(value)}")
    if unseen := UNSEEN.search(value):
        refuse(where, f"has a character that nobody sees: U+{ord(unseen.group()):04X}")
    if value != value.strip(" "):
        refuse(where, "begins or ends with a blank")
    return value


def sha256(value: Any, where: str) -> str:
    """A SHA-256, or 32 other bytes: hexadecimal, small letters."""
    if type(value) is not str or not _SHA256.fullmatch(value):
        refuse(where, f"must be 64 hexadecimal digits in small letters, not {shown(value)}")
    return value


def name(value: Any, where: str) -> str:
    """A name that may stand in a key: a letter or digit, then up to 63 of A-Z a-z 0-9 . _ -."""
    if type(value) is not str or not _NAME.fullmatch(value):
        refuse(where, f'must be a name such as "pmu-7" (A-Z a-z 0-9 . _ -, 64 at most), not {shown(value)}')
    return value


def mspid(value: Any, where: str = "mspid") -> str:
    """The id of an MSP."""
    if type(value) is not str or not _MSPID.fullmatch(value):
        refuse(where, f"must be the id of an MSP, not {shown(value)}")
    return value


def json_object(value: Any, where: str, most: int) -> dict[str, Any]:
    """What a text says that is the JSON text of one object, of at most ``most`` bytes of UTF-8.

    Refused as everywhere in GridLedger: a member's name twice, NaN, numbers beyond binary64, more than 60 levels.
    """
    if type(value) is not str or len(value) > most or len(value.encode("utf-8", "surrogatepass")) > most:
        refuse(where, f"must be the JSON text of an object, at most {most} bytes, not {shown(value)}")
    try:
        read = jsontext.loads(value, MAX_VALUE_DEPTH)
    except (MalformedJSON, UnicodeEncodeError):  # why it is none is the JSON library's to say, in other words each time
        refuse(where, f"is no JSON text: {shown(value)}")
    if type(read) is not dict:
        refuse(where, f"must be the JSON text of an object, not {shown(value)}")
    return read

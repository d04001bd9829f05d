"""What callers hand over: the checks that all functions share. Every refusal names the field."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final, NoReturn

from gridledger.contract import ContractError

from . import keys
from .weak_ids import P521, is_weak

#: Ids of holders lie below this: they take 8 bytes of a share.
ID_LIMIT: Final = 2**64
#: Holders of an object, and of a cluster.
MAX_HOLDERS: Final = 64
VERSION_LIMIT: Final = 10**keys.VERSION_DIGITS
CYCLE_LIMIT: Final = 10**keys.CYCLE_DIGITS
#: Longest reason and purpose, characters.
MAX_REMARK: Final = 256
MAX_URL: Final = 256
PROFILES: Final = ("sealed", "article", "shamir", "copies")

_HOLDER: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_CLUSTER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,15}")
_OBJECT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ID: Final = re.compile(r"0|[1-9][0-9]{0,199}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_MSPID: Final = re.compile(r"[A-Za-z0-9.-]{1,128}")
_URL: Final = re.compile(r"https://[A-Za-z0-9.:_~/\[\]-]+")
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - UTC; what is written of it says so
_SHOWN: Final = 60

#: What nobody sees in a text, or takes for a blank: by ranges of code points, as Python's versions know different
#: versions of Unicode.
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
_UNSEEN: Final = re.compile(f"[{_UNSEEN_RANGES}]")


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


def choice(value: Any, where: str, choices: Iterable[str]) -> str:
    """One of ``choices``."""
    allowed = list(choices)
    if type(value) is not str or value not in allowed:
        refuse(where, f"must be {' or '.join(allowed)}, not {shown(value)}")
    return value


def remark(value: Any, where: str, most: int = MAX_REMARK) -> str:
    """A text for people: no characters that nobody sees, no blanks at its ends."""
    if type(value) is not str or not 1 <= len(value) <= most:
        refuse(where, f"must be a string of 1 to {most} characters, not {shown(value)}")
    if unseen := _UNSEEN.search(value):
        refuse(where, f"has a character that nobody sees: U+{ord(unseen.group()):04X}")
    if value != value.strip(" "):
        refuse(where, "begins or ends with a blank")
    return value


def holder_name(value: Any, where: str = "holder") -> str:
    """The name of a holder."""
    if type(value) is not str or not _HOLDER.fullmatch(value):
        refuse(where, f'must be a name such as "m1-vl-1" (a-z 0-9 -, 32 at most), not {shown(value)}')
    return value


def cluster_name(value: Any, where: str = "cluster") -> str:
    """The name of a cluster."""
    if type(value) is not str or not _CLUSTER.fullmatch(value):
        refuse(where, f'must be a name such as "M1" (A-Z a-z 0-9 -, 16 at most), not {shown(value)}')
    return value


def object_name(value: Any, where: str = "object") -> str:
    """The name of an object."""
    if type(value) is not str or not _OBJECT.fullmatch(value):
        refuse(where, f'must be a name such as "oil-2026.11" (A-Z a-z 0-9 . _ -, 64 at most), not {shown(value)}')
    return value


def mspid(value: Any, where: str = "mspid") -> str:
    """The id of an MSP."""
    if type(value) is not str or not _MSPID.fullmatch(value):
        refuse(where, f"must be the id of an MSP, not {shown(value)}")
    return value


def holder_id(value: Any, where: str = "id") -> str:
    """The id of a holder, 1 to 2^64 - 1, as decimal text."""
    x = _field_element(value, where)
    if not 1 <= x < ID_LIMIT:
        refuse(where, f"must lie within 1 and {ID_LIMIT - 1}, not {shown(value)}")
    return str(value)


def new_holder_id(value: Any, t: int, where: str = "id") -> str:
    """The id of a holder that joins: not 0 and not weak in the field, and then within its bounds."""
    x = _field_element(value, where)
    if x % P521 == 0:
        refuse(where, "is 0 in the field, where a share is a part of the data itself; draw another")
    refuse_weak(x, t, where)
    return holder_id(value, where)


def refuse_weak(x: int, t: int, where: str) -> None:
    """Refuse an id whose share of profile ``article`` would not depend on the random number."""
    if is_weak(x, t):
        refuse(where, f"{shown(x)} is weak for t = {t}: its share is one of the data alone; draw another")


def sha256(value: Any, where: str) -> str:
    """A SHA-256, or 32 other bytes: hexadecimal, small letters."""
    if type(value) is not str or not _SHA256.fullmatch(value):
        refuse(where, f"must be 64 hexadecimal digits in small letters, not {shown(value)}")
    return value


def base64_bytes(value: Any, where: str, least: int, most: int) -> bytes:
    """What a text in base64 stands for, ``least`` to ``most`` bytes."""
    if type(value) is str and len(value) <= (most + 2) // 3 * 4 and value.isascii():
        try:
            data = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            data = b""
        if least <= len(data) <= most and base64.b64encode(data).decode("ascii") == value:
            return data
    refuse(where, f"must be {least} to {most} bytes in base64, not {shown(value)}")


def url(value: Any, where: str = "url") -> str:
    """Where a holder is called: https, no user or password, no query."""
    if type(value) is not str or len(value) > MAX_URL or not _URL.fullmatch(value):
        refuse(where, f"must be an address such as https://127.0.0.1:5210/holders/m1-head, not {shown(value)}")
    return value


def version_number(value: Any, where: str = "version") -> int:
    """The number of a version, 1 or more."""
    return integer(value, where, 1, VERSION_LIMIT - 1)


def _field_element(value: Any, where: str) -> int:
    if type(value) is not str or not _ID.fullmatch(value):
        refuse(where, f'must be an integer as decimal text, such as "17", not {shown(value)}')
    return int(value)

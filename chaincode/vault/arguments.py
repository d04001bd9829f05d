"""What callers hand over: the checks that are the vault's own. Every refusal names the field."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, Final

from gridledger.contract.arguments import integer, refuse, shown

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
_MSPID: Final = re.compile(r"[A-Za-z0-9.-]{1,128}")
_URL: Final = re.compile(r"https://[A-Za-z0-9.:_~/\[\]-]+")


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


def base64_bytes(value: Any, where: str, least: int, most: int) -> bytes:
    """What a text in base64 stands for, ``least`` to ``most`` bytes."""
    data = b""
    if type(value) is str and len(value) <= (most + 2) // 3 * 4 and value.isascii():
        try:
            data = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            data = b""
    if not least <= len(data) <= most or base64.b64encode(data).decode("ascii") != value:
        refuse(where, f"must be {least} to {most} bytes in base64, not {shown(value)}")
    return data


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

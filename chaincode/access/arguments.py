"""What callers hand over: the checks that are this contract's own. Every refusal names the field."""

from __future__ import annotations

import math
import re
from typing import Any, Final

from gridledger.contract.arguments import integer, refuse, shown, text

from . import keys

#: Longest reason, characters.
MAX_REMARK: Final = 256
#: Longest text that a command sets a device to, characters.
MAX_VALUE: Final = 256
TIME_LIMIT_US: Final = 10**keys.TIME_DIGITS

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TX: Final = re.compile(r"[0-9a-f]{64}")


def is_name(value: str) -> bool:
    """Whether it is the name of a session."""
    return _NAME.fullmatch(value) is not None


def is_tx(value: str) -> bool:
    """Whether it is the id of a transaction."""
    return _TX.fullmatch(value) is not None


def time_us(value: Any, where: str) -> int:
    """A time, microseconds since 1970."""
    return integer(value, where, 0, TIME_LIMIT_US - 1)


def setting(value: Any, where: str = "value") -> str | int | float | bool | None:
    """What a command sets a device to: a text, a number, true or false, or null where it sets nothing."""
    if type(value) is str:
        return text(value, where, MAX_VALUE)
    if type(value) is float and not math.isfinite(value):
        refuse(where, f"must be a finite number, not {shown(value)}")
    if value is not None and type(value) not in (bool, int, float):
        refuse(where, f"must be a text, a number, true, false or null, not {shown(value)}")
    return value  # type: ignore[no-any-return]

"""What callers hand over: the checks that are this contract's own. Every refusal names the field."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from gridledger.contract import evidence
from gridledger.contract.arguments import choice, integer, items, members, name, refuse, sha256, shown, text

from . import keys

Record = dict[str, Any]

#: Longest purpose, title and reason, characters.
MAX_REMARK: Final = 1024
#: Longest text of a query, bytes of UTF-8.
MAX_QUERY: Final = 4096
#: Channels of a scope; and devices, operators and kinds each.
MAX_CHANNELS: Final = 64
MAX_NAMED: Final = 256
#: Transactions that one finding discloses, over all channels.
MAX_DISCLOSED: Final = 10_000
TIME_LIMIT_US: Final = 10**keys.TIME_DIGITS

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_CHANNEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,62}")


def channel_name(value: Any, where: str) -> str:
    """The name of a channel."""
    if type(value) is not str or not _CHANNEL.fullmatch(value):
        refuse(where, f"must be the name of a channel, not {shown(value)}")
    return value


def kind_name(value: Any, where: str) -> str:
    """A kind of event."""
    return choice(value, where, (*evidence.KINDS, evidence.BATCH))


def time_us(value: Any, where: str) -> int:
    """A time, microseconds since 1970."""
    return integer(value, where, 0, TIME_LIMIT_US - 1)


def query_text(value: Any, where: str = "text") -> str:
    """What a query asks for, such as the JSON text of a question."""
    asked = text(value, where, MAX_QUERY)
    if len(asked.encode()) > MAX_QUERY:
        refuse(where, f"has more than {MAX_QUERY} bytes of UTF-8")
    return asked


def scope(value: Any) -> Record:
    """A scope as it is kept: {channels, from_us, to_us, devices, operators, kinds}; what names none of the last three
    covers all, and has null there."""
    members(value, "scope", ("channels", "from_us", "to_us"), ("devices", "operators", "kinds"))
    from_us, to_us = time_us(value["from_us"], "scope.from_us"), time_us(value["to_us"], "scope.to_us")
    if from_us >= to_us:
        refuse("scope.to_us", f"must lie behind from_us, {from_us}")
    return {
        "channels": _each(value["channels"], "scope.channels", MAX_CHANNELS, channel_name),
        "from_us": from_us,
        "to_us": to_us,
        "devices": _given(value, "devices", name),
        "operators": _given(value, "operators", name),
        "kinds": _given(value, "kinds", kind_name),
    }


def disclosed(value: Any) -> list[Record]:
    """What a package discloses beside its own events: [{channel, transactions: [id]}], each channel and id once."""
    if value is None:
        return []
    found: dict[str, Record] = {}
    total = 0
    for number, item in enumerate(items(value, "disclosed", MAX_CHANNELS)):
        where = f"disclosed[{number}]"
        members(item, where, ("channel", "transactions"))
        channel = channel_name(item["channel"], f"{where}.channel")
        if channel in found:
            refuse(f"{where}.channel", f"{channel} comes twice")
        transactions = _each(item["transactions"], f"{where}.transactions", MAX_DISCLOSED, sha256)
        total += len(transactions)
        if total > MAX_DISCLOSED:
            refuse("disclosed", f"has more than {MAX_DISCLOSED} transactions; make several packages")
        found[channel] = {"channel": channel, "transactions": transactions}
    return list(found.values())


def is_name(value: str) -> bool:
    """Whether it is the name of a case."""
    return _NAME.fullmatch(value) is not None


def _given(value: Record, field: str, check: Callable[[Any, str], str]) -> list[str] | None:
    return None if value.get(field) is None else _each(value[field], f"scope.{field}", MAX_NAMED, check)


def _each(value: Any, where: str, most: int, check: Callable[[Any, str], str]) -> list[str]:
    """Distinct values, each of them checked."""
    seen: dict[str, int] = {}
    for number, item in enumerate(items(value, where, most)):
        checked = check(item, f"{where}[{number}]")
        if checked in seen:
            refuse(f"{where}[{number}]", f"{shown(checked)} is at {seen[checked]} already")
        seen[checked] = number
    return list(seen)

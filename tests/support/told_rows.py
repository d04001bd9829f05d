"""Rows as a case has them, said in a line each. Times are seconds behind BEGIN_US."""

from __future__ import annotations

from itertools import count
from typing import Any

from gridledger import jsontext
from services.case.rows import Row

BEGIN_US = 1_700_000_000_000_000
_BLOCKS = count(2)
_ACCESS = ("session-opened", "session-closed", "command-issued", "access-denied")
_GENERAL = ("attested", "concluded", "members-set")


def at(seconds: float) -> int:
    """A time, microseconds since 1970."""
    return BEGIN_US + round(seconds * 1_000_000)


def row(kind: str, seconds: float, *, text: dict[str, Any] | None = None, **members: Any) -> Row:
    """A valid row of its own block, in the channel where its kind is at home; the block comes 0.1 s later."""
    block = members.pop("block", next(_BLOCKS))
    default = "access" if kind in _ACCESS else "general" if kind in _GENERAL else "section-home"
    values: dict[str, Any] = {
        "channel": default,
        "block": block,
        "position": 0,
        "item": 0,
        "tx_id": f"{block:064x}",
        "code": 0,
        "kind": kind,
        "device": None,
        "seq": None,
        "operator": None,
        "terminal": None,
        "session": None,
        "said_us": at(seconds),
        "at_us": at(seconds),
        "block_us": at(seconds + 0.1),
        "certificate": "c" * 64,
        "text": jsontext.dumps(text or {}).decode(),
        "marks": {},
    }
    assert members.keys() <= values.keys(), members.keys() - values.keys()
    return Row(**{**values, **members})


def opened(session: str, seconds: float, operator: str = "ivan", terminal: str = "t-1", **members: Any) -> Row:
    """OpenSession."""
    text = {"section": "section-home", "reason": "shift", **members.pop("text", {})}
    return row("session-opened", seconds, text=text, session=session, operator=operator, terminal=terminal, **members)


def closed(session: str, seconds: float, operator: str = "ivan", terminal: str = "t-1") -> Row:
    """CloseSession."""
    return row("session-closed", seconds, session=session, operator=operator, terminal=terminal)


def command(device: str, seconds: float, session: str = "s-1", what: str = "open", **members: Any) -> Row:
    """Command."""
    text = {"command": what, "value": None}
    return row("command-issued", seconds, text=text, device=device, session=session, operator="ivan", **members)


def denied(operator: str, terminal: str, seconds: float) -> Row:
    """Deny."""
    return row("access-denied", seconds, text={"why": "wrong password"}, operator=operator, terminal=terminal)


def event(device: str, seconds: float, kind: str = "health", seq: int | None = None, **members: Any) -> Row:
    """An event whose body is ``body``."""
    body = members.pop("body", {})
    return row(kind, seconds, text={"body": body}, device=device, seq=seq, **members)


def batch(device: str, seconds: float, length_s: float, synopsis: dict[str, Any], **members: Any) -> Row:
    """A batch from ``seconds`` on."""
    text = {"from_us": at(seconds), "to_us": at(seconds + length_s), "rows": 60, "synopsis": synopsis}
    return row("batch", seconds, text=text, device=device, block_us=at(seconds + length_s + 0.1), **members)


def anchored(channel: str, size: int, seconds: float, kind: str = "concluded", root: str = "a" * 64) -> Row:
    """Attest or Conclude."""
    text = {"channel": channel, "size": size, "root": root, "anchored": kind == "concluded"}
    return row(kind, seconds, text=text)

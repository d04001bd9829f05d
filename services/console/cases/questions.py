"""Questions to a case desk, as a form asks them. The desk checks them again; here each fault names its field."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from gridledger import jsontext
from gridledger.errors import InputError

TIMELINE: Final = "timeline"
PACKAGE: Final = "package"
PAGE: Final = 50
"""Rows of a page: as many as a basket takes."""
PACKAGE_ROWS: Final = 10_000
LISTS: Final = ("channels", "devices", "operators", "terminals", "sessions", "kinds")
"""Members with names; a form has them apart by commas or blanks."""
MAX_TEXT: Final = 4096
_BYS: Final = ("said", "block")
_MAX_FIELD: Final = 1000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def question_of(fields: Mapping[str, str]) -> dict[str, Any]:
    """The question that a form asks; what says nothing is left out. :class:`InputError` names the field."""
    question: dict[str, Any] = {}
    for name in LISTS:
        if names := sorted(set(_field(fields, name).replace(",", " ").split())):
            question[name] = names
    for name, member in (("from", "from_us"), ("to", "to_us")):
        if text := _field(fields, name):
            question[member] = time_us(text, name)
    if words := _field(fields, "words").split():
        question["words"] = words
    by = _field(fields, "by") or _BYS[0]
    if by not in _BYS:
        raise InputError(f"'by' is one of {', '.join(_BYS)}")
    if by != _BYS[0]:
        question["by"] = by
    if _field(fields, "not_valid"):
        question["is_valid"] = False
    return question


def paged(question: Mapping[str, Any], bookmark: str = "") -> dict[str, Any]:
    """A page of a question."""
    return {**question, "limit": PAGE, **({"bookmark": bookmark} if bookmark else {})}


def text_of(kind: str, question: Mapping[str, Any]) -> str:
    """What stands on the ledger before the question is answered."""
    text = jsontext.dumps({"kind": kind, "question": dict(question)}).decode()
    if len(text) > MAX_TEXT:
        raise InputError(f"the question has {len(text)} characters, at most {MAX_TEXT} stand on the ledger: name less")
    return text


def time_us(text: str, what: str) -> int:
    """A time with its zone as microseconds since 1970; :class:`InputError` names ``what``."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{what}: {text[:40]!r} is no time: give 2026-11-30T15:00Z") from None
    if moment.tzinfo is None:
        raise InputError(f"{what}: {text[:40]!r} has no zone: give UTC as {text[:19]}Z")
    return round((moment - _EPOCH).total_seconds() * 1_000_000)


def time_text(us: int) -> str:
    """A time as :func:`time_us` reads it, to the second."""
    try:
        return f"{datetime.fromtimestamp(us // 1_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"
    except (ValueError, OverflowError, OSError):
        return str(us)


def _field(fields: Mapping[str, str], name: str) -> str:
    text = fields.get(name, "").strip()
    if len(text) > _MAX_FIELD:
        raise InputError(f"{name}: at most {_MAX_FIELD} characters")
    return text

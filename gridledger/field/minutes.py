"""Minutes of captures: UTC epoch minutes, as the ledger has them, and how people write them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from gridledger.errors import InputError

LATEST: Final = "latest"
MAX_MINUTE: Final = 9_999_999_999
"""The ledger's keys have ten digits."""
_S_PER_MINUTE: Final = 60


def minute_of(text: str, what: str = "minute") -> int:
    """The epoch minute that a text names: ``2026-11-30T02:24Z``, or with another offset than Z, or the number itself.

    Raises :class:`InputError`, which names ``what``, also for a time without a zone or with seconds.
    """
    word = text.strip()
    if word.isascii() and word.isdigit():
        minute = int(word) if len(word) <= len(str(MAX_MINUTE)) else MAX_MINUTE + 1
        if minute > MAX_MINUTE:
            raise InputError(f"{what}: {word[:20]} is no epoch minute: at most {MAX_MINUTE}")
        return minute
    try:
        time = datetime.fromisoformat(word)
    except ValueError:
        raise InputError(f"{what}: {word[:40]!r} is no minute: give 2026-11-30T02:24Z, or an epoch minute") from None
    if time.tzinfo is None:
        raise InputError(f"{what}: {word[:40]!r} has no zone: give UTC as {word[:16]}Z, or an offset as +01:00")
    seconds = round((time - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
    if seconds % _S_PER_MINUTE or time.microsecond:
        raise InputError(f"{what}: {word[:40]!r} is no whole minute")
    if seconds < 0:
        raise InputError(f"{what}: {word[:40]!r} lies before 1970")
    return seconds // _S_PER_MINUTE


def minute_text(minute: int) -> str:
    """An epoch minute as ``2026-11-30T02:24Z``; the number itself where it is no date of four digits' year."""
    try:
        return f"{datetime.fromtimestamp(minute * _S_PER_MINUTE, UTC):%Y-%m-%dT%H:%MZ}"
    except (ValueError, OverflowError, OSError):
        return str(minute)


def range_text(begin: int, end: int) -> str:
    """A range of minutes, whose end is not in it, as people read it."""
    return f"{minute_text(begin)} to {minute_text(end)}"

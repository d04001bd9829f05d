"""Where things lie in the world state. Digits are padded, so that keys ascend as their times do.

A case's record is written once; its approval and its end are keys beside it. Each query and finding has a key of its
own, so that they never conflict with one another.
"""

from __future__ import annotations

from typing import Final

TIME_DIGITS: Final = 16
"""Digits of a time, microseconds since 1970."""

AUTHORITY: Final = "authority"
CASES: Final = "case/"


def case(name: str) -> str:
    """A case's record; never written again."""
    return f"{CASES}{name}"


def approved(name: str) -> str:
    """That a case was approved."""
    return f"approved/{name}"


def closed(name: str) -> str:
    """That a case was closed."""
    return f"closed/{name}"


def queries(name: str) -> str:
    """Before the queries of a case, by time."""
    return f"query/{name}/"


def query(name: str, time_us: int, tx_id: str) -> str:
    """One query; never written again."""
    return f"{queries(name)}{time_us:0{TIME_DIGITS}d}/{tx_id}"


def findings(name: str) -> str:
    """Before the findings of a case, by time."""
    return f"finding/{name}/"


def finding(name: str, time_us: int, tx_id: str) -> str:
    """One finding; never written again."""
    return f"{findings(name)}{time_us:0{TIME_DIGITS}d}/{tx_id}"

"""Where things lie in the world state. Digits are padded, so that keys ascend as their times do.

Each acknowledgement has a key of its own, and so has each source that is shelved: what is done about one alarm never
conflicts with what is done about another.
"""

from __future__ import annotations

from typing import Final

TIME_DIGITS: Final = 16
"""Digits of a time, microseconds since 1970."""

SHELVED: Final = "shelved/"


def acknowledged_in(group: str) -> str:
    """Before the acknowledgements of a group's alarms, by the time at which the alarms were raised."""
    return f"acknowledged/{group}/"


def place(raised_us: int, kind: str) -> str:
    """Where an alarm stands among those of its group."""
    return f"{raised_us:0{TIME_DIGITS}d}/{kind}"


def acknowledged(group: str, kind: str, raised_us: int) -> str:
    """The acknowledgement of one alarm; never written again."""
    return acknowledged_in(group) + place(raised_us, kind)


def shelved(group: str, kind: str) -> str:
    """Until when, by whom and why a source's alarms are shelved."""
    return f"{SHELVED}{group}/{kind}"

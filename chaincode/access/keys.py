"""Where things lie in the world state. Digits are padded, so that keys ascend as their times do.

Sessions of different operators share no key, nor do two commands of one session: a session's record is written once,
and what ends it is a key beside it. The only key that several openings write is that of a certificate's latest one, and
none of them reads it in a way that the committer compares.
"""

from __future__ import annotations

from typing import Final

TIME_DIGITS: Final = 16
"""Digits of a time, microseconds since 1970."""

OPENED: Final = "opened/"
COMMANDS: Final = "command/"
DENIALS: Final = "denial/"


def moment(time_us: int) -> str:
    """A time as keys have it."""
    return f"{time_us:0{TIME_DIGITS}d}"


def session(name: str) -> str:
    """A session's record; never written again."""
    return f"session/{name}"


def closed(name: str) -> str:
    """That a session was closed, and when."""
    return f"closed/{name}"


def flag(name: str) -> str:
    """What a later opening found suspicious of a session; the latest such opening."""
    return f"flag/{name}"


def opened(time_us: int, name: str) -> str:
    """Lists a session by when it was opened, with what lists are filtered by."""
    return f"{OPENED}{moment(time_us)}/{name}"


def sessions_of(certificate: str) -> str:
    """Before the sessions of a certificate (SHA-256), by when they were opened."""
    return f"of/{certificate}/"


def session_of(certificate: str, time_us: int, name: str) -> str:
    """Lists a session under its certificate."""
    return f"{sessions_of(certificate)}{moment(time_us)}/{name}"


def latest(certificate: str) -> str:
    """A certificate's latest opening, with the sessions that it knew to be open."""
    return f"latest/{certificate}"


def command(time_us: int, tx_id: str) -> str:
    """A command, by its time."""
    return f"{COMMANDS}{moment(time_us)}/{tx_id}"


def commands_in(name: str) -> str:
    """Before the commands of a session."""
    return f"in/{name}/"


def command_in(name: str, time_us: int, tx_id: str) -> str:
    """Lists a command under its session."""
    return f"{commands_in(name)}{moment(time_us)}/{tx_id}"


def denial(time_us: int, tx_id: str) -> str:
    """A login that was denied, by its time."""
    return f"{DENIALS}{moment(time_us)}/{tx_id}"

"""Where things lie in the world state. Sizes are padded, so that keys ascend as they do.

Each organisation speaks under keys of its own: agents that speak at the same time do not conflict.
"""

from __future__ import annotations

from typing import Final

SIZE_DIGITS: Final = 12
SIZE_LIMIT: Final = 10**SIZE_DIGITS
"""Sizes lie below it."""

MEMBERS: Final = "members/"


def members(channel: str) -> str:
    """Which organisations belong to a channel: the record in force."""
    return f"members/{channel}"


def voices(channel: str) -> str:
    """Before the organisations that said which ones belong to a channel."""
    return f"voice/{channel}/"


def voice(channel: str, mspid: str) -> str:
    """Which organisations belong to a channel, as one of them says."""
    return f"voice/{channel}/{mspid}"


AGENTS: Final = "agent/"


def agent(mspid: str) -> str:
    """The agent of an organisation: its key, and where it is asked."""
    return f"agent/{mspid}"


def round_of(channel: str, mspid: str) -> str:
    """The newest round that an organisation opened for a channel: a size that it wants anchored."""
    return f"round/{channel}/{mspid}"


def attestation(channel: str, size: int, mspid: str) -> str:
    """The head of a channel at a size, as one organisation says first; never written again."""
    return f"attest/{channel}/{size:0{SIZE_DIGITS}d}/{mspid}"


def final(channel: str) -> str:
    """The newest anchor of a channel."""
    return f"final/{channel}"


def anchors(channel: str) -> str:
    """Before the sizes at which a channel is anchored."""
    return f"anchored/{channel}/"


def anchor(channel: str, size: int) -> str:
    """One anchor of a channel; never written again."""
    return f"anchored/{channel}/{size:0{SIZE_DIGITS}d}"


def forks(channel: str) -> str:
    """Before the sizes at which a channel's organisations said different things."""
    return f"forked/{channel}/"


def fork(channel: str, size: int) -> str:
    """What a channel's organisations said at one size, where they do not say the same."""
    return f"forked/{channel}/{size:0{SIZE_DIGITS}d}"


def newest_fork(channel: str) -> str:
    """How many forks a channel has, and the size of the one that was found last."""
    return f"forks/{channel}"

"""Where things lie in the world state. Digits are padded, so that keys ascend as their numbers do.

Devices share no key, so those of one never conflict with another's. Who suspends a device or changes its key neither
reads nor writes its head: the stream of a device that must be stopped cannot hold that up.
"""

from __future__ import annotations

from typing import Final

SEQ_DIGITS: Final = 12
TIME_DIGITS: Final = 16

DEVICES: Final = "device/"
GAPS: Final = "gap/"


def device(name: str) -> str:
    """A device's record as it is now."""
    return f"{DEVICES}{name}"


def proof_key(proof_key_hex: str) -> str:
    """Whose proof key this is or was on this channel; never another's. By its x."""
    return f"key/{proof_key_hex[2:66]}"


def head(name: str) -> str:
    """The last event of a device."""
    return f"head/{name}"


def events(name: str) -> str:
    """Before the numbers of a device's events."""
    return f"event/{name}/"


def event(name: str, seq: int) -> str:
    """An event; never written again."""
    return f"event/{name}/{seq:0{SEQ_DIGITS}d}"


def of_kind(kind: str) -> str:
    """Before the times of events of a kind."""
    return f"kind/{kind}/"


def by_kind(kind: str, time_us: int, name: str, seq: int) -> str:
    """That there is an event of this kind, by the time that its device told."""
    return f"kind/{kind}/{time_us:0{TIME_DIGITS}d}/{name}/{seq:0{SEQ_DIGITS}d}"


def gaps(name: str) -> str:
    """Before the gaps of a device."""
    return f"{GAPS}{name}/"


def gap(name: str, seq: int, mark: str) -> str:
    """Where a gap shows: at the first event that has the mark."""
    return f"{GAPS}{name}/{seq:0{SEQ_DIGITS}d}/{mark}"

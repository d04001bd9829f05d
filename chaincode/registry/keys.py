"""Where things lie in the world state. Digits are padded, so that keys ascend as their numbers do.

No key is written by two registrations, unless they are of one device or one proof key: a registration reads the epoch,
which only the first page of a filter writes, and lists its device under that epoch.
"""

from __future__ import annotations

from typing import Final

EPOCH_DIGITS: Final = 8
PART_DIGITS: Final = 2
NUMBER_DIGITS: Final = 6

AUTHORITY: Final = "authority"
DEVICES: Final = "device/"
ACTIVE: Final = "active/"
REVOKED: Final = "revoked/"
EPOCH: Final = "epoch"
"""The number of the filter that was begun last; registrations since then are listed under it."""
BUILDING: Final = "building"
"""How far the filter is that is being made; until it is published."""
NEWEST: Final = "newest"
"""The number of the filter that was published last."""


def device(name: str) -> str:
    """A device's record as it is now."""
    return f"{DEVICES}{name}"


def proof_key(proof_key_hex: str) -> str:
    """Whose proof key this is or was; never another's. By its x, as whoever has a key has the negative one too."""
    return f"key/{proof_key_hex[2:66]}"


def device_keys(name: str) -> str:
    """Before the numbers of a device's keys."""
    return f"keyed/{name}/"


def device_key(name: str, number: int) -> str:
    """A proof key of a device, with the proofs that brought it; never written again. ``number``: 1, 2, ..."""
    return f"{device_keys(name)}{number:0{NUMBER_DIGITS}d}"


def active_from(epoch: int) -> str:
    """Before the devices that were registered in an epoch, behind those of all epochs before."""
    return f"{ACTIVE}{epoch:0{EPOCH_DIGITS}d}/"


def active(epoch: int, name: str) -> str:
    """That a device is registered and neither retired nor revoked; ``epoch``: in which it was registered."""
    return active_from(epoch) + name


def revoked(name: str) -> str:
    """Why, when and by whom a device was revoked."""
    return f"{REVOKED}{name}"


def published(epoch: int) -> str:
    """A filter that was published, without its bits; never written again."""
    return f"filter/{epoch:0{EPOCH_DIGITS}d}"


def bits(epoch: int, part: int) -> str:
    """A part of a filter's bits, in base64; those of the two filters published last are kept."""
    return f"bits/{epoch:0{EPOCH_DIGITS}d}/{part:0{PART_DIGITS}d}"

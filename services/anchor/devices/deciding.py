"""What a section has to be told of a device, from what the registry and the section say of it: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

Record: TypeAlias = Mapping[str, Any]


class Suspend(NamedTuple):
    """The registry has revoked or retired the device: by which transaction, and when (microseconds since 1970)."""

    device: str
    tx: str
    revoked_us: int


class Rekey(NamedTuple):
    """The registry has another key of the device: ``key`` is the next one behind that of the section."""

    device: str
    key: Record


class Wrong(NamedTuple):
    """The section has what the registry does not: nothing can be told, somebody has to look."""

    device: str
    why: str


Due: TypeAlias = Suspend | Rekey | Wrong


def due(section: Record, registered: Record | None, keys: Sequence[Record]) -> Due | None:
    """What the section is to be told of a device that is admitted there; None where both say the same.

    ``registered``: GetDevice of the registry, None where there is none; ``keys``: GetKeys, the first one first.
    """
    device = str(section["device"])
    if registered is None:
        return Wrong(device, "it is admitted, and nobody has registered it")
    if registered["mspid"] != section["mspid"]:
        return Wrong(device, f"it is admitted as {section['mspid']}'s, and registered by {registered['mspid']}")
    known = [key["proof_key"] for key in keys]
    if section["proof_key"] not in known:
        return Wrong(device, "it is admitted with a key that it never had in the registry")
    if section["status"] != "active":
        return None
    ended = registered.get("revoked") or registered.get("retired")
    if registered["status"] != "active" and ended is not None:
        return Suspend(device, str(ended["tx"]), int(ended["time_us"]))
    place = known.index(section["proof_key"])
    return Rekey(device, keys[place + 1]) if place + 1 < len(keys) else None


def turn_of(mspid: str, owner: str, organisations: Sequence[str]) -> int | None:
    """How many turns an agent waits before it tells of a suspension: its owner's agent comes first, then the others in
    their order. None where it is not its affair."""
    if mspid == owner:
        return 0
    others = [name for name in sorted(organisations) if name != owner]
    return 1 + others.index(mspid) if mspid in others else None

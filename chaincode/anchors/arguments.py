"""What callers hand over: names, sizes, heads, proofs."""

from __future__ import annotations

import re
from typing import Any, Final

from gridledger.contract.arguments import integer, items, refuse, sha256, shown

from . import keys

MAX_ORGANISATIONS: Final = 64
"""Of one channel: a status reads what each of them says of the rounds of each."""
MAX_PROOF: Final = 64
"""Hashes of a consistency proof."""
HEAD: Final = ("root", "header_hash", "commit_hash")
"""What organisations must say alike of a channel at a size."""

_CHANNEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_MSPID: Final = re.compile(r"[A-Za-z0-9.-]{1,128}")


def channel_name(value: Any, own: str) -> str:
    """The name of a channel that is not ``own``, the one that the anchors are on."""
    if type(value) is not str or not _CHANNEL.fullmatch(value):
        refuse("channel", f"must be a channel's name, not {shown(value)}")
    if value == own:
        refuse("channel", f"{own} keeps the anchors of other channels; it cannot vouch for itself")
    return value


def organisations(value: Any) -> list[str]:
    """The MSP ids of a channel's organisations: 1 to 64, ascending, each once."""
    names = items(value, "organisations", MAX_ORGANISATIONS)
    for name in names:
        if type(name) is not str or not _MSPID.fullmatch(name):
            refuse("organisations", f"must be ids of MSPs, not {shown(name)}")
    if names != sorted(set(names)):
        refuse("organisations", "must ascend, each named once")
    return names


def size(value: Any) -> int:
    """How many blocks a head is over."""
    return integer(value, "size", 1, keys.SIZE_LIMIT - 1)


def head(argument: dict[str, Any]) -> dict[str, str]:
    """What is said of a channel at a size: {root, header_hash, commit_hash}."""
    return {field: sha256(argument[field], field) for field in HEAD}


def consistency(value: Any) -> list[bytes]:
    """A consistency proof: at most 64 hashes."""
    hashes = items(value, "consistency", MAX_PROOF, 0)
    return [bytes.fromhex(sha256(one, f"consistency[{number}]")) for number, one in enumerate(hashes)]


def flag(argument: dict[str, Any], field: str) -> bool:
    """A member that is true, false or absent."""
    value = argument.get(field)
    if value is not None and type(value) is not bool:
        refuse(field, f"must be true or false, not {shown(value)}")
    return value is True

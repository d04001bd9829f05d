"""Texts that holders sign: one text only for what each says, and a kind in it, so that none serves for another."""

from __future__ import annotations

import json
from typing import Any, Final

from gridledger.contract.arguments import choice, members, refuse, sha256, shown

from .arguments import holder_name, object_name, version_number
from .permissions import Record

MAX_TEXT: Final = 1024
MIN_SIGNATURE_BYTES: Final = 8
_FIRST: Final = ("kind", "channel", "object", "version", "holder")


def read_signed(value: Any, where: str, kind: str, hashes: tuple[str, ...], channel: str) -> Record:
    """What a holder says in a text: {kind, channel, object, version, holder}, and ``hashes``; in this order, without
    white space. Nothing is verified yet."""
    if type(value) is not str or not value.isascii() or len(value) > MAX_TEXT:
        refuse(where, f"must be the text that the holder signed, not {shown(value)}")
    try:
        said = json.loads(value)
    except (ValueError, RecursionError):
        refuse(where, "is no JSON text")
    members(said, where, (*_FIRST, *hashes))
    choice(said["kind"], f"{where}.kind", (kind,))
    if said["channel"] != channel:
        refuse(f"{where}.channel", f"must be {channel}, not {shown(said['channel'])}")
    checked = {
        "kind": kind,
        "channel": channel,
        "object": object_name(said["object"], f"{where}.object"),
        "version": version_number(said["version"], f"{where}.version"),
        "holder": holder_name(said["holder"], f"{where}.holder"),
        **{name: sha256(said[name], f"{where}.{name}") for name in hashes},
    }
    if json.dumps(checked, separators=(",", ":")) != value:
        refuse(where, f"must have its members in the order {', '.join((*_FIRST, *hashes))}, and no white space")
    return checked

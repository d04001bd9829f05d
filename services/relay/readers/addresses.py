"""Addresses ``HOST:PORT`` of relays that speak other protocols than HTTP."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gridledger.errors import SettingsError

_ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})")
_LAST_PORT = 65535


def host_and_port(record: Mapping[str, Any]) -> tuple[str, int]:
    """A relay's host and port; :class:`SettingsError` where its address is none."""
    match = _ADDRESS.fullmatch(record["address"])
    if match is None or not 0 < int(match.group(3)) <= _LAST_PORT:
        raise SettingsError(f"relay {record['relay']}: the address {record['address']!r} is no HOST:PORT")
    return match.group(1) or match.group(2), int(match.group(3))


def joined(host: str, port: int) -> str:
    """A host and a port as one address again."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

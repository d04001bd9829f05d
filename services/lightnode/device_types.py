"""Which kinds of events each type of device usually tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gridledger.evidence.events import KINDS

_EVERY: Final = ("alarm", "health", "config", "tamper", "outage")
USUAL: Final[Mapping[str, frozenset[str]]] = {
    "pmu": frozenset((*_EVERY, "frequency", "gps", "batch")),
    "pdc": frozenset((*_EVERY, "frequency", "gps", "batch")),
    "ied": frozenset((*_EVERY, "command", "frequency", "login", "logout", "shutdown")),
    "relay": frozenset((*_EVERY, "command", "frequency", "login", "logout", "shutdown")),
    "rtu": frozenset((*_EVERY, "command", "login", "logout", "shutdown")),
    "inverter": frozenset((*_EVERY, "command", "frequency", "reading", "shutdown")),
    "meter": frozenset((*_EVERY, "reading", "shutdown")),
    "charger": frozenset((*_EVERY, "charge", "payment", "login", "logout", "shutdown")),
    "recorder": frozenset((*_EVERY, "frequency", "gps", "shutdown")),
    "weather": frozenset((*_EVERY, "reading")),
    "operator-station": frozenset((*_EVERY, "command", "login", "logout", "shutdown")),
}


def kinds_of(device_type: str, told: tuple[str, ...]) -> frozenset[str]:
    """The kinds that a device may tell: those it was given, else the usual ones of its type."""
    return frozenset(told) & {*KINDS, "batch"} if told else USUAL[device_type]

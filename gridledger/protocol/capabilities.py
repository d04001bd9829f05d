"""What a channel asks its nodes to know: an older node stops at what it does not know, and forks from nobody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gridledger.errors import MalformedMessage
from gridledger.protocol.errors import CapabilityUnknown

KNOWN_CAPABILITIES = frozenset(("V1",))
"""What this version knows. A change of what is read or judged gets a name here, and holds where a channel names it."""

MAX_CAPABILITIES = 100
MAX_CAPABILITY_CHARS = 64


def read_capabilities(value: Any) -> tuple[str, ...]:
    """The capabilities that a configuration names: texts, sorted, each once."""
    sound = (
        isinstance(value, list)
        and len(value) <= MAX_CAPABILITIES
        and all(isinstance(name, str) and 0 < len(name) <= MAX_CAPABILITY_CHARS for name in value)
        and value == sorted(set(value))
    )
    if not sound:
        raise MalformedMessage(
            f"'capabilities' must be at most {MAX_CAPABILITIES} texts of 1 to {MAX_CAPABILITY_CHARS} characters, "
            "sorted, each once"
        )
    return tuple(value)


def check_capabilities(config: Mapping[str, Any]) -> None:
    """Raise :class:`CapabilityUnknown` where a configuration's plain JSON names what this version does not know."""
    names = read_capabilities(config.get("capabilities"))
    unknown = sorted(set(names) - KNOWN_CAPABILITIES)
    if unknown:
        raise CapabilityUnknown(
            f"the channel {config.get('channel')!r:.140} asks for {', '.join(unknown)}, which this version of "
            "GridLedger does not know: upgrade this node, then start it again",
            unknown=unknown,
            known=sorted(KNOWN_CAPABILITIES),
        )

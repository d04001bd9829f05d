"""Where things lie in the world state. Digits are padded, so that keys ascend as their numbers do."""

from __future__ import annotations

from typing import Final

MINUTE_DIGITS: Final = 10
HOUR_DIGITS: Final = 8
REVISION_DIGITS: Final = 8

RELAYS: Final = "relay/"


def relay(relay_id: str) -> str:
    """The relay's record as it is now."""
    return f"relay/{relay_id}"


def revision(relay_id: str, number: int) -> str:
    """The record as it was. ``number``: 1, 2, ...; never written again."""
    return f"revision/{relay_id}/{number:0{REVISION_DIGITS}d}"


def capture(relay_id: str, minute: int) -> str:
    """What the first server told of a minute; never written again."""
    return f"capture/{relay_id}/{minute:0{MINUTE_DIGITS}d}"


def attestation(relay_id: str, minute: int, server: str) -> str:
    """What another server told of it; a key of its own, so that servers never conflict; never written again."""
    return f"attest/{relay_id}/{minute:0{MINUTE_DIGITS}d}/{server}"


def verdict(relay_id: str, minute: int) -> str:
    """What came of all that was told of a minute."""
    return f"verdict/{relay_id}/{minute:0{MINUTE_DIGITS}d}"


def dispute(relay_id: str, minute: int) -> str:
    """Stands as long as the verdict is that no text has a quorum."""
    return f"dispute/{relay_id}/{minute:0{MINUTE_DIGITS}d}"


def hour(relay_id: str, number: int) -> str:
    """The synopsis of an hour."""
    return f"hour/{relay_id}/{number:0{HOUR_DIGITS}d}"


def open_silence(relay_id: str) -> str:
    """The silence that is reported and not ended."""
    return f"silent/{relay_id}"


def silence(relay_id: str, minute: int) -> str:
    """Each silence, by its first minute."""
    return f"silence/{relay_id}/{minute:0{MINUTE_DIGITS}d}"


def fault(relay_id: str, sha256: str, server: str) -> str:
    """What a server states of a fault record."""
    return f"fault/{relay_id}/{sha256}/{server}"

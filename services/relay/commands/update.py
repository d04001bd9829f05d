"""``gridledger relay update``: put a relay's record anew."""

from __future__ import annotations

from services.relay.commands import registering


def main(argv: list[str]) -> int:
    """Submit the file's record as the relay's operator."""
    return registering.run("update", argv)

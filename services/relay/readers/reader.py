"""What every reader of a relay offers, whatever protocol the relay speaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

MAX_HELD = 5_000
"""Captures that a relay may list: three times what the article's keeps in a day."""
ANSWER_S = 10.0
"""How long one answer of a relay may take, beside the time for which it was asked to wait."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """A capture as a relay delivered it.

    ``text`` over HTTP is what the relay sent, parsed by whoever takes it; of Modbus and IEC 61850 it is made from the
    values in the article's form, so that every protocol gives the same ``sha256`` (of the text, UTF-8).
    ``source_sha256`` is the hash of what came over the wire. ``minute`` is the UTC epoch minute, where the protocol
    tells it; ``completed_us`` when the relay completed the capture, by the relay's clock, in microseconds since 1970,
    where it is known.
    """

    name: str
    text: str
    sha256: str
    source_sha256: str
    minute: int | None
    completed_us: int | None


@dataclass(frozen=True, slots=True)
class Held:
    """A complete capture that a relay still has, to be fetched by its name."""

    name: str
    sha256: str | None
    minute: int | None
    completed_us: int | None


class Reader(Protocol):
    """Reads one relay. Each call raises RelayUnreachable or RelayAnswerBad, and ends within its time."""

    async def latest(self, after: str | None, wait_s: float) -> Delivered | None:
        """The last complete capture whose ``sha256`` is not ``after``; None when none came within ``wait_s``."""

    async def held(self) -> list[Held]:
        """What the relay still has, oldest first."""

    async def fetch(self, name: str) -> Delivered:
        """One of what :meth:`held` lists."""

    async def close(self) -> None:
        """Leave the relay."""

"""What the servers of a relay have said of a capture, whose turn it is to act on it, and what follows. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CONFIRMED, DISPUTED = "confirmed", "disputed"
SPARE_S = 60
"""After the relay's period and so many seconds more, those who have not spoken are no longer waited for."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A verdict as the voices give it: the SHA-256 of record (None while disputed), who is for it and who against."""

    status: str
    sha256: str | None
    said_for: frozenset[str]
    said_against: frozenset[str]


def turn_of(servers: Sequence[str], server: str, number: int) -> int:
    """When a server's turn comes in a minute (or hour) of this number: 0 is first. Turns rotate."""
    ordered = sorted(servers)
    return (ordered.index(server) - number) % len(ordered)


def voices_of(capture: Mapping[str, Any]) -> dict[str, str]:
    """Each server's SHA-256 for a capture as GetCapture gives it: the winner's own, and the attested ones."""
    said = {item["server"]: item["sha256"] for item in capture["attestations"]}
    return {**said, capture["server"]: capture["sha256"]}


def outcome_of(
    capture: Mapping[str, Any], servers: Sequence[str], quorum: int, period_s: int, now_us: int
) -> Outcome | None:
    """What Conclude would write now, None while it would not.

    One hash with ``quorum`` voices is confirmed. Without one a capture is disputed once all have spoken, or
    :data:`SPARE_S` and a period have passed since it was recorded and its own period was over.
    """
    said = {server: sha256 for server, sha256 in voices_of(capture).items() if server in servers}
    for sha256 in set(said.values()):
        agreeing = frozenset(server for server, told in said.items() if told == sha256)
        if len(agreeing) >= quorum:
            return Outcome(CONFIRMED, sha256, agreeing, frozenset(said) - agreeing)
    since_us = max(capture["time_us"], (capture["minute"] * 60 + period_s) * 1_000_000)
    if now_us < since_us + (period_s + SPARE_S) * 1_000_000 and len(said) < len(servers):
        return None
    winners = capture["sha256"]
    agreeing = frozenset(server for server, told in said.items() if told == winners)
    return Outcome(DISPUTED, None, agreeing, frozenset(said) - agreeing)


def is_stored(outcome: Outcome, verdict: Mapping[str, Any] | None) -> bool:
    """Whether a stored verdict tells all that the outcome tells."""
    return (
        verdict is not None
        and (verdict["status"], verdict["sha256"]) == (outcome.status, outcome.sha256)
        and set(verdict["for"]) == outcome.said_for
        and set(verdict["against"]) == outcome.said_against
    )

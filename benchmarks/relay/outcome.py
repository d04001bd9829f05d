"""What a run came to: update times from the relay's renames to VALID, winners, lost minutes, invalid transactions."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure.results import Latency
from benchmarks.relay.watching import Arrivals

RECORD_CAPTURE = "RecordCapture"
_US_PER_S = 1_000_000


@dataclass(frozen=True, slots=True)
class Rename:
    """A capture's completion at the relay: the UTC epoch minute, and when (microseconds since 1970)."""

    minute: int
    at_us: int


def read_renames(path: Path) -> list[Rename]:
    """The simulator's log of renames so far; a line that is being written is left out."""
    if not path.exists():
        return []
    whole, _, _ = path.read_text(encoding="utf-8").rpartition("\n")
    lines = [json.loads(line) for line in whole.splitlines() if line]
    return [Rename(int(line["minute"]), int(line["renamed_us"])) for line in lines]


@dataclass(frozen=True, slots=True)
class Update:
    """A minute's update: seconds from the rename to VALID on the winner's own peer and on the last peer."""

    minute: int
    server: str
    own_s: float
    last_s: float


def updates_of(renames: Sequence[Rename], seen: Mapping[int, Arrivals], own_peers: Mapping[str, str]) -> list[Update]:
    """The updates of the minutes that every peer has. ``own_peers``: each server's own peer."""
    peers = set(own_peers.values())
    found = []
    for rename in renames:
        arrivals = seen.get(rename.minute)
        if arrivals is not None and peers <= arrivals.at_us.keys():
            own_us = arrivals.at_us[own_peers[arrivals.server]] - rename.at_us
            last_us = max(arrivals.at_us.values()) - rename.at_us
            found.append(Update(rename.minute, arrivals.server, own_us / _US_PER_S, last_us / _US_PER_S))
    return found


def outcome_of(
    renames: Sequence[Rename], updates: Sequence[Update], codes: Mapping[str, Mapping[str, int]]
) -> dict[str, Any]:
    """The JSON form. ``lost``: minutes that the relay completed and that some peer lacks."""
    there = {update.minute for update in updates}
    thirds = max(1, len(updates) // 3)
    return {
        "minutes": len(renames),
        "lost": [rename.minute for rename in renames if rename.minute not in there],
        "own_peer": _latency([update.own_s for update in updates]),
        "last_peer": _latency([update.last_s for update in updates]),
        "first_third": _latency([update.own_s for update in updates[:thirds]]),
        "last_third": _latency([update.own_s for update in updates[-thirds:]]),
        "winners": dict(sorted(Counter(update.server for update in updates).items())),
        "transactions": {function: dict(counts) for function, counts in sorted(codes.items())},
        "invalid_share": invalid_share(codes),
        "invalid_share_of_captures": invalid_share({name: codes[name] for name in codes if name == RECORD_CAPTURE}),
        "updates_ms": [
            [update.minute, update.server, round(1000 * update.own_s, 3), round(1000 * update.last_s, 3)]
            for update in updates
        ],
    }


def _latency(seconds: Sequence[float]) -> dict[str, Any] | None:
    latency = Latency.of(seconds)
    return latency.model_dump() if latency else None


def invalid_share(codes: Mapping[str, Mapping[str, int]]) -> float:
    """The share of transactions on the chain that are not VALID."""
    total = sum(sum(counts.values()) for counts in codes.values())
    valid = sum(counts.get("VALID", 0) for counts in codes.values())
    return (total - valid) / total if total else 0.0

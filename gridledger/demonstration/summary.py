"""The file summary.json: the results of a demonstration, for programs to read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gridledger import jsontext
from gridledger.network.status import NetworkState

PERCENTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}


def percentiles_ms(latencies_s: Iterable[float]) -> dict[str, float]:
    """p50, p95, p99 of latencies, milliseconds; {} where there are none. The nearest rank, no interpolation."""
    ordered = sorted(latencies_s)
    if not ordered:
        return {}
    return {
        name: round(1000.0 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2)
        for name, share in PERCENTILES.items()
    }


def channel_summary(state: NetworkState) -> dict[str, Any]:
    """``channels``: the height of each, and the height and commit hash of its peers."""
    return {
        name: {
            "height": max((peer.height for peer in channel.peers.values()), default=0),
            "peers": {
                peer: {"height": found.height, "commit_hash": found.commit_hash}
                for peer, found in sorted(channel.peers.items())
            },
        }
        for name, channel in state.channels.items()
    }


def write_summary(path: Path, summary: Mapping[str, Any]) -> None:
    """Write the file; its folder exists."""
    path.write_bytes(jsontext.dumps(dict(summary)) + b"\n")

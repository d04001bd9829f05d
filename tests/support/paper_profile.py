"""A connection profile with three peers that nobody runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gridledger.client.profile import CAEntry, ChannelEntry, ConnectionProfile, NodeEntry


def paper_profile(folder: Path, applications: dict[str, Any]) -> ConnectionProfile:
    """Peers peer1 to peer3 of S1MSP to S3MSP on the channel ``main``, which names a fourth that is not there."""
    peers = {
        f"peer{n}": NodeEntry(url=f"https://localhost:715{n}", organisation=f"S{n}", mspid=f"S{n}MSP")
        for n in (1, 2, 3)
    }
    return ConnectionProfile(
        name="net",
        channels={"main": ChannelEntry(peers=("peer1", "peer2", "peer3", "unknown"))},
        peers=peers,
        orderers={},
        ca=CAEntry(url="https://127.0.0.1:7054", tls_root=folder, organisations=()),
        roots=folder,
        organisations=folder,
        applications=applications,
    )

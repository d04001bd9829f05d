"""The state of a network: which nodes answer, how far each channel is, whether the peers agree."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from gridledger.client.http import NodeClient
from gridledger.errors import GridLedgerError
from gridledger.identity.signer import SigningIdentity
from gridledger.network.connection import ConnectionProfile, NodeEntry

_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class PeerState:
    """One peer's view of a channel."""

    height: int
    commit_hash: str


@dataclass(slots=True)
class ChannelState:
    """A channel: its peers' states by name, the heights at its orderers, and who leads it."""

    peers: dict[str, PeerState] = field(default_factory=dict)
    orderers: dict[str, int] = field(default_factory=dict)
    leader: str | None = None

    @property
    def agree(self) -> bool:
        """Whether peers of equal height have equal commit hashes."""
        hashes: dict[int, set[str]] = defaultdict(set)
        for state in self.peers.values():
            hashes[state.height].add(state.commit_hash)
        return all(len(found) == 1 for found in hashes.values())

    @property
    def level(self) -> bool:
        """Whether all peers have the same height and commit hash."""
        return len({(state.height, state.commit_hash) for state in self.peers.values()}) == 1


@dataclass(slots=True)
class NetworkState:
    """All channels by name, and by name what is wrong with nodes that do not answer."""

    channels: dict[str, ChannelState]
    down: dict[str, str]
    nodes: list[str]

    @property
    def sound(self) -> bool:
        """Whether all nodes answer and no two peers differ."""
        return not self.down and all(channel.agree for channel in self.channels.values())


async def network_state(profile: ConnectionProfile) -> NetworkState:
    """Ask every node, as its own organisation's admin."""
    state = NetworkState({name: ChannelState() for name in profile.channels}, {}, [])
    roots = profile.roots.read_text(encoding="ascii")

    async def ask(name: str, entry: NodeEntry) -> tuple[str, Any]:
        try:
            admin = SigningIdentity.load(profile.user(entry.organisation, "admin"))
            async with NodeClient(entry.url, admin, roots) as node:
                return name, await node.get_json("/status", timeout_s=_TIMEOUT_S)
        except GridLedgerError as error:
            return name, error

    nodes = {**profile.orderers, **profile.peers}
    for name, answer in await asyncio.gather(*(ask(name, entry) for name, entry in nodes.items())):
        state.nodes.append(name)
        if isinstance(answer, GridLedgerError):
            state.down[name] = answer.message
            continue
        for channel, there in answer["channels"].items():
            found = state.channels[channel]
            if name in profile.peers:
                found.peers[name] = PeerState(there["height"], there["commit_hash"])
            else:
                found.orderers[name] = there["height"]
                found.leader = there["leader"] or found.leader
    return state


def table(state: NetworkState) -> str:
    """The state as a person reads it."""
    lines = [f"{name:<12} {'down: ' + state.down[name] if name in state.down else 'up'}" for name in state.nodes]
    for name, channel in state.channels.items():
        verdict = "peers agree" if channel.agree else "PEERS DIFFER"
        lines.append(f"\n{name}: leader {channel.leader or 'none'}, {verdict}")
        for peer, found in sorted(channel.peers.items()):
            lines.append(f"  {peer:<12} height {found.height:<8} commit hash {found.commit_hash[:16]}")
        for orderer, height in sorted(channel.orderers.items()):
            lines.append(f"  {orderer:<12} height {height}")
    return "\n".join(lines)

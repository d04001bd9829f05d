"""The state of a network: which nodes answer, how far each channel is, whether the peers agree."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from gridledger.client.profile import ConnectionProfile, NodeEntry
from gridledger.errors import GridLedgerError
from gridledger.identity.signer import SigningIdentity
from gridledger.transport.node_client import NodeClient

_TIMEOUT_S = 5.0
_RUNNING = "running"


@dataclass(frozen=True, slots=True)
class PeerState:
    """One peer's view of a channel."""

    height: int
    commit_hash: str


@dataclass(slots=True)
class ChannelState:
    """A channel: its peers' states by name, the heights at its orderers, and who leads it.

    ``common`` has each peer's commit hash at the height that all have reached, where their heights differed when asked.
    """

    peers: dict[str, PeerState] = field(default_factory=dict)
    orderers: dict[str, int] = field(default_factory=dict)
    leader: str | None = None
    common: dict[str, str] = field(default_factory=dict)

    @property
    def agree(self) -> bool:
        """Whether peers have equal commit hashes where they have equal heights, and at the height that all have."""
        hashes: dict[int, set[str]] = defaultdict(set)
        for state in self.peers.values():
            hashes[state.height].add(state.commit_hash)
        return all(len(found) == 1 for found in hashes.values()) and len(set(self.common.values())) <= 1

    @property
    def level(self) -> bool:
        """Whether all peers have the same height and commit hash."""
        return len({(state.height, state.commit_hash) for state in self.peers.values()}) == 1


@dataclass(slots=True)
class NetworkState:
    """All channels by name, and by name what is wrong with nodes that do not answer.

    ``processes`` is what the supervisor on this machine says of each: running, stopped, or how it ended.
    """

    channels: dict[str, ChannelState]
    down: dict[str, str]
    nodes: list[str]
    processes: dict[str, str] = field(default_factory=dict)

    @property
    def sound(self) -> bool:
        """Whether all nodes answer and no two peers differ."""
        return not self.down and all(channel.agree for channel in self.channels.values())


async def network_state(profile: ConnectionProfile, processes: Mapping[str, str] | None = None) -> NetworkState:
    """Ask every node, as its own organisation's admin, and the CA service for its health.

    ``processes``: what the network's supervisor says of them, where there is one.
    """
    roots = profile.roots.read_text(encoding="ascii")
    nodes = {**profile.orderers, **profile.peers}
    state = NetworkState({name: ChannelState() for name in profile.channels}, {}, ["ca", *nodes], dict(processes or {}))
    async with AsyncExitStack() as stack:
        clients = {name: await stack.enter_async_context(_client(profile, nodes[name], roots)) for name in nodes}
        ca = await stack.enter_async_context(NodeClient(profile.ca.url, None, profile.ca.tls_root.read_text("ascii")))
        questions = [_ask("ca", ca, "/healthz"), *(_ask(name, client, "/status") for name, client in clients.items())]
        answers = dict(await asyncio.gather(*questions))
        state.down = {name: item.message for name, item in answers.items() if isinstance(item, GridLedgerError)}
        _note_channels(state, {name: answers[name] for name in nodes if name not in state.down}, set(profile.peers))
        for name, channel in state.channels.items():
            if len({peer.height for peer in channel.peers.values()}) > 1:
                await _compare_below(name, channel, clients, state)
    return state


def _client(profile: ConnectionProfile, entry: NodeEntry, roots: str) -> NodeClient:
    return NodeClient(entry.url, SigningIdentity.load(profile.user(entry.organisation, "admin")), roots)


async def _ask(name: str, client: NodeClient, path: str) -> tuple[str, Any]:
    try:
        return name, await client.get_json(path, timeout_s=_TIMEOUT_S)
    except GridLedgerError as error:
        return name, error


def _note_channels(state: NetworkState, answers: dict[str, Any], peers: set[str]) -> None:
    terms: dict[str, int] = {}
    for name, answer in answers.items():
        for channel, there in answer["channels"].items():
            found = state.channels.setdefault(channel, ChannelState())
            if name in peers:
                found.peers[name] = PeerState(there["height"], there["commit_hash"])
                continue
            found.orderers[name] = there["height"]
            # One that was cut off may still name the leader of an earlier term.
            if there["leader"] and there["term"] > terms.get(channel, -1):
                terms[channel], found.leader = there["term"], there["leader"]


async def _compare_below(name: str, channel: ChannelState, clients: dict[str, NodeClient], state: NetworkState) -> None:
    """Ask for the commit hash at the height that all peers of the channel have, since they have different ones now."""
    height = min(peer.height for peer in channel.peers.values())
    if height == 0:
        return
    path = f"/channels/{name}/blocks/{height - 1}"
    for peer, answer in await asyncio.gather(*(_ask(peer, clients[peer], path) for peer in channel.peers)):
        if isinstance(answer, GridLedgerError):
            state.down[peer] = answer.message
        else:
            channel.common[peer] = answer["commit_hash"]


def table(state: NetworkState) -> str:
    """The state as a person reads it."""
    lines = [f"{name:<12} {_condition(name, state)}" for name in state.nodes]
    for name, channel in state.channels.items():
        lines.append(f"\n{name}: leader {channel.leader or 'none'}, {_verdict(channel)}")
        for peer, found in sorted(channel.peers.items()):
            below = f"  (at the lowest peer's height {channel.common[peer][:16]})" if peer in channel.common else ""
            lines.append(f"  {peer:<12} height {found.height:<8} commit hash {found.commit_hash[:16]}{below}")
        for orderer, height in sorted(channel.orderers.items()):
            lines.append(f"  {orderer:<12} height {height}")
    return "\n".join(lines)


def _condition(name: str, state: NetworkState) -> str:
    if name not in state.down:
        return "up"
    if state.processes.get(name, _RUNNING) != _RUNNING:
        return f"{state.processes[name]} (gridledger start {name})"
    return f"down: {state.down[name]}"


def _verdict(channel: ChannelState) -> str:
    if not channel.peers:
        return "no peer answers"
    return "peers agree" if channel.agree else "PEERS DIFFER"

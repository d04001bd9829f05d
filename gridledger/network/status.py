"""The state of a network: which nodes answer, how far each channel is, whether the peers agree."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from gridledger.client.node_status import ChannelAtNode, NodeStatus
from gridledger.client.profile import ConnectionProfile, NodeEntry
from gridledger.errors import AuthenticationError, GridLedgerError, PermissionDeniedError
from gridledger.identity.signer import SigningIdentity
from gridledger.transport.node_client import NodeClient, path_of

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
    ``queued`` has how many envelopes wait at a node, of those that tell the caller (its own admin); ``term`` is the
    leader's.
    """

    peers: dict[str, PeerState] = field(default_factory=dict)
    orderers: dict[str, int] = field(default_factory=dict)
    leader: str | None = None
    common: dict[str, str] = field(default_factory=dict)
    term: int | None = None
    queued: dict[str, int] = field(default_factory=dict)

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


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """What a node says of itself: its version, and until when its certificate is valid (microseconds since 1970).

    ``chaincodes`` is what the pools of a peer's hosts do, by chaincode and package, which it tells admins of its
    organisation only; None where it is not told.
    """

    version: str
    certificate_not_after_us: int
    chaincodes: Mapping[str, Mapping[str, int]] | None = None


@dataclass(slots=True)
class NetworkState:
    """All channels by name, and by name what is wrong with nodes that do not answer.

    ``processes`` is what the supervisor on this machine says of each: running, stopped, or how it ended. ``refusals``
    are the answers of nodes that tell the caller nothing.
    """

    channels: dict[str, ChannelState]
    down: dict[str, str]
    nodes: list[str]
    processes: dict[str, str] = field(default_factory=dict)
    told: dict[str, NodeInfo] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)

    @property
    def sound(self) -> bool:
        """Whether all nodes answer and no two peers differ."""
        return not self.down and all(channel.agree for channel in self.channels.values())


Who = Callable[[NodeEntry], SigningIdentity]
"""As whom a node is asked."""


def own_admins(profile: ConnectionProfile) -> Who:
    """Each node is asked as its own organisation's admin, by a program that made the whole network."""
    return lambda entry: SigningIdentity.load(profile.user(entry.organisation, "admin"))


class NodeClients:
    """Connections to all nodes of a network, and to its CA service, through which their states are asked for again and
    again. Make it with :func:`node_clients`."""

    def __init__(self, profile: ConnectionProfile, clients: Mapping[str, NodeClient], ca: NodeClient) -> None:
        self._profile = profile
        self._clients = clients
        self._ca = ca

    async def state(self, processes: Mapping[str, str] | None = None) -> NetworkState:
        """Ask every node for what it tells, and the CA service for its health.

        ``processes``: what the network's supervisor says of them, where there is one.
        """
        names = list(self._clients)
        channels = {name: ChannelState() for name in self._profile.channels}
        state = NetworkState(channels, {}, ["ca", *names], dict(processes or {}))
        questions = [_ask(name, client, "/status") for name, client in self._clients.items()]
        answers = dict(await asyncio.gather(_ask("ca", self._ca, "/healthz"), *questions))
        _note_errors(state, answers)
        heard = {name: answers[name] for name in names if name not in state.down and name not in state.refusals}
        note_channels(state, heard, set(self._profile.peers))
        for name, channel in state.channels.items():
            if len({peer.height for peer in channel.peers.values()}) > 1:
                await _compare_below(name, channel, self._clients, state)
        return state


@asynccontextmanager
async def node_clients(profile: ConnectionProfile, who: Who) -> AsyncIterator[NodeClients]:
    """A connection to each node as the identity that ``who`` gives, for as long as the block lasts."""
    async with AsyncExitStack() as stack:
        clients = {
            name: await stack.enter_async_context(NodeClient.to(profile.way_to(name), who(entry)))
            for name, entry in {**profile.orderers, **profile.peers}.items()
        }
        ca = await stack.enter_async_context(NodeClient(profile.ca.url, None, profile.ca.tls_root.read_text("ascii")))
        yield NodeClients(profile, clients, ca)


async def network_state(
    profile: ConnectionProfile, who: Who, processes: Mapping[str, str] | None = None
) -> NetworkState:
    """Ask every node once; see :meth:`NodeClients.state`."""
    async with node_clients(profile, who) as clients:
        return await clients.state(processes)


def _note_errors(state: NetworkState, answers: dict[str, Any]) -> None:
    for name, answer in answers.items():
        if isinstance(answer, AuthenticationError | PermissionDeniedError):
            state.refusals[name] = answer.message
        elif isinstance(answer, GridLedgerError):
            state.down[name] = answer.message


async def _ask(name: str, client: NodeClient, path: str) -> tuple[str, Any]:
    try:
        return name, await client.get_json(path, timeout_s=_TIMEOUT_S)
    except GridLedgerError as error:
        return name, error


def note_channels(state: NetworkState, answers: dict[str, Any], peers: set[str]) -> None:
    """Add what nodes answered to ``/status``, by name; ``peers`` are those that are no orderers."""
    for name, answer in answers.items():
        try:
            status = NodeStatus.from_dict(answer)
        except GridLedgerError as error:
            state.down[name] = f"its status cannot be read: {error.message}"
            continue
        state.told[name] = NodeInfo(status.version, status.certificate_not_after_us, status.chaincodes)
        for channel, there in status.channels.items():
            _note_channel(state.channels.setdefault(channel, ChannelState()), name, there, is_peer=name in peers)


def _note_channel(found: ChannelState, name: str, there: ChannelAtNode, *, is_peer: bool) -> None:
    if there.queued is not None:
        found.queued[name] = there.queued
    if is_peer:
        found.peers[name] = PeerState(there.height, there.commit_hash or "")
        return
    found.orderers[name] = there.height
    # One that was cut off may still name the leader of an earlier term.
    if there.leader and there.term is not None and (found.term is None or there.term > found.term):
        found.term, found.leader = there.term, there.leader


async def _compare_below(
    name: str, channel: ChannelState, clients: Mapping[str, NodeClient], state: NetworkState
) -> None:
    """Ask for the commit hash at the height that all peers of the channel have, since they have different ones now."""
    height = min(peer.height for peer in channel.peers.values())
    if height == 0:
        return
    path = path_of("channels", name, "blocks", str(height - 1))
    for peer, answer in await asyncio.gather(*(_ask(peer, clients[peer], path) for peer in channel.peers)):
        if isinstance(answer, GridLedgerError):
            state.down[peer] = answer.message
        else:
            channel.common[peer] = answer["commit_hash"]


def table(state: NetworkState) -> str:
    """The state as a person reads it."""
    names = dict.fromkeys((*state.nodes, *state.processes))
    lines = [f"{name:<12} {_condition(name, state)}" for name in names]
    for name, channel in state.channels.items():
        if not channel.peers and not channel.orderers and (state.told or state.refusals):
            lines.append(f"\n{name}: nothing is told to this user")
            continue
        term = "" if channel.term is None else f", term {channel.term}"
        lines.append(f"\n{name}: leader {channel.leader or 'none'}, {_verdict(channel)}{term}")
        for peer, found in sorted(channel.peers.items()):
            below = f"  (at the lowest peer's height {channel.common[peer][:16]})" if peer in channel.common else ""
            place = f"  {peer:<12} height {found.height:<8} commit hash {found.commit_hash[:16]}"
            lines.append(f"{place}{below}{_queue(channel, peer)}")
        for orderer, height in sorted(channel.orderers.items()):
            lines.append(f"  {orderer:<12} height {height}{_queue(channel, orderer)}")
    return "\n".join(lines)


def _condition(name: str, state: NetworkState) -> str:
    if name not in state.nodes and state.processes[name] != _RUNNING:
        return f"{state.processes[name]} (gridledger start {name})"
    if name in state.refusals:
        return f"up, but tells this user nothing: {state.refusals[name]}"
    if name not in state.down:
        info = state.told.get(name)
        return f"up    {info.version:<8} certificate until {_day(info.certificate_not_after_us)}" if info else "up"
    if state.processes.get(name, _RUNNING) != _RUNNING:
        return f"{state.processes[name]} (gridledger start {name})"
    return f"down: {state.down[name]}"


def _queue(channel: ChannelState, node: str) -> str:
    queued = channel.queued.get(node)
    return "" if queued is None else f"  queued {queued}"


def _day(at_us: int) -> str:
    return f"{datetime.fromtimestamp(at_us / 1e6, UTC):%Y-%m-%d}"


def _verdict(channel: ChannelState) -> str:
    if not channel.peers:
        return "no peer answers"
    return "peers agree" if channel.agree else "PEERS DIFFER"

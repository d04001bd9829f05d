"""Connections to the other nodes of this peer's channels: one lasting client for each."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from gridledger.errors import BusyError, MalformedMessage, UnavailableError
from gridledger.identity.signer import SigningIdentity
from gridledger.protocol.config import ChannelConfig, Node
from gridledger.transport.call_client import CallClient
from gridledger.transport.call_frames import ENDORSE_HERE, PING
from gridledger.transport.node_client import NodeClient
from gridledger.transport.pins import Dialled, orderers_of, peers_of
from services.peer.endorser import remote
from services.peer.endorser.endorser import AdmittedProposal, ProposalResponse
from services.peer.errors import BadEndorsement

PROBE_TIMEOUT_S = 2.0
MAX_CONNECTIONS = 16
"""To one node, beside the stream of calls: batches to the orderers and evaluations share them."""


class _Link:
    """One node's client, and its stream of calls once there are any."""

    def __init__(self, dialled: Dialled, identity: SigningIdentity) -> None:
        self.client = NodeClient.to(dialled, identity, max_connections=MAX_CONNECTIONS)
        self._calls: CallClient | None = None

    @property
    def calls(self) -> CallClient:
        if self._calls is None:
            client = self.client
            self._calls = CallClient(client.base_url, client.tls, connect_timeout_s=client.connect_timeout_s)
        return self._calls

    async def close(self) -> None:
        if self._calls is not None:
            await self._calls.close()
        await self.client.close()


class OtherNodes:
    """Follows the channels' configs: a node whose address or certificate changed gets a new client, one that left loses
    its own. Each channel's config alone says who its nodes are; where channels agree they share a client."""

    def __init__(self, identity: SigningIdentity) -> None:
        self._identity = identity
        self._links: dict[Dialled, _Link] = {}
        self._peers: dict[tuple[str, str], _Link] = {}
        self._orderers: dict[tuple[str, str], _Link] = {}
        self._by_certificate: dict[str, _Link] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def follow(self, configs: Iterable[ChannelConfig]) -> None:
        """Go by these configs. Connections that are not needed any more are closed in the background."""
        before, self._links = self._links, {}
        self._peers, self._orderers, self._by_certificate = {}, {}, {}
        for config in configs:
            for named, links in ((peers_of(config), self._peers), (orderers_of(config), self._orderers)):
                for name, dialled in named.items():
                    link = self._links.get(dialled) or before.pop(dialled, None) or _Link(dialled, self._identity)
                    links[config.channel, name] = self._links[dialled] = link
            for fingerprint, node in config.peers_by_fingerprint.items():
                self._by_certificate[fingerprint] = self._peers[config.channel, node.name]
        for link in before.values():
            task = asyncio.get_running_loop().create_task(self._retire(link))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def endorse(
        self, peer: Node, proposal: AdmittedProposal, min_height: int, timeout_s: float
    ) -> ProposalResponse:
        """Ask another peer for an endorsement, which is not verified here; raises its error."""
        request = remote.write_request(min_height, proposal.signed)
        calls = self._peer(proposal.channel.name, peer).calls
        answer = await calls.call(ENDORSE_HERE, request, timeout_s)
        try:
            return remote.read_response(answer)
        except MalformedMessage as error:
            raise BadEndorsement(f"{peer.name}: {error.message}") from None

    async def evaluate(self, peer: Node, proposal: AdmittedProposal, timeout_s: float) -> bytes:
        """Have another peer evaluate a proposal; its answer's body."""
        client, body = self._peer(proposal.channel.name, peer).client, proposal.signed.to_bytes()
        return await client.post("/gateway/evaluate", body, params={"forward": "no"}, timeout_s=timeout_s)

    async def broadcast(self, orderer: str, channel: str, body: bytes, timeout_s: float) -> bytes:
        """Hand envelopes to an orderer; its answer's body."""
        link = self._orderers.get((channel, orderer))
        if link is None:
            raise UnavailableError(f"{orderer} is no orderer of {channel}")
        return await link.client.post(f"/channels/{channel}/broadcast", body, timeout_s=timeout_s)

    async def probe(self, peer: Node) -> None:
        """Raise unless the peer answers where endorsements are asked for; that it is busy is an answer."""
        link = self._by_certificate.get(peer.fingerprint)
        if link is None:
            raise UnavailableError(f"{peer.name} is no peer of this peer's channels")
        with suppress(BusyError):
            await link.calls.call(PING, b"", PROBE_TIMEOUT_S)

    async def close(self) -> None:
        """Close all connections."""
        await asyncio.gather(*self._closing, return_exceptions=True)
        await asyncio.gather(*(link.close() for link in self._links.values()))
        self._links, self._peers, self._orderers, self._by_certificate = {}, {}, {}, {}

    def _peer(self, channel: str, peer: Node) -> _Link:
        link = self._peers.get((channel, peer.name))
        if link is None:
            raise UnavailableError(f"{peer.name} is no peer of {channel}")
        return link

    @staticmethod
    async def _retire(link: _Link) -> None:
        # Requests that are under way get their answers first, within the longest time that any of them may take.
        await asyncio.sleep(PROBE_TIMEOUT_S)
        await link.close()

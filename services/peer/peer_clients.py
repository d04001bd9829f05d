"""Connections to the other nodes of this peer's channels, one client for each, kept open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

from gridledger import jsontext
from gridledger.client.http import NodeClient
from gridledger.errors import GridLedgerError, MalformedMessage, TimeoutExceeded, UnavailableError
from gridledger.identity.signer import SigningIdentity
from gridledger.protocol.config import ChannelConfig, Node
from gridledger.protocol.result import Endorsement
from services.peer.endorse_batches import EndorseQueue
from services.peer.endorser import Abandon, Admitted, Answer, Answers
from services.peer.settings import EndorsementLimits

PROBE_TIMEOUT_S = 2.0
MAX_CONNECTIONS = 16
"""To one node: endorsements, batches to the orderers, evaluations and probes share them."""


class _PeerWire:
    """POST /endorse and /endorse/batch at one peer."""

    def __init__(self, client: NodeClient, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s

    async def one(self, body: bytes, min_height: int) -> bytes:
        params = {"min_height": str(min_height)} if min_height else None
        return await self._client.post("/endorse", body, params=params, timeout_s=self._timeout_s)

    def many(self, body: bytes) -> AsyncIterator[bytes]:
        return self._client.frames("/endorse/batch", body=body)


class PeerClients:
    """Follows the channels' configs: an address that changed gets a new client, a node that left loses its own."""

    def __init__(self, identity: SigningIdentity, roots_pem: str, limits: EndorsementLimits) -> None:
        self._identity = identity
        self._roots_pem = roots_pem
        self._roots = ""
        self._limits = limits
        self._queues: dict[str, EndorseQueue] = {}
        self._clients: dict[str, NodeClient] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def follow(self, configs: Iterable[ChannelConfig]) -> None:
        """Go by these configs. Connections that are not needed any more are closed in the background."""
        known = list(configs)
        # A new organisation brings a root that the file of the start does not have.
        roots = self._roots_pem + "".join(config.msps.roots_pem() for config in known)
        changed, self._roots = roots != self._roots, roots
        nodes = {node.name: node for config in known for node in (*config.peers.values(), *config.orderers.values())}
        for name, client in list(self._clients.items()):
            node = nodes.get(name)
            if changed or node is None or node.url.rstrip("/") != client.base_url:
                task = asyncio.get_running_loop().create_task(self._retire(self._clients.pop(name)))
                self._queues.pop(name, None)
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)
        for name, node in nodes.items():
            if name not in self._clients:
                self._clients[name] = NodeClient(node.url, self._identity, roots, max_connections=MAX_CONNECTIONS)

    async def endorse(self, peer: Node, admitted: Admitted, min_height: int, timeout_s: float) -> Answer:
        """Ask another peer for an endorsement; raises its error."""
        queue = self._queues.get(peer.name)
        if queue is None:
            wire = _PeerWire(self._client(peer.name), self._limits.timeout_s)
            queue = self._queues[peer.name] = EndorseQueue(wire, max_in_flight=self._limits.max_in_flight)
        try:
            async with asyncio.timeout(timeout_s):
                data = await queue.ask(admitted.to_bytes(), min_height)
        except TimeoutError:
            raise TimeoutExceeded(f"{peer.name}: no answer within {timeout_s:.1f} s") from None
        return _read_answer(data, peer)

    def endorse_many(self, peer: Node, admitted: Sequence[Admitted], take: Callable[[Answers], None]) -> Abandon:
        """As :meth:`endorse`, for many proposals; ``take`` gets each answer as it comes."""

        async def ask(position: int, each: Admitted) -> None:
            answer: Answer | GridLedgerError
            try:
                answer = await self.endorse(peer, each, 0, self._limits.timeout_s)
            except GridLedgerError as error:
                answer = error
            take([(position, answer)])

        return asyncio.gather(*(ask(position, each) for position, each in enumerate(admitted))).cancel

    async def evaluate(self, peer: Node, admitted: Admitted, timeout_s: float) -> bytes:
        """Have another peer evaluate a proposal; its answer's body."""
        body = admitted.to_bytes()
        return await self._client(peer.name).post(
            "/gateway/evaluate", body, params={"forward": "no"}, timeout_s=timeout_s
        )

    async def broadcast(self, orderer: str, channel: str, body: bytes, timeout_s: float) -> bytes:
        """Hand envelopes to an orderer; its answer's body."""
        return await self._client(orderer).post(f"/channels/{channel}/broadcast", body, timeout_s=timeout_s)

    async def probe(self, peer: Node) -> None:
        """Raise unless the peer answers and is well."""
        await self._client(peer.name).get("/healthz", timeout_s=PROBE_TIMEOUT_S)

    async def close(self) -> None:
        """Close all connections."""
        await asyncio.gather(*(queue.close() for queue in self._queues.values()))
        self._queues.clear()
        await asyncio.gather(*self._closing, return_exceptions=True)
        for client in self._clients.values():
            await client.close()
        self._clients.clear()

    def _client(self, name: str) -> NodeClient:
        client = self._clients.get(name)
        if client is None:
            raise UnavailableError(f"{name} is no node of this peer's channels")
        return client

    @staticmethod
    async def _retire(client: NodeClient) -> None:
        # Requests that are under way get their answers first, within the longest time that any of them may take.
        await asyncio.sleep(PROBE_TIMEOUT_S)
        await client.close()


def _read_answer(data: bytes, peer: Node) -> Answer:
    """Read the body that :func:`write_answer` wrote. An endorsement by anyone but the peer itself is refused."""
    try:
        message = jsontext.loads(data)
        text, height = message["result"], message["height"]
        endorsement = Endorsement.from_dict(message["endorsement"])
    except (GridLedgerError, KeyError, TypeError) as error:
        raise MalformedMessage(f"the answer of {peer.name} is no endorsement: {error}", status=502) from None
    if not isinstance(text, str) or type(height) is not int or endorsement.endorser != peer.fingerprint:
        raise MalformedMessage(f"the answer of {peer.name} is no endorsement of its own", status=502)
    return Answer(text, endorsement, height)


def write_answer(answer: Answer) -> bytes:
    """The body with which /endorse answers."""
    return jsontext.dumps(
        {"result": answer.result_text, "endorsement": answer.endorsement.to_dict(), "height": answer.height}
    )

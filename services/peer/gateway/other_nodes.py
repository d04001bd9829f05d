"""Connections to the other nodes of this peer's channels, one client for each, kept open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from gridledger import jsontext
from gridledger.errors import GridLedgerError, MalformedMessage, TimeoutExceeded, UnavailableError
from gridledger.identity.signer import SigningIdentity
from gridledger.protocol.config import ChannelConfig, Node
from gridledger.protocol.result import Endorsement
from gridledger.transport.call_client import Calls, StreamRefused
from gridledger.transport.call_frames import ENDORSE_HERE
from gridledger.transport.node_client import NodeClient
from services.peer.endorser.endorser import Abandon, Admitted, Answer, Answers
from services.peer.endorser.remote import read_answer, write_ask
from services.peer.settings import EndorsementLimits

PROBE_TIMEOUT_S = 2.0
MAX_CONNECTIONS = 16
"""To one node: endorsements, batches to the orderers, evaluations and probes share them."""


class PeerClients:
    """Follows the channels' configs: an address that changed gets a new client, a node that left loses its own."""

    def __init__(self, identity: SigningIdentity, roots_pem: str, limits: EndorsementLimits) -> None:
        self._identity = identity
        self._roots_pem = roots_pem
        self._roots = ""
        self._limits = limits
        self._calls: dict[str, Calls] = {}
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
                task = asyncio.get_running_loop().create_task(
                    self._retire(self._clients.pop(name), self._calls.pop(name, None))
                )
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)
        for name, node in nodes.items():
            if name not in self._clients:
                self._clients[name] = NodeClient(node.url, self._identity, roots, max_connections=MAX_CONNECTIONS)

    async def endorse(self, peer: Node, admitted: Admitted, min_height: int, timeout_s: float) -> Answer:
        """Ask another peer for an endorsement; raises its error."""
        try:
            async with asyncio.timeout(timeout_s):
                data = await self._ask(peer, admitted, min_height)
        except TimeoutError:
            raise TimeoutExceeded(f"{peer.name}: no answer within {timeout_s:.1f} s") from None
        except StreamRefused:
            return await self._ask_by_itself(peer, admitted, min_height, timeout_s)
        return _own_answer(read_answer(data), peer)

    def endorse_many(self, peer: Node, admitted: Sequence[Admitted], take: Callable[[Answers], None]) -> Abandon:
        """As :meth:`endorse`, for many proposals, without an end of its own; ``take`` gets each answer as it comes."""
        asked: list[asyncio.Future[bytes]] = []
        for position, each in enumerate(admitted):
            try:
                asked.append(self._ask(peer, each, 0))
            except GridLedgerError as error:
                take([(position, error)])
            else:
                asked[-1].add_done_callback(partial(self._heard, peer, position, each, take))
        return lambda: [answer.cancel() for answer in asked]

    def _ask(self, peer: Node, admitted: Admitted, min_height: int) -> asyncio.Future[bytes]:
        calls = self._calls.get(peer.name)
        if calls is None:
            client = self._client(peer.name)
            calls = Calls(client.base_url, client.tls, connect_timeout_s=client.connect_timeout_s)
            self._calls[peer.name] = calls
        return calls.begin(ENDORSE_HERE, write_ask(min_height, admitted.signed))

    def _heard(
        self,
        peer: Node,
        position: int,
        admitted: Admitted,
        take: Callable[[Answers], None],
        answered: asyncio.Future[bytes],
    ) -> None:
        if answered.cancelled():
            return
        answer: Answer | GridLedgerError
        try:
            answer = _own_answer(read_answer(answered.result()), peer)
        except StreamRefused:
            task = asyncio.get_running_loop().create_task(self._take_by_itself(peer, position, admitted, take))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
            return
        except GridLedgerError as error:
            answer = error
        take([(position, answer)])

    async def _take_by_itself(
        self, peer: Node, position: int, admitted: Admitted, take: Callable[[Answers], None]
    ) -> None:
        answer: Answer | GridLedgerError
        try:
            answer = await self._ask_by_itself(peer, admitted, 0, self._limits.timeout_s)
        except GridLedgerError as error:
            answer = error
        take([(position, answer)])

    async def _ask_by_itself(self, peer: Node, admitted: Admitted, min_height: int, timeout_s: float) -> Answer:
        """By a request of its own: where the peer takes no further connection for calls."""
        params = {"min_height": str(min_height)} if min_height else None
        data = await self._client(peer.name).post(
            "/endorse", admitted.signed.to_bytes(), params=params, timeout_s=timeout_s
        )
        return _own_answer(_read_json(data), peer)

    async def evaluate(self, peer: Node, admitted: Admitted, timeout_s: float) -> bytes:
        """Have another peer evaluate a proposal; its answer's body."""
        body = admitted.signed.to_bytes()
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
        await asyncio.gather(*(calls.close() for calls in self._calls.values()))
        self._calls.clear()
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
    async def _retire(client: NodeClient, calls: Calls | None) -> None:
        # Requests that are under way get their answers first, within the longest time that any of them may take.
        await asyncio.sleep(PROBE_TIMEOUT_S)
        if calls is not None:
            await calls.close()
        await client.close()


def _own_answer(answer: Answer, peer: Node) -> Answer:
    """An endorsement by anyone but the peer itself is refused."""
    if answer.endorsement.endorser != peer.fingerprint:
        raise MalformedMessage(f"the answer of {peer.name} is no endorsement of its own", status=502)
    return answer


def _read_json(data: bytes) -> Answer:
    """Read the body that :func:`write_json` wrote."""
    try:
        message = jsontext.loads(data)
        text, height = message["result"], message["height"]
        endorsement = Endorsement.from_dict(message["endorsement"])
    except (GridLedgerError, KeyError, TypeError) as error:
        raise MalformedMessage(f"no endorsement can be read: {error}", status=502) from None
    if not isinstance(text, str) or type(height) is not int:
        raise MalformedMessage("no endorsement can be read", status=502)
    return Answer(text, endorsement, height)


def write_json(answer: Answer) -> bytes:
    """The body with which /endorse answers."""
    return jsontext.dumps(
        {"result": answer.result_text, "endorsement": answer.endorsement.to_dict(), "height": answer.height}
    )

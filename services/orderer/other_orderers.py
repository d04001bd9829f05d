"""Connections to the other orderers: for Raft's batches, and for blocks where this one is far behind.

Batches flow through one long request per direction, each a frame of its body: a request per batch costs both sides
several times as much, and a proposal is three hops. A stream ends by itself after STREAM_S or STREAM_BYTES and
the next begins, so that the HTTP edge's bounds on a request hold for it too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
from contextlib import aclosing
from random import Random
from typing import cast

from gridledger import framing
from gridledger.backoff import Backoff
from gridledger.errors import GridLedgerError, TimeoutExceeded, UnavailableError
from gridledger.identity.signer import SigningIdentity
from gridledger.incarnation import node_of
from gridledger.protocol import ChannelConfig
from gridledger.protocol.fields import integer_of, object_of
from gridledger.transport.node_client import NodeClient
from gridledger.transport.pins import Dialled, block_sources_of, either, orderers_of, roots_in
from services.orderer.catching_up import Fetched
from services.orderer.errors import NoLeader

_log = logging.getLogger(__name__)

RAFT_PATH = "/raft"
FETCH_COUNT = 200
FETCH_BYTES = 32 * 1024 * 1024
"""Blocks that are fetched at one go: no more than fit into this and one besides."""

BLOCK_WITHIN_S = 20.0
"""How long a block may take that an orderer says it has. Its heartbeats alone are no sign that it is coming."""
MAX_HEIGHT = 2**48
STREAM_S = 20.0
"""How long a stream lasts; shorter than the edge's ``request_timeout_s``."""
STREAM_BYTES = 8 * 1024 * 1024
"""After how many bytes a stream ends; with one largest batch more it stays below ``max_raft_body_bytes``."""
UNCONFIRMED_S = 3.0
"""How long what was sent may stay unconfirmed by the other machine's TCP. A vanished node, or a network that drops
everything, would else keep a stream waiting for longer the longer it lasted."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0


class _BatchStream:
    """One request that carries batch after batch to one orderer. ``send`` is called for one batch at a time."""

    def __init__(self, client: NodeClient, lasts_s: float, life: str) -> None:
        self.ending = False
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._written: asyncio.Future[None] | None = None
        self._request = asyncio.create_task(client.upload(RAFT_PATH, self._body(), params={"life": life}))
        self._request.add_done_callback(self._ended)
        self._timer = asyncio.get_running_loop().call_later(lasts_s, self._end)

    async def send(self, payload: bytes) -> None:
        """Write one batch; returns when it is with the system, raises what broke the stream (then, or before)."""
        if self._request.done():
            raise self._why()
        self._written = asyncio.get_running_loop().create_future()
        self._queue.put_nowait(framing.frame(payload))
        await self._written

    async def wait_end(self) -> None:
        """Wait until the other side has read a stream that is ending to its end; raises what broke it."""
        await asyncio.shield(self._request)

    def cancel(self) -> None:
        """Break the stream off."""
        self._timer.cancel()
        self._request.cancel()

    async def _body(self) -> AsyncIterator[bytes]:
        sent = 0
        while sent < STREAM_BYTES and (data := await self._queue.get()) is not None:
            yield data
            sent += len(data)
            self.ending = self.ending or sent >= STREAM_BYTES
            if self._written is not None and not self._written.done():
                self._written.set_result(None)

    def _end(self) -> None:
        self.ending = True
        self._queue.put_nowait(None)

    def _ended(self, request: asyncio.Task[bytes]) -> None:
        self._timer.cancel()
        if self._written is not None and not self._written.done():
            self._written.set_exception(self._why())
        elif not request.cancelled():
            request.exception()  # told by the next send

    def _why(self) -> BaseException:
        error = None if self._request.cancelled() else self._request.exception()
        return error or UnavailableError("the other orderer ended the stream")


class _Links:
    """One client for each orderer, by name."""

    def __init__(self, identity: SigningIdentity, *, max_connections: int) -> None:
        self.clients: dict[str, NodeClient] = {}
        self._identity = identity
        self._max_connections = max_connections
        self._dialled: dict[str, Dialled] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def follow(self, nodes: Mapping[str, Dialled]) -> list[str]:
        """Dial these and no others from now on; the names of those that had a client which is not used any more."""
        gone = [name for name, dialled in self._dialled.items() if nodes.get(name) != dialled]
        for name in gone:
            task = asyncio.get_running_loop().create_task(self.clients.pop(name).close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        self._dialled = dict(nodes)
        for name, dialled in nodes.items():
            if name not in self.clients:
                self.clients[name] = NodeClient.to(
                    dialled, self._identity, max_connections=self._max_connections, unconfirmed_s=UNCONFIRMED_S
                )
        return gone

    async def close(self) -> None:
        """Close all connections."""
        await asyncio.gather(*self._closing, return_exceptions=True)
        for client in self.clients.values():
            await client.close()


def _merged(
    channels: Mapping[str, Mapping[str, Dialled]], newest: Sequence[str], *, without: str
) -> dict[str, Dialled]:
    """What several channels say of each orderer: the roots that all of them have for it, everybody's certificates, and
    the URL of the channel that comes last in ``newest``.

    Over one connection goes what is of all channels. So no channel alone may have another node answer to the name: only
    under roots that the others have as well. One that has none of them in common with those before it is not heard.
    """
    merged: dict[str, Dialled] = {}
    agreeing: dict[str, set[str]] = {}
    for channel, nodes in channels.items():
        for name, dialled in nodes.items():
            known = merged.setdefault(name, dialled)
            roots = [root for root in roots_in(known.roots_pem) if root in roots_in(dialled.roots_pem)]
            if not roots:
                _log.error("%s is not heard on who %s is: other channels know other roots", channel, name)
                continue
            agreeing.setdefault(name, set()).add(channel)
            url = next(channels[one][name].url for one in reversed(newest) if one in agreeing[name])
            merged[name] = Dialled(url, "".join(root.pem for root in roots), either(known.pin, dialled.pin))
    merged.pop(without, None)
    return merged


class OtherOrderers:
    """Connections to the other orderers of all channels. Implements the consensus engine's ``Transport``."""

    def __init__(
        self, name: str, identity: SigningIdentity, roots_pem: str, *, timeout_s: float, random: Random
    ) -> None:
        self._name = name
        self._identity = identity
        self._roots_pem = roots_pem
        self._timeout_s = timeout_s
        self._random = random
        self.life = ""
        """What this orderer tells of its present start; set before the first batch is sent."""
        self._configs: dict[str, ChannelConfig] = {}
        self._newest: list[str] = []
        self._raft = _Links(identity, max_connections=4)
        self._blocks = _Links(identity, max_connections=4)
        self._streams: dict[str, _BatchStream] = {}

    def follow(self, config: ChannelConfig) -> None:
        """Connect to the orderers of a channel's configuration, this one left out, as it identifies them.

        Raft knows an orderer by its name over all channels, so a connection holds to what they say of it together. One
        that is older than what is followed, as a chain meets behind what was read ahead of it, is left out.
        """
        followed = self._configs.get(config.channel)
        if followed is not None and followed.sequence > config.sequence:
            return
        self._configs[config.channel] = config  # in the order in which the channels came first
        self._newest = [name for name in self._newest if name != config.channel] + [config.channel]
        orderers = {name: orderers_of(item) for name, item in self._configs.items()}
        for name in self._raft.follow(_merged(orderers, self._newest, without=self._name)):
            for node_id in [node_id for node_id in self._streams if node_of(node_id) == name]:
                self._drop(node_id)
        sources = {name: block_sources_of(item, self._roots_pem) for name, item in self._configs.items()}
        self._blocks.follow(_merged(sources, self._newest, without=self._name))

    async def send(self, node_id: str, payload: bytes) -> None:
        """Hand a batch of Raft messages to another orderer (``Transport``). A stream that broke since the last batch is
        told of here, once; the batch after that begins another."""
        client = self._raft.clients.get(node_of(node_id))
        if client is None:
            raise UnavailableError(f"no orderer named {node_id!r} in any channel's configuration")
        try:
            stream = self._streams.get(node_id)
            if stream is not None and stream.ending:
                await stream.wait_end()
                stream = None
            if stream is None:
                stream = self._streams[node_id] = _BatchStream(client, STREAM_S, self.life)
            await stream.send(payload)
        except BaseException:
            self._drop(node_id)
            raise

    def _drop(self, node_id: str) -> None:
        stream = self._streams.pop(node_id, None)
        if stream is not None:
            stream.cancel()

    async def fetch(self, channel: str, first: int, height: int, avoid: Collection[str] = frozenset()) -> Fetched:
        """Records of blocks ``first`` and up, below ``height``, from whichever other orderer has them.

        Retries with growing pauses until one answers: without the blocks this orderer cannot take part. Those in
        ``avoid`` are not asked; where there are some, and nobody else has any, that is the answer, after a pause.
        """
        backoff = Backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S, self._random)
        while True:
            for name, client in self._random.sample(sorted(self._blocks.clients.items()), len(self._blocks.clients)):
                if name in avoid:
                    continue
                try:
                    if records := await self._fetch_from(client, channel, first, height):
                        return Fetched(name, records)
                except GridLedgerError as error:
                    _log.info("%s has no block %d of %s for us: %s", name, first, channel, error)
            await asyncio.sleep(backoff.failed())
            if avoid:
                return Fetched("", ())

    async def peek(self, channel: str, first: int) -> Sequence[bytes]:
        """The same from ``first`` on, of whichever other orderer answers; none where nobody has them.

        The organisation's root is enough to be asked: blocks carry their own proof.
        """
        for name, client in self._random.sample(sorted(self._blocks.clients.items()), len(self._blocks.clients)):
            try:
                return await self._fetch_from(client, channel, first, MAX_HEIGHT)
            except GridLedgerError as error:
                _log.info("%s has no block %d of %s for us: %s", name, first, channel, error)
        return ()

    async def hashes(self, channel: str, number: int, names: Collection[str]) -> Mapping[str, str]:
        """A block's hash at each of these orderers that answers in time and has it."""

        async def ask(name: str) -> tuple[str, str] | None:
            try:
                path = f"/channels/{channel}/blocks/{number}/hash"
                answer = await self._blocks.clients[name].get_json(path, timeout_s=self._timeout_s)
                return name, str(answer["hash"])
            except (GridLedgerError, LookupError, TypeError):
                return None

        asked = [ask(name) for name in names if name in self._blocks.clients]
        return dict(filter(None, await asyncio.gather(*asked)))

    async def close(self) -> None:
        """Close all connections."""
        for name in list(self._streams):
            self._drop(name)
        await self._raft.close()
        await self._blocks.close()

    async def _fetch_from(self, client: NodeClient, channel: str, first: int, height: int) -> list[bytes]:
        there = await client.get_json(f"/channels/{channel}", timeout_s=self._timeout_s)
        count = min(FETCH_COUNT, height - first, integer_of(object_of(there, "a channel's state"), "height") - first)
        if count <= 0:
            raise NoLeader(f"its height is {there['height']}")
        params = {"from": str(first), "count": str(count)}
        records: list[bytes] = []
        size = 0
        stream = cast("AsyncGenerator[bytes, None]", client.frames(f"/channels/{channel}/deliver", params=params))
        try:
            async with (
                aclosing(stream) as frames,
                asyncio.timeout(BLOCK_WITHIN_S) as patience,
            ):
                async for record in frames:
                    records.append(record)
                    size += len(record)
                    if len(records) >= count or size >= FETCH_BYTES:
                        break
                    patience.reschedule(asyncio.get_running_loop().time() + BLOCK_WITHIN_S)
        except TimeoutError:
            if not records:
                raise TimeoutExceeded(f"no block within {BLOCK_WITHIN_S:g} s, though it says that it has") from None
        return records

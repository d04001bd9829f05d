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

from gridledger import framing, jsontext
from gridledger.backoff import Backoff
from gridledger.errors import GridLedgerError, TimeoutExceeded, UnavailableError
from gridledger.identity.signer import SigningIdentity
from gridledger.incarnation import node_of
from gridledger.protocol import ChannelConfig
from gridledger.protocol.fields import integer_of, object_of, text_of
from gridledger.transport.node_client import NodeClient
from gridledger.transport.pins import Dialled, block_sources_of, raft_nodes_of
from services.orderer.catching_up import Fetched
from services.orderer.errors import NoLeader, NotAnOrderer, OtherIncarnation
from services.orderer.raft.interface import Link

_log = logging.getLogger(__name__)

RAFT_PATH, JOIN_PATH = "/raft", "/raft/join"
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
    """A client for each orderer of each channel. Where channels dial an orderer in the same way they share one.

    So what one channel's config says of an orderer moves no other channel's client.
    """

    def __init__(self, identity: SigningIdentity, *, max_connections: int) -> None:
        self._identity = identity
        self._max_connections = max_connections
        self._channels: dict[str, dict[str, Dialled]] = {}
        self._clients: dict[Dialled, tuple[int, NodeClient]] = {}
        self._made = 0
        self._closing: set[asyncio.Task[None]] = set()

    def follow(self, channel: str, nodes: Mapping[str, Dialled]) -> set[int]:
        """Dial a channel's orderers like this from now on; the numbers of clients that nobody uses any more."""
        self._channels[channel] = dict(nodes)
        used = {dialled for of_channel in self._channels.values() for dialled in of_channel.values()}
        gone = {dialled: self._clients.pop(dialled) for dialled in self._clients.keys() - used}
        for _, client in gone.values():
            task = asyncio.get_running_loop().create_task(client.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        for dialled in used - self._clients.keys():
            client = NodeClient.to(
                dialled, self._identity, max_connections=self._max_connections, unconfirmed_s=UNCONFIRMED_S
            )
            self._made += 1
            self._clients[dialled] = self._made, client
        return {number for number, _ in gone.values()}

    def number(self, channel: str, name: str) -> int:
        """The number of the client for a channel's orderer, 0 where there is none."""
        dialled = self._channels.get(channel, {}).get(name)
        return 0 if dialled is None else self._clients[dialled][0]

    def numbered(self, number: int) -> NodeClient | None:
        """The client of this number, if it is still used."""
        return next((client for made, client in self._clients.values() if made == number), None)

    def of(self, channel: str) -> dict[str, NodeClient]:
        """A channel's orderers."""
        return {name: self._clients[dialled][1] for name, dialled in self._channels.get(channel, {}).items()}

    async def close(self) -> None:
        """Close all connections."""
        await asyncio.gather(*self._closing, return_exceptions=True)
        for _, client in self._clients.values():
            await client.close()


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
        self._followed: dict[str, int] = {}
        self._raft = _Links(identity, max_connections=4)
        self._blocks = _Links(identity, max_connections=4)
        self._streams: dict[Link, _BatchStream] = {}

    def follow(self, config: ChannelConfig) -> None:
        """Connect to the orderers of a channel's configuration, this one left out, as it identifies them.

        One that is older than what is followed, as a chain meets behind what was read ahead of it, is left out.
        """
        if self._followed.get(config.channel, -1) > config.sequence:
            return
        self._followed[config.channel] = config.sequence
        gone = self._raft.follow(config.channel, self._others(raft_nodes_of(config)))
        for link in [link for link in self._streams if link.way in gone]:
            self._drop(link)
        self._blocks.follow(config.channel, self._others(block_sources_of(config, self._roots_pem, departing=True)))

    def forget(self, channel: str) -> None:
        """Connect to a channel's orderers no more."""
        self._followed.pop(channel, None)
        gone = self._raft.follow(channel, {})
        for link in [link for link in self._streams if link.way in gone]:
            self._drop(link)
        self._blocks.follow(channel, {})

    def _others(self, orderers: Mapping[str, Dialled]) -> dict[str, Dialled]:
        return {name: dialled for name, dialled in orderers.items() if name != self._name}

    def link(self, group: str, to: str) -> Link:
        """Which connection takes a channel's messages to an orderer (``Transport``)."""
        return Link(to, self._raft.number(group, node_of(to)))

    async def send(self, link: Link, payload: bytes) -> None:
        """Hand a batch of Raft messages to another orderer (``Transport``). A stream that broke since the last batch is
        told of here, once; the batch after that begins another."""
        client = self._raft.numbered(link.way)
        if client is None:
            raise UnavailableError(f"no orderer named {link.to!r} in the configuration of the channels that talk to it")
        try:
            stream = self._streams.get(link)
            if stream is not None and stream.ending:
                await stream.wait_end()
                stream = None
            if stream is None:
                stream = self._streams[link] = _BatchStream(client, STREAM_S, self.life)
            await stream.send(payload)
        except BaseException:
            self._drop(link)
            raise

    def _drop(self, link: Link) -> None:
        stream = self._streams.pop(link, None)
        if stream is not None:
            stream.cancel()

    async def fetch(
        self,
        channel: str,
        first: int,
        height: int,
        avoid: Collection[str] = frozenset(),
        *,
        only_once: bool = False,
    ) -> Fetched:
        """Records of blocks ``first`` and up, below ``height``, from whichever other orderer has them.

        Retries with growing pauses until one answers: without the blocks this orderer cannot take part. Those in
        ``avoid`` are not asked; where there are some, or ``only_once``, and nobody else has any, that is the answer,
        after a pause.
        """
        backoff = Backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S, self._random)
        while True:
            for name, client in self._in_any_order(channel):
                if name in avoid:
                    continue
                try:
                    if records := await self._fetch_from(client, channel, first, height):
                        return Fetched(name, records)
                except GridLedgerError as error:
                    _log.info("%s has no block %d of %s for us: %s", name, first, channel, error)
            await asyncio.sleep(backoff.failed())
            if avoid or only_once:
                return Fetched("", ())

    async def peek(self, channel: str, first: int) -> Sequence[bytes]:
        """The same from ``first`` on, of whichever other orderer answers; none where nobody has them.

        The organisation's root is enough to be asked: blocks carry their own proof.
        """
        for name, client in self._in_any_order(channel):
            try:
                return await self._fetch_from(client, channel, first, MAX_HEIGHT)
            except GridLedgerError as error:
                _log.info("%s has no block %d of %s for us: %s", name, first, channel, error)
        return ()

    def _in_any_order(self, channel: str) -> list[tuple[str, NodeClient]]:
        sources = sorted(self._blocks.of(channel).items())
        return self._random.sample(sources, len(sources))

    async def hashes(self, channel: str, number: int, names: Collection[str]) -> Mapping[str, str]:
        """A block's hash at each of these orderers that answers in time and has it."""
        clients = self._blocks.of(channel)

        async def ask(name: str) -> tuple[str, str] | None:
            try:
                path = f"/channels/{channel}/blocks/{number}/hash"
                answer = await clients[name].get_json(path, timeout_s=self._timeout_s)
                return name, str(answer["hash"])
            except (GridLedgerError, LookupError, TypeError):
                return None

        asked = [ask(name) for name in sorted(names) if name in clients]
        return dict(filter(None, await asyncio.gather(*asked)))

    async def announce(self, channel: str, raft_id: str, applied: int) -> str:
        """Ask whoever leads a channel to let this orderer's incarnation take part; as what it knows it. ``applied`` is
        the last entry whose blocks are here.

        Raises what the leader refuses it with (:class:`NotAnOrderer`, :class:`OtherIncarnation`), and
        UnavailableError where nobody who can be reached leads.
        """
        body = jsontext.dumps({"channel": channel, "node": raft_id, "applied": applied})
        why: list[str] = []
        for name, client in self._in_any_order(channel):
            try:
                answer = await client.post(JOIN_PATH, body, timeout_s=self._timeout_s)
                return text_of(object_of(jsontext.loads(answer), "an answer"), "state", max_length=32)
            except (NotAnOrderer, OtherIncarnation):
                raise
            except GridLedgerError as error:
                why.append(f"{name}: {error}")
        raise UnavailableError(f"nobody who leads {channel} was found ({'; '.join(why) or 'no orderer is known'})")

    async def close(self) -> None:
        """Close all connections."""
        for link in list(self._streams):
            self._drop(link)
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

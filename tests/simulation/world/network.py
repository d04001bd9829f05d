"""The simulated network: requests, streams and Raft's batches between machines, lost, late, twice, out of order.

``SimulatedClient`` stands in for ``NodeClient`` wherever a service makes one, so that all above the connection is real.
"""

from __future__ import annotations

import asyncio
import contextvars
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any, Protocol

from gridledger import framing
from gridledger.errors import GridLedgerError, TimeoutExceeded, from_wire
from gridledger.identity.certificate import Certificate
from gridledger.identity.signer import SigningIdentity
from gridledger.transport.node_client import SILENCE_S, ConnectionFailed, NodeClient
from tests.simulation.world.life import LIFE, Life

CONNECT_S = 3.0
_NOWHERE = contextvars.Context()


class Service(Protocol):
    """What a machine answers. Errors are those of the one tree; any other is a defect."""

    async def answer(self, caller: Certificate, path: str, body: bytes | None, params: Mapping[str, str]) -> bytes:
        """Answer one request."""

    def stream(self, caller: Certificate, path: str, params: Mapping[str, str]) -> AsyncIterator[bytes]:
        """Answer a request by a stream of chunks."""

    def receive(self, caller: Certificate, batch: bytes) -> None:
        """Take a batch of Raft's."""


@dataclass(slots=True)
class Weather:
    """How the network is: shares of what is lost and doubled, and the longest delay."""

    loss: float = 0.0
    duplication: float = 0.0
    delay_s: float = 0.002
    lost_answers: float = 0.0


class Network:
    """Carries what machines send to one another. ``services`` are those that are up, by name."""

    def __init__(self, chance: Random, note: Callable[[str], None], fired: Callable[[str], None]) -> None:
        self.chance = chance
        self.note = note
        self.fired = fired
        self.weather = Weather()
        self.cut: set[tuple[str, str]] = set()
        self.services: dict[str, tuple[Life, Service]] = {}
        self.urls: dict[str, str] = {}
        self.defect: Callable[[str, BaseException], None] = _raise
        self.refuse_deliver = 0.0
        """Share of block streams that break after their first block."""
        self.fetch_fault: str | None = None
        """What goes wrong with half of the blocks that orderers fetch from one another: "breaks" or "tampers"."""
        self.tampers: str | None = None
        """Whose blocks arrive with a bit flipped."""

    def delay_s(self) -> float:
        """How long the next packet takes."""
        delay_s = self.chance.random() * self.weather.delay_s
        if self.weather.delay_s > 0.05 and delay_s > 0.05:
            self.fired("late message")
        return delay_s

    def is_cut(self, sender: str, to: str) -> bool:
        """Whether nothing goes from one machine to another; noted as a fault that came to pass."""
        if (sender, to) not in self.cut:
            return False
        self.fired("cut connection" if (to, sender) in self.cut else "connection cut one way")
        return True

    def loses(self) -> bool:
        """Whether the next packet is lost."""
        if self.weather.loss and self.chance.random() < self.weather.loss:
            self.fired("lost message")
            return True
        return False

    def later(self, delay_s: float, action: Callable[..., object], *args: Any) -> None:
        """Do it on no machine."""
        asyncio.get_running_loop().call_later(delay_s, action, *args, context=_NOWHERE)


class SimulatedClient(NodeClient):
    """One machine's connection to another, without sockets and TLS."""

    network: Network
    """Set for the time of a run."""

    def __init__(self, base_url: str, identity: SigningIdentity | None, roots_pem: str, **more: Any) -> None:
        del roots_pem, more
        life = LIFE.get()
        assert life is not None
        assert identity is not None
        self.base_url = base_url.rstrip("/")
        self._certificate = identity.certificate
        self._life = life
        self._to = self.network.urls[self.base_url]

    async def close(self) -> None:
        """Nothing is kept open."""

    async def post(
        self, path: str, body: bytes, *, params: Mapping[str, str] | None = None, timeout_s: float = 30.0
    ) -> bytes:
        return await self._ask(path, body, params or {}, timeout_s)

    async def get(self, path: str, *, params: Mapping[str, str] | None = None, timeout_s: float = 30.0) -> bytes:
        return await self._ask(path, None, params or {}, timeout_s)

    # a request and its answer

    async def _ask(self, path: str, body: bytes | None, params: Mapping[str, str], timeout_s: float) -> bytes:
        network, loop = self.network, asyncio.get_running_loop()
        answered: asyncio.Future[bytes] = loop.create_future()
        if network.is_cut(self._life.name, self._to):
            await asyncio.sleep(min(timeout_s, CONNECT_S))
            raise ConnectionFailed(f"{self._to}: no connection")
        if not network.loses():
            network.later(network.delay_s(), self._arrive, answered, path, body, params)
        try:
            async with asyncio.timeout(timeout_s):
                return await answered
        except TimeoutError:
            raise TimeoutExceeded(f"{self._to}{path}: no answer within {timeout_s} s") from None

    def _arrive(
        self, answered: asyncio.Future[bytes], path: str, body: bytes | None, params: Mapping[str, str]
    ) -> None:
        if self._life.cut_off:
            return
        life, service = self.network.services.get(self._to, (None, None))
        if life is None or service is None:
            self.network.later(self.network.delay_s(), self._return, answered, ConnectionFailed(f"{self._to} is down"))
            return
        life.do(self._serve(life, partial(service.answer, self._certificate, path, body, params), answered))

    async def _serve(self, life: Life, work: Callable[[], Awaitable[bytes]], answered: asyncio.Future[bytes]) -> None:
        network = self.network
        try:
            answer: bytes | GridLedgerError = await work()
        except GridLedgerError as error:
            answer = from_wire(error.status, error.to_dict())
        except Exception as error:
            if not life.cut_off:
                network.defect(f"{life.name} answered with a defect", error)
            answer = GridLedgerError("internal error")
        if life.cut_off or network.is_cut(life.name, self._life.name):
            return
        if network.weather.lost_answers and network.chance.random() < network.weather.lost_answers:
            network.fired("lost answer")
            return
        network.later(network.delay_s(), self._return, answered, answer)

    def _return(self, answered: asyncio.Future[bytes], answer: bytes | GridLedgerError) -> None:
        if answered.done() or self._life.cut_off:
            return
        if isinstance(answer, GridLedgerError):
            answered.set_exception(answer)
        else:
            answered.set_result(answer)

    # a stream that is read

    async def frames(
        self,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        max_frame_bytes: int = framing.MAX_FRAME_BYTES,
        silence_s: float = SILENCE_S,
    ) -> AsyncIterator[bytes]:
        del body
        network = self.network
        if network.is_cut(self._life.name, self._to):
            await asyncio.sleep(CONNECT_S)
            raise ConnectionFailed(f"{self._to}: no connection")
        await asyncio.sleep(network.delay_s())
        life, service = network.services.get(self._to, (None, None))
        if life is None or service is None:
            raise ConnectionFailed(f"{self._to} is down")
        breaks, tampers = self._stream_fault()
        chunks: asyncio.Queue[bytes | GridLedgerError | None] = asyncio.Queue()
        sending = life.do(self._send(life, service.stream(self._certificate, path, params or {}), chunks))
        buffer = framing.FrameBuffer(max_frame_bytes)
        try:
            while True:
                try:
                    async with asyncio.timeout(silence_s):
                        chunk = await chunks.get()
                except TimeoutError:
                    raise ConnectionFailed(f"{self._to}{path}: nothing heard for {silence_s} s") from None
                if chunk is None:
                    return
                if isinstance(chunk, GridLedgerError):
                    raise chunk
                for data in buffer.feed(chunk):
                    if data:
                        yield self._tampered(data) if tampers else data
                        if breaks:
                            between = self._life.name.startswith("orderer")
                            network.fired("failed fetch between orderers" if between else "broken stream of blocks")
                            raise ConnectionFailed(f"{self._to}{path}: the stream broke")
        finally:
            network.later(network.delay_s(), sending.cancel)

    def _stream_fault(self) -> tuple[bool, bool]:
        """Whether a stream of blocks is to break after its first, and whether they arrive changed."""
        network = self.network
        if self._life.name.startswith("orderer") and network.fetch_fault is not None:
            fails = network.chance.random() < 0.5
            return fails and network.fetch_fault == "breaks", fails and network.fetch_fault == "tampers"
        breaks = network.refuse_deliver > 0 and network.chance.random() < network.refuse_deliver
        return breaks, network.tampers == self._to

    def _tampered(self, data: bytes) -> bytes:
        network = self.network
        between = self._life.name.startswith("orderer")
        network.fired("tampered block between orderers" if between else "tampered block")
        changed = bytearray(data)
        changed[network.chance.randrange(len(data))] ^= 1 << network.chance.randrange(8)
        return bytes(changed)

    async def _send(
        self, life: Life, source: AsyncIterator[bytes], chunks: asyncio.Queue[bytes | GridLedgerError | None]
    ) -> None:
        """Chunks arrive in order, each after its delay, or no more do."""
        network, loop = self.network, asyncio.get_running_loop()
        arrived = loop.time()
        last: GridLedgerError | None = None
        try:
            async for chunk in source:
                if life.cut_off or network.is_cut(life.name, self._life.name) or network.loses():
                    return
                arrived = max(arrived, loop.time() + network.delay_s())
                network.later(arrived - loop.time(), chunks.put_nowait, chunk)
        except GridLedgerError as error:
            last = from_wire(error.status, error.to_dict())
        except asyncio.CancelledError:
            last = ConnectionFailed(f"{self._to}: the connection was reset")
        except Exception as error:
            if not life.cut_off:
                network.defect(f"{life.name} broke a stream off by a defect", error)
        finally:
            network.later(max(arrived - loop.time(), 0.0) + network.delay_s(), chunks.put_nowait, last)

    # a stream that is sent: Raft's batches, each of which goes its own way

    async def upload(
        self, path: str, chunks: AsyncIterator[bytes], *, params: Mapping[str, str] | None = None
    ) -> bytes:
        del path
        network = self.network
        buffer = framing.FrameBuffer(framing.MAX_FRAME_BYTES)
        async for chunk in chunks:
            if self._to not in network.services:
                await asyncio.sleep(network.delay_s())
                raise ConnectionFailed(f"{self._to} is down")
            if self._life.cut_off:
                continue
            for batch in buffer.feed(chunk):
                if network.is_cut(self._life.name, self._to) or network.loses():
                    continue
                copies = 1
                if network.weather.duplication and network.chance.random() < network.weather.duplication:
                    network.fired("doubled message")
                    copies = 2
                for _ in range(copies):
                    network.later(network.delay_s(), self._deliver, batch)
        return b""

    def _deliver(self, batch: bytes) -> None:
        life, service = self.network.services.get(self._to, (None, None))
        if life is None or service is None or (self._life.name, self._to) in self.network.cut:
            return
        self.network.note(f"{self._life.name}>{self._to} {len(batch)} {zlib.crc32(batch)}")
        life.loop.call_soon(self._receive, life, service, batch, context=life.context)

    def _receive(self, life: Life, service: Service, batch: bytes) -> None:
        try:
            service.receive(self._certificate, batch)
        except GridLedgerError:
            return  # it costs its stream, as far as it was one
        except Exception as error:
            if not life.cut_off:
                self.network.defect(f"{life.name} broke over a batch", error)


def _raise(said: str, error: BaseException) -> None:
    raise AssertionError(said) from error

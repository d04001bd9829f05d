"""Proposals between two peers: single, in batches, each answered by itself, nothing left behind."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gridledger import framing
from gridledger.client.http import ConnectionFailed
from gridledger.errors import BusyError, GridLedgerError, MalformedFrames, NotFoundError, UnavailableError
from services.peer import endorse_batches
from services.peer.endorse_batches import EndorseQueue, answers, read_batch, write_batch
from tests.support import peer_world as world


class Peer:
    """Answers through the real batch code; ``gates`` hold single proposals back."""

    def __init__(self) -> None:
        self.singles: list[tuple[bytes, int]] = []
        self.batches: list[list[tuple[int, bytes]]] = []
        self.gates: dict[bytes, asyncio.Event] = {}
        self.cut = False
        self.down: GridLedgerError | None = None
        self.cancelled: list[bytes] = []

    async def endorse(self, min_height: int, body: bytes) -> bytes:
        try:
            if body in self.gates:
                await self.gates[body].wait()
        except asyncio.CancelledError:
            self.cancelled.append(body)
            raise
        if body.startswith(b"bad"):
            raise NotFoundError("no such thing", code="CHAINCODE_UNKNOWN", body=body.decode())
        return b"%s@%d" % (body, min_height)

    async def one(self, body: bytes, min_height: int) -> bytes:
        if self.down is not None:
            raise self.down
        self.singles.append((body, min_height))
        return await self.endorse(min_height, body)

    async def many(self, body: bytes) -> AsyncIterator[bytes]:
        batch = read_batch(body)
        self.batches.append(batch)
        if self.down is not None:
            raise self.down
        stream = answers(batch, self.endorse)
        try:
            async for chunk in stream:
                for frame in framing.unpack(chunk, max_frames=100):
                    if frame:
                        yield frame
                if self.cut:
                    return
        finally:
            await stream.aclose()  # type: ignore[attr-defined]


@pytest.fixture
def peer() -> Peer:
    return Peer()


async def fill(
    peer: Peer, queue: EndorseQueue, *bodies: bytes
) -> tuple[asyncio.Task[bytes], list[asyncio.Task[bytes]]]:
    """Hold one request open, and ask for the rest, which gathers into a batch."""
    peer.gates[b"first"] = asyncio.Event()
    first = asyncio.create_task(queue.ask(b"first", 0))
    await world.until(lambda: peer.singles)
    rest = [asyncio.create_task(queue.ask(body, number)) for number, body in enumerate(bodies, 1)]
    await asyncio.sleep(0)
    return first, rest


async def test_single_proposals_go_by_themselves(peer: Peer) -> None:
    queue = EndorseQueue(peer, max_in_flight=4)
    assert await queue.ask(b"a", 0) == b"a@0"
    assert await queue.ask(b"b", 7) == b"b@7"
    assert peer.batches == []


async def test_what_gathers_meanwhile_goes_together(peer: Peer) -> None:
    queue = EndorseQueue(peer, max_in_flight=1)
    first, rest = await fill(peer, queue, b"a", b"bad", b"c")
    peer.gates[b"first"].set()
    assert await first == b"first@0"
    assert await rest[0] == b"a@1"
    assert await rest[2] == b"c@3"
    with pytest.raises(NotFoundError) as caught:
        await rest[1]
    assert (caught.value.code, caught.value.details) == ("CHAINCODE_UNKNOWN", {"body": "bad"})
    assert peer.batches == [[(1, b"a"), (2, b"bad"), (3, b"c")]]


async def test_fast_proposal_does_not_wait_for_a_slow_one_of_its_batch(peer: Peer) -> None:
    queue = EndorseQueue(peer, max_in_flight=1)
    first, rest = await fill(peer, queue, b"slow", b"fast")
    peer.gates[b"slow"] = asyncio.Event()
    peer.gates[b"first"].set()
    assert await rest[1] == b"fast@2"
    assert not rest[0].done()
    peer.gates[b"slow"].set()
    assert await rest[0] == b"slow@1"
    await first


async def test_batches_are_bounded(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endorse_batches, "MAX_BATCH", 2)
    queue = EndorseQueue(peer, max_in_flight=1)
    first, rest = await fill(peer, queue, *(b"%d" % number for number in range(5)))
    peer.gates[b"first"].set()
    await asyncio.gather(first, *rest)
    assert [len(batch) for batch in peer.batches] == [2, 2]
    monkeypatch.setattr(endorse_batches, "MAX_WAITING", 0)
    with pytest.raises(BusyError):
        await queue.ask(b"x", 0)


async def test_batch_that_nobody_waits_for_is_given_up(peer: Peer) -> None:
    queue = EndorseQueue(peer, max_in_flight=1)
    first, rest = await fill(peer, queue, b"x", b"y")
    peer.gates |= {b"x": asyncio.Event(), b"y": asyncio.Event()}
    peer.gates[b"first"].set()
    await first
    await world.until(lambda: peer.batches)
    for task in rest:
        task.cancel()
    await world.until(lambda: sorted(peer.cancelled) == [b"x", b"y"])
    await world.until(lambda: not queue._senders)


async def test_answer_that_ends_early_fails_what_is_missing(peer: Peer) -> None:
    queue = EndorseQueue(peer, max_in_flight=1)
    first, rest = await fill(peer, queue, b"x", b"y")
    peer.gates[b"y"] = asyncio.Event()
    peer.cut = True
    peer.gates[b"first"].set()
    await first
    assert await rest[0] == b"x@1"
    with pytest.raises(ConnectionFailed):
        await rest[1]


async def test_peer_that_is_down_fails_all(peer: Peer) -> None:
    queue = EndorseQueue(peer, max_in_flight=1)
    first, rest = await fill(peer, queue, b"x", b"y")
    peer.down = UnavailableError("down", code="CONNECTION_FAILED")
    peer.gates[b"first"].set()
    await first
    for outcome in await asyncio.gather(*rest, queue.ask(b"z", 0), return_exceptions=True):
        assert isinstance(outcome, UnavailableError)


async def test_closing_fails_what_waits(peer: Peer) -> None:
    queue = EndorseQueue(peer, max_in_flight=1)
    first, rest = await fill(peer, queue, b"x")
    await queue.close()
    with pytest.raises(ConnectionFailed):
        await rest[0]
    # A request of its own ends with the connection under it.
    peer.gates[b"first"].set()
    assert await first == b"first@0"


@pytest.mark.parametrize("body", [b"", b"\0", framing.pack([b"short"])])
def test_unreadable_batches_are_refused(body: bytes) -> None:
    with pytest.raises(MalformedFrames):
        read_batch(body)


def test_batch_is_read_as_it_was_written() -> None:
    assert read_batch(write_batch([(3, b"a"), (0, b"")])) == [(3, b"a"), (0, b"")]

"""Streaming a channel's blocks, from any number on and then as they come."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from gridledger import framing
from gridledger.transport.node_client import HEARTBEAT_S
from services.orderer.chain import Chain

HEARTBEAT = framing.frame(b"")


async def deliver(
    chain: Chain, start: int, *, count: int | None, max_chunk_bytes: int, allowed: Callable[[], object]
) -> AsyncIterator[bytes]:
    """Chunks of whole frames, each a block and its header's signature; an empty frame when nothing came for a while.

    ``allowed`` raises when the reader may not read the channel any more; it is asked before every chunk. The reader's
    pace is the pace: at most one chunk is in memory. Ends after ``count`` blocks, otherwise never.
    """
    number = start
    end = None if count is None else start + count
    while end is None or number < end:
        chain.check()
        if number >= chain.height and not await chain.wait_beyond(number, HEARTBEAT_S):
            allowed()
            yield HEARTBEAT
            continue
        records = []
        for record in chain.store.frames(number, max_bytes=max_chunk_bytes):
            records.append(record)
            number += 1
            if number == end:
                break
        allowed()
        chain.check()
        yield framing.pack(records)

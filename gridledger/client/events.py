"""Event streams. After a lost connection a stream reconnects and continues after the last event that it gave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import TypeVar

from gridledger import jsontext
from gridledger.backoff import Backoff
from gridledger.client.checkpoints import Checkpoint, Checkpointer
from gridledger.client.failover import Gateways, is_the_gateways
from gridledger.client.queries import read_chain_info
from gridledger.client.session import LONGEST_READ_S
from gridledger.errors import (
    AuthenticationError,
    BusyError,
    CorruptionError,
    MalformedFrames,
    NotFoundError,
    UnavailableError,
)
from gridledger.protocol.events import BlockEvent, ChaincodeEvent, FullBlockEvent
from gridledger.transport.node_client import path_of

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0

_Event = TypeVar("_Event", ChaincodeEvent, BlockEvent, FullBlockEvent)


async def chaincode_events(
    gateways: Gateways,
    channel: str,
    chaincode: str,
    *,
    start_block: int | None,
    name: str | None,
    checkpointer: Checkpointer | None,
) -> AsyncIterator[ChaincodeEvent]:
    """Events of one chaincode, in the order of the chain. Reconnects with growing pauses until the caller stops."""
    params = {"chaincode": chaincode} if name is None else {"chaincode": chaincode, "name": name}
    position = await _start(gateways, channel, start_block, checkpointer)

    def read(line: bytes) -> ChaincodeEvent:
        return ChaincodeEvent.from_dict(channel, jsontext.loads(line))

    async for event in _resumed(gateways, channel, "chaincode", params, position=position, read=read):
        yield event


async def block_events(
    gateways: Gateways, channel: str, *, start_block: int | None, checkpointer: Checkpointer | None
) -> AsyncIterator[BlockEvent]:
    """All blocks of a channel, in order. Reconnects with growing pauses until the caller stops."""
    position = await _start(gateways, channel, start_block, checkpointer)

    def read(line: bytes) -> BlockEvent:
        return BlockEvent.from_dict(jsontext.loads(line))

    async for event in _resumed(gateways, channel, "blocks", {}, position=position, read=read):
        yield event


async def full_block_events(
    gateways: Gateways, channel: str, *, start_block: int | None, checkpointer: Checkpointer | None
) -> AsyncIterator[FullBlockEvent]:
    """All blocks of a channel with their envelopes, in order. :class:`CorruptionError` where a data hash is wrong."""
    position = await _start(gateways, channel, start_block, checkpointer)

    def read(data: bytes) -> FullBlockEvent:
        found = FullBlockEvent.from_bytes(data)
        if not found.holds():
            raise CorruptionError(f"what the peer gave as block {found.event.number} of {channel} is not that block")
        return found

    stream = _resumed(gateways, channel, "full-blocks", {}, position=position, read=read)
    async for event in stream:
        yield event


async def _start(
    gateways: Gateways, channel: str, start_block: int | None, checkpointer: Checkpointer | None
) -> Checkpoint:
    kept = checkpointer.load() if checkpointer is not None else None
    if kept is not None:
        return kept
    if start_block is None:
        # "From now on" must stay fixed over a reconnection, so it is made a number first.
        info = await gateways.read(channel, partial(read_chain_info, channel=channel), LONGEST_READ_S)
        start_block = info.height
    return Checkpoint(start_block)


async def _resumed(
    gateways: Gateways,
    channel: str,
    kind: str,
    params: dict[str, str],
    *,
    position: Checkpoint,
    read: Callable[[bytes], _Event],
) -> AsyncIterator[_Event]:
    backoff = Backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S, gateways.random)
    path = path_of("channels", channel, "events", kind)
    while True:
        gateway = gateways.best(channel) or gateways.members[0]
        skip_to = position.tx_id
        try:
            node = gateway.node
            pieces = node.frames if kind == "full-blocks" else node.lines
            async for piece in pieces(path, params={**params, "from": str(position.block)}):
                backoff.succeeded()
                event = read(piece)
                number, tx_id = _place(event)
                if skip_to is not None and number == position.block:
                    # Events of the checkpoint's block that were handled before.
                    if tx_id == skip_to:
                        skip_to = None
                    continue
                skip_to = None
                yield event
                position = Checkpoint(number + 1) if tx_id is None else Checkpoint(number, tx_id)
        except (UnavailableError, MalformedFrames, BusyError, NotFoundError, AuthenticationError) as error:
            if not gateways.alone and is_the_gateways(error):
                gateways.note(gateway, channel, error)
            elif isinstance(error, NotFoundError | AuthenticationError):
                raise
        await asyncio.sleep(backoff.failed())


def _place(event: ChaincodeEvent | BlockEvent | FullBlockEvent) -> tuple[int, str | None]:
    if isinstance(event, FullBlockEvent):
        return event.event.number, None
    return (event.number, None) if isinstance(event, BlockEvent) else (event.block, event.tx_id)

"""Event streams: a channel's blocks or chaincode events as lines of JSON, from any block on and then as they come.

A stream is sent at its reader's pace and holds one chunk at a time. Recent blocks are kept in memory for all streams of
a channel, within bounds; older ones are read from the ledger.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from typing import Any

from gridledger import framing, jsontext
from gridledger.errors import GridLedgerError
from gridledger.protocol.block import BlockHeader
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.config_update import CONFIG_PREFIX, parse_envelope
from gridledger.protocol.events import ChaincodeEvent, CommittedBlock, full_block_bytes
from gridledger.protocol.fields import hash_of
from gridledger.transport import call_frames
from gridledger.transport.node_client import HEARTBEAT_S
from services.peer.channel import Channel
from services.peer.committer.messages import BlockCommitted

HEARTBEAT = b"\n"
MAX_CHUNK_BYTES = 64 * 1024
MAX_RECENT_BLOCKS = 256
MAX_RECENT_BYTES = 8 * 1024 * 1024
TRANSACTIONS_PER_SLICE = 50
"""How many old transactions are read before the event loop may run other work."""

StillAllowed = Callable[[], None]
"""Raises when the stream's reader may not read the channel any more; asked before every chunk."""


class ChannelEvents:
    """One channel's blocks as events."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._recent: OrderedDict[int, BlockCommitted] = OrderedDict()
        self._recent_bytes = 0

    def committed(self, report: BlockCommitted) -> None:
        """Keep a block that was just committed, and forget the oldest ones beyond the bounds."""
        self._recent[report.block.number] = report
        self._recent_bytes += report.size
        while len(self._recent) > MAX_RECENT_BLOCKS or (
            self._recent_bytes > MAX_RECENT_BYTES and len(self._recent) > 1
        ):
            self._recent_bytes -= self._recent.popitem(last=False)[1].size

    def blocks(self, start: int, allowed: StillAllowed) -> AsyncIterator[bytes]:
        """A line for each block: number, hash, timestamp (us), commit_hash, transactions with their codes."""
        return self._stream(start, allowed, _block_line)

    def chaincode(self, start: int, chaincode: str, name: str | None, allowed: StillAllowed) -> AsyncIterator[bytes]:
        """A line for each event of a VALID transaction of ``chaincode``, of one ``name`` if that is given."""

        def lines(block: CommittedBlock) -> bytes:
            return b"".join(
                _line(event.to_dict())
                for event in block.events
                if event.chaincode == chaincode and (name is None or event.name == name)
            )

        return self._stream(start, allowed, lines)

    def full_blocks(self, start: int, allowed: StillAllowed) -> AsyncIterator[bytes]:
        """A frame for each block, with its bytes: see :class:`gridledger.protocol.events.FullBlockEvent`."""

        def frame(block: CommittedBlock) -> bytes:
            return framing.frame(full_block_bytes(block, self._channel.ledger.block_bytes(block.number)))

        return self._stream(start, allowed, frame, heartbeat=call_frames.HEARTBEAT)

    async def _stream(
        self,
        start: int,
        allowed: StillAllowed,
        lines: Callable[[CommittedBlock], bytes],
        heartbeat: bytes = HEARTBEAT,
    ) -> AsyncIterator[bytes]:
        number, loop = start, asyncio.get_running_loop()
        beat = loop.time()
        while True:
            if number >= self._channel.height and not await self._channel.reach(number + 1, HEARTBEAT_S):
                allowed()
                yield heartbeat
                beat = loop.time()
                continue
            parts: list[bytes] = []
            size = 0
            while number < self._channel.height and size < MAX_CHUNK_BYTES:
                line = lines(await self._block(number))
                number += 1
                if line:
                    parts.append(line)
                    size += len(line)
                elif loop.time() - beat >= HEARTBEAT_S:
                    # Many blocks without an event: the reader must hear from us.
                    break
            if parts or loop.time() - beat >= HEARTBEAT_S:
                # Asked last: while blocks were waited for or read, the configuration may have changed.
                allowed()
                yield b"".join(parts) or heartbeat
                beat = loop.time()

    async def _block(self, number: int) -> CommittedBlock:
        kept = self._recent.get(number)
        return kept.block if kept is not None else await _read(self._channel, number)


async def _read(channel: Channel, number: int) -> CommittedBlock:
    """A block as the committer reported it, read from the ledger."""
    with channel.ledger.snapshot() as snapshot:
        block, metadata = snapshot.block(number), snapshot.metadata(number)
    tx_ids: list[str] = []
    events: list[ChaincodeEvent] = []
    for position, envelope in enumerate(block.envelopes):
        if position % TRANSACTIONS_PER_SLICE == TRANSACTIONS_PER_SLICE - 1:
            await asyncio.sleep(0)
        valid = metadata.codes[position] == TxValidationCode.VALID
        tx_id, event = _examine(envelope, block.header, position, valid=valid)
        tx_ids.append(tx_id)
        if event is not None:
            events.append(event)
    return CommittedBlock(
        channel=channel.name,
        number=number,
        hash=block.header.hash,
        timestamp_us=block.header.timestamp_us,
        commit_hash=metadata.commit_hash,
        tx_ids=tuple(tx_ids),
        codes=metadata.codes,
        events=tuple(events),
    )


def _examine(envelope: bytes, header: BlockHeader, position: int, *, valid: bool) -> tuple[str, ChaincodeEvent | None]:
    """A transaction's id and event. An envelope that cannot be read has the id ""."""
    if not valid or envelope.startswith(CONFIG_PREFIX):
        try:
            return parse_envelope(envelope).tx_id, None
        except GridLedgerError:
            return "", None
    # A valid transaction was read with all strictness when it was committed.
    message = jsontext.loads_trusted(envelope)
    tx_id = hash_of(message["proposal"])
    result = jsontext.loads_trusted(message["result"])
    event = result["event"]
    if event is None:
        return tx_id, None
    return tx_id, ChaincodeEvent(
        channel=header.channel,
        chaincode=result["chaincode"],
        name=event["name"],
        payload=event["payload"],
        tx_id=tx_id,
        block=header.number,
        index=position,
        timestamp_us=header.timestamp_us,
    )


def _block_line(block: CommittedBlock) -> bytes:
    return _line(block.to_dict())


def _line(message: dict[str, Any]) -> bytes:
    return jsontext.dumps(message) + b"\n"

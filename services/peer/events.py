"""Streams of blocks and chaincode events as lines of JSON: from any block on, and then as they are committed.

A stream goes at its reader's pace and holds one chunk at a time. Blocks that were committed lately are kept ready for
all streams of a channel, within bounds; older ones are read from the ledger again.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from typing import Any

from gridledger import jsontext
from gridledger.errors import GridLedgerError
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.config_update import CONFIG_PREFIX, parse_envelope
from gridledger.protocol.fields import hash_of
from gridledger.transport.node_client import HEARTBEAT_S
from services.peer.channel import Channel
from services.peer.committer.messages import Committed, EventRecord

HEARTBEAT = b"\n"
MAX_CHUNK_BYTES = 64 * 1024
MAX_RECENT_BLOCKS = 256
MAX_RECENT_BYTES = 8 * 1024 * 1024
TRANSACTIONS_PER_SLICE = 50
"""How many old transactions are read before other work of the event loop gets its turn."""

StillAllowed = Callable[[], None]
"""Raises when the stream's reader may not read the channel any more; asked before every chunk."""


class ChannelEvents:
    """One channel's blocks as events."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._recent: OrderedDict[int, Committed] = OrderedDict()
        self._recent_bytes = 0

    def committed(self, report: Committed) -> None:
        """Keep a block that was just committed."""
        self._recent[report.number] = report
        self._recent_bytes += report.size
        while len(self._recent) > MAX_RECENT_BLOCKS or (
            self._recent_bytes > MAX_RECENT_BYTES and len(self._recent) > 1
        ):
            self._recent_bytes -= self._recent.popitem(last=False)[1].size

    def blocks(self, start: int, allowed: StillAllowed) -> AsyncIterator[bytes]:
        """A line for each block: number, hash, timestamp (us), commit_hash, transactions with their codes."""
        return self._stream(start, allowed, _block_lines)

    def chaincode(self, start: int, chaincode: str, name: str | None, allowed: StillAllowed) -> AsyncIterator[bytes]:
        """A line for each event of a VALID transaction of ``chaincode``, of one ``name`` if that is given."""

        def lines(block: Committed) -> bytes:
            return b"".join(
                _event_line(block, event)
                for event in block.events
                if event.chaincode == chaincode and (name is None or event.name == name)
            )

        return self._stream(start, allowed, lines)

    async def _stream(
        self, start: int, allowed: StillAllowed, lines: Callable[[Committed], bytes]
    ) -> AsyncIterator[bytes]:
        number, loop = start, asyncio.get_running_loop()
        beat = loop.time()
        while True:
            allowed()
            if number >= self._channel.height and not await self._channel.reach(number + 1, HEARTBEAT_S):
                yield HEARTBEAT
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
                    # A long way without an event: the reader must not take us for dead.
                    break
            if parts or loop.time() - beat >= HEARTBEAT_S:
                yield b"".join(parts) or HEARTBEAT
                beat = loop.time()

    async def _block(self, number: int) -> Committed:
        known = self._recent.get(number)
        return known if known is not None else await _read(self._channel, number)


async def _read(channel: Channel, number: int) -> Committed:
    """A block from the ledger, as the committer reported it when it was new."""
    with channel.ledger.snapshot() as snapshot:
        block, metadata = snapshot.block(number), snapshot.metadata(number)
    tx_ids: list[str] = []
    events: list[EventRecord] = []
    for position, envelope in enumerate(block.envelopes):
        if position % TRANSACTIONS_PER_SLICE == TRANSACTIONS_PER_SLICE - 1:
            await asyncio.sleep(0)
        tx_id, event = _examine(envelope, position, valid=metadata.codes[position] == TxValidationCode.VALID)
        tx_ids.append(tx_id)
        if event is not None:
            events.append(event)
    return Committed(
        channel=channel.name,
        number=number,
        header_hash=block.header.hash,
        timestamp_us=block.header.timestamp_us,
        commit_hash=metadata.commit_hash,
        tx_ids=tuple(tx_ids),
        codes=tuple(int(code) for code in metadata.codes),
        events=tuple(events),
    )


def _examine(envelope: bytes, position: int, *, valid: bool) -> tuple[str, EventRecord | None]:
    """A transaction's id and event. Envelopes on the chain that nobody can read have the id ""."""
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
    return tx_id, EventRecord(position, tx_id, result["chaincode"], event["name"], event["payload"])


def _block_lines(block: Committed) -> bytes:
    transactions: list[dict[str, Any]] = [
        {"tx_id": tx_id, "code": code} for tx_id, code in zip(block.tx_ids, block.codes, strict=True)
    ]
    return (
        jsontext.dumps(
            {
                "channel": block.channel,
                "number": block.number,
                "hash": block.header_hash,
                "timestamp": block.timestamp_us,
                "commit_hash": block.commit_hash,
                "transactions": transactions,
            }
        )
        + b"\n"
    )


def _event_line(block: Committed, event: EventRecord) -> bytes:
    return (
        jsontext.dumps(
            {
                "chaincode": event.chaincode,
                "name": event.name,
                "payload": event.payload,
                "tx_id": event.tx_id,
                "block": block.number,
                "index": event.position,
                "timestamp": block.timestamp_us,
            }
        )
        + b"\n"
    )

"""What a peer tells of the blocks that it commits: to its own processes, and to clients by its event streams."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gridledger import framing, jsontext
from gridledger.errors import MalformedMessage
from gridledger.protocol.block import MAX_ENVELOPES, Block
from gridledger.protocol.codes import TxValidationCode, code_of
from gridledger.protocol.fields import integer_of, list_of, object_of, text_of, value_of
from gridledger.protocol.transaction_status import Status


@dataclass(frozen=True, slots=True)
class ChaincodeEvent:
    """The event of a valid transaction. ``index`` is the transaction's position in its block; ``timestamp_us`` is the
    block's, in microseconds since 1970."""

    channel: str
    chaincode: str
    name: str
    payload: Any
    tx_id: str
    block: int
    index: int
    timestamp_us: int

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, one line of a channel's stream of chaincode events."""
        return {
            "chaincode": self.chaincode,
            "name": self.name,
            "payload": self.payload,
            "tx_id": self.tx_id,
            "block": self.block,
            "index": self.index,
            "timestamp": self.timestamp_us,
        }

    @classmethod
    def from_dict(cls, channel: str, message: Any) -> ChaincodeEvent:
        """Read the JSON form of an event of ``channel``; :class:`MalformedMessage` says what is wrong with it."""
        message = object_of(message, "an event")
        return cls(
            channel=channel,
            chaincode=text_of(message, "chaincode"),
            name=text_of(message, "name"),
            payload=value_of(message, "payload"),
            tx_id=text_of(message, "tx_id"),
            block=integer_of(message, "block"),
            index=integer_of(message, "index"),
            timestamp_us=integer_of(message, "timestamp"),
        )


@dataclass(frozen=True, slots=True)
class BlockEvent:
    """A block as a peer has committed it. ``hash`` is its header's, ``commit_hash`` the peer's after it, both
    hexadecimal; ``tx_ids`` (empty where the envelope could not be read) and ``codes`` stand in the block's order."""

    channel: str
    number: int
    hash: str
    timestamp_us: int
    commit_hash: str
    tx_ids: tuple[str, ...] = field(repr=False)
    codes: tuple[TxValidationCode, ...] = field(repr=False)

    @property
    def transactions(self) -> tuple[Status, ...]:
        """The status of each transaction, in the block's order."""
        return tuple(
            [
                Status(tx_id, code, self.number, self.commit_hash)
                for tx_id, code in zip(self.tx_ids, self.codes, strict=True)
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, one line of a channel's stream of blocks."""
        return {
            "channel": self.channel,
            "number": self.number,
            "hash": self.hash,
            "timestamp": self.timestamp_us,
            "commit_hash": self.commit_hash,
            "transactions": [
                {"tx_id": tx_id, "code": int(code)} for tx_id, code in zip(self.tx_ids, self.codes, strict=True)
            ],
        }

    @classmethod
    def from_dict(cls, message: Any) -> BlockEvent:
        """Read the JSON form; :class:`MalformedMessage` says what is wrong with it."""
        message = object_of(message, "a block's event")
        listed = list_of(message, "transactions", max_length=MAX_ENVELOPES)
        transactions = [object_of(item, "a transaction of a block's event") for item in listed]
        return cls(
            channel=text_of(message, "channel"),
            number=integer_of(message, "number"),
            hash=text_of(message, "hash"),
            timestamp_us=integer_of(message, "timestamp"),
            commit_hash=text_of(message, "commit_hash"),
            tx_ids=tuple([text_of(item, "tx_id", empty=True) for item in transactions]),
            codes=tuple([code_of(value_of(item, "code")) for item in transactions]),
        )


@dataclass(frozen=True, slots=True)
class FullBlockEvent:
    """A committed block with all its envelopes, and what the peer tells of it."""

    event: BlockEvent
    block: Block

    def to_bytes(self) -> bytes:
        """One frame of a channel's stream of full blocks: the event's JSON form and the block's bytes, as frames."""
        return full_block_bytes(self.event, self.block.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes) -> FullBlockEvent:
        """Read such a frame. Whether the parts belong together is for :meth:`holds` to say."""
        parts = framing.unpack(data, max_frames=2)
        if len(parts) != 2:  # noqa: PLR2004
            raise MalformedMessage("a full block is an event and a block")
        return cls(BlockEvent.from_dict(jsontext.loads(parts[0])), Block.from_bytes(parts[1]))

    def holds(self) -> bool:
        """Whether the block is the event's, and its data hash that of its envelopes."""
        header, event = self.block.header, self.event
        return (
            (header.channel, header.number, header.hash) == (event.channel, event.number, event.hash)
            and len(event.codes) == len(self.block.envelopes)
            and self.block.data_hash_holds()
        )


def full_block_bytes(event: BlockEvent, block: bytes) -> bytes:
    """What :meth:`FullBlockEvent.from_bytes` reads, of a block that is bytes already."""
    return framing.pack((jsontext.dumps(event.to_dict()), block))


@dataclass(frozen=True, slots=True)
class CommittedBlock(BlockEvent):
    """A block with all that its commit brought: the events of its valid transactions, and whether the channel has a new
    configuration since."""

    events: tuple[ChaincodeEvent, ...] = ()
    config_changed: bool = False

"""Blocks: batches of envelopes in the order that all peers share.

A block's bytes are frames: the header's text, then each envelope as it came. The hash of a header names the block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gridledger import framing, jsontext
from gridledger.errors import MalformedMessage
from gridledger.protocol import merkle
from gridledger.protocol.fields import (
    decoded,
    exactly,
    from_base64,
    hash_of,
    integer_of,
    parse_object,
    text_of,
    to_base64,
)

KIND = "block_header"
MAX_ENVELOPES = 10_000
ZERO_HASH = "0" * 64
_MEMBERS = frozenset(("kind", "channel", "number", "previous_hash", "data_hash", "timestamp"))
_SIGNATURE_MEMBERS = frozenset(("orderer", "signature"))


@dataclass(frozen=True, slots=True)
class BlockHeader:
    """A block's header. ``timestamp_us`` is the leader's clock when it cut the batch, never decreasing on a channel."""

    text: str
    channel: str
    number: int
    previous_hash: str
    data_hash: str
    timestamp_us: int

    @property
    def hash(self) -> str:
        """SHA-256 of the header's text, in hexadecimal: the block's name."""
        return hash_of(self.text)

    @classmethod
    def build(cls, *, channel: str, number: int, previous_hash: str, data_hash: str, timestamp_us: int) -> BlockHeader:
        """Write a header."""
        text = jsontext.dumps(
            {
                "kind": KIND,
                "channel": channel,
                "number": number,
                "previous_hash": previous_hash,
                "data_hash": data_hash,
                "timestamp": timestamp_us,
            }
        ).decode()
        return cls(text, channel, number, previous_hash, data_hash, timestamp_us)

    @classmethod
    def parse(cls, text: str) -> BlockHeader:
        """Read a header's text."""
        message = exactly(parse_object(text, KIND), _MEMBERS, "a block header")
        return cls(
            text=text,
            channel=text_of(message, "channel"),
            number=integer_of(message, "number"),
            previous_hash=text_of(message, "previous_hash", max_length=64),
            data_hash=text_of(message, "data_hash", max_length=64),
            timestamp_us=integer_of(message, "timestamp"),
        )


@dataclass(frozen=True, slots=True)
class Block:
    """A header and the envelopes that its data hash covers."""

    header: BlockHeader
    envelopes: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def build(
        cls, *, channel: str, number: int, previous_hash: str, timestamp_us: int, envelopes: Sequence[bytes]
    ) -> Block:
        """The block that these envelopes make after the block named ``previous_hash``: the same at every orderer."""
        header = BlockHeader.build(
            channel=channel,
            number=number,
            previous_hash=previous_hash,
            data_hash=merkle.root(envelopes).hex(),
            timestamp_us=timestamp_us,
        )
        return cls(header, tuple(envelopes))

    def to_bytes(self) -> bytes:
        """The frames of header and envelopes."""
        return framing.pack((self.header.text.encode(), *self.envelopes))

    @classmethod
    def from_bytes(cls, data: bytes) -> Block:
        """Read a block. Whether the data hash holds is for :meth:`data_hash_holds` to say."""
        frames = framing.unpack(data, max_frames=MAX_ENVELOPES + 1)
        if not frames:
            raise MalformedMessage("a block has a header")
        return cls(BlockHeader.parse(decoded(frames[0], "a block's header")), tuple(frames[1:]))

    def data_hash_holds(self) -> bool:
        """Whether the header's data hash is the Merkle root of the envelopes."""
        return merkle.root(self.envelopes).hex() == self.header.data_hash


@dataclass(frozen=True, slots=True)
class HeaderSignature:
    """An orderer's signature over a header's text; ``orderer`` is the fingerprint of its certificate."""

    orderer: str
    signature: bytes

    def to_dict(self) -> dict[str, str]:
        """The JSON form."""
        return {"orderer": self.orderer, "signature": to_base64(self.signature)}

    @classmethod
    def from_dict(cls, value: Any) -> HeaderSignature:
        """Read the JSON form."""
        message = exactly(value, _SIGNATURE_MEMBERS, "a header's signature")
        return cls(text_of(message, "orderer", max_length=64), from_base64(message["signature"], "'signature'"))

    def to_bytes(self) -> bytes:
        """The text of the JSON form."""
        return jsontext.dumps(self.to_dict())

    @classmethod
    def from_bytes(cls, data: bytes) -> HeaderSignature:
        """Read the text of the JSON form."""
        return cls.from_dict(jsontext.loads(data))


class SignedBlock(NamedTuple):
    """A block as an orderer delivers it: with the orderer's signature under the header."""

    block: Block
    signature: HeaderSignature

    @classmethod
    def from_bytes(cls, data: bytes) -> SignedBlock:
        """Read one delivered frame: the frames of the block's bytes and of the signature's JSON form."""
        parts = framing.unpack(data, max_frames=2)
        if len(parts) != 2:  # noqa: PLR2004
            raise MalformedMessage("a delivered block is a block and a signature")
        return cls(Block.from_bytes(parts[0]), HeaderSignature.from_bytes(parts[1]))

    def to_bytes(self) -> bytes:
        """What :meth:`from_bytes` reads."""
        return framing.pack((self.block.to_bytes(), self.signature.to_bytes()))

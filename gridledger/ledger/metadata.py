"""What a ledger stores about itself and about each of its blocks."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from sys import byteorder

from gridledger import framing, jsontext
from gridledger.errors import CorruptionError, MalformedFrames
from gridledger.formats import LEDGER
from gridledger.protocol.block import ZERO_HASH, HeaderSignature
from gridledger.protocol.codes import CODES, TxValidationCode

FRAME_BYTES = 4


@dataclass(frozen=True, slots=True)
class Head:
    """The ledger's state after its newest block.

    ``height`` is the number of blocks; ``timestamp_us``, ``header_hash`` and ``commit_hash`` (hexadecimal) are those of
    the newest; ``config_block`` is the number of the block that holds the present configuration; ``transactions`` is
    the count on the chain.
    """

    height: int
    timestamp_us: int
    header_hash: str
    commit_hash: str
    config_block: int
    transactions: int

    def to_bytes(self) -> bytes:
        """The stored form."""
        return jsontext.dumps(
            {
                "format": LEDGER.number,
                "height": self.height,
                "timestamp": self.timestamp_us,
                "header_hash": self.header_hash,
                "commit_hash": self.commit_hash,
                "config_block": self.config_block,
                "transactions": self.transactions,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Head:
        """Read the stored form; OtherFormat for what another version wrote."""
        message = jsontext.loads_trusted(data)
        LEDGER.check(message["format"], "the ledger")
        return cls(
            message["height"],
            message["timestamp"],
            message["header_hash"],
            message["commit_hash"],
            message["config_block"],
            message["transactions"],
        )


EMPTY_HEAD = Head(0, 0, ZERO_HASH, ZERO_HASH, 0, 0)
"""Before block 0."""


@dataclass(frozen=True, slots=True)
class BlockMetadata:
    """What this peer found about a block: each transaction's code, the commit hash after it (hexadecimal), the
    orderer's signature under the header (None for block 0), and where in the block's bytes each envelope ends."""

    codes: tuple[TxValidationCode, ...]
    commit_hash: str
    signature: HeaderSignature | None
    header_end: int
    envelope_ends: tuple[int, ...]

    def to_bytes(self) -> bytes:
        """The stored form: frames of codes, commit hash, orderer, signature, ends."""
        ends = array("I", (self.header_end, *self.envelope_ends))
        if byteorder == "little":
            ends.byteswap()
        orderer, signature = b"", b""
        if self.signature is not None:
            orderer, signature = bytes.fromhex(self.signature.orderer), self.signature.signature
        return framing.pack((bytes(self.codes), bytes.fromhex(self.commit_hash), orderer, signature, ends.tobytes()))

    @classmethod
    def from_bytes(cls, data: bytes) -> BlockMetadata:
        """Read the stored form."""
        try:
            numbers, commit_hash, orderer, signature, packed = framing.unpack(data, max_frames=5)
            codes = tuple([CODES[number] for number in numbers])
        except (MalformedFrames, ValueError, KeyError) as error:
            raise CorruptionError(f"a block's metadata cannot be read: {error}") from None
        ends = array("I")
        ends.frombytes(packed)
        if byteorder == "little":
            ends.byteswap()
        return cls(
            codes=codes,
            commit_hash=commit_hash.hex(),
            signature=HeaderSignature(orderer.hex(), signature) if orderer else None,
            header_end=ends[0],
            envelope_ends=tuple(ends[1:]),
        )

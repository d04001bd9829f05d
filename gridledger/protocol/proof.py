"""A transaction on the chain, with the proof that it is in its block."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gridledger.errors import MalformedMessage
from gridledger.framing import MAX_FRAME_BYTES
from gridledger.protocol import merkle
from gridledger.protocol.block import BlockHeader, HeaderSignature
from gridledger.protocol.codes import TxValidationCode, code_of
from gridledger.protocol.fields import integer_of, list_of, object_of, text_of, value_of

_MAX_HEADER_CHARACTERS = 4096
_MAX_PATH = 64


@dataclass(frozen=True, slots=True)
class ProvedTransaction:
    """A transaction on the chain, valid or not, and the proof that it is in its block.

    The proof shows to someone who trusts ``header`` that the envelope is in that block.
    ``index`` is its position among the ``count`` envelopes of the block; ``siblings`` is the audit path in their Merkle
    tree (RFC 6962), from the leaf up; ``signature`` an orderer's under the header, None for block 0. Peers may hold
    signatures of different orderers, so it does not count in comparisons.
    """

    tx_id: str
    block: int
    index: int
    code: TxValidationCode
    envelope: bytes
    header: BlockHeader
    count: int
    siblings: tuple[bytes, ...]
    signature: HeaderSignature | None = field(compare=False)

    def holds(self) -> bool:
        """Whether the path leads from the envelope to the header's data hash."""
        root = merkle.root_from_path(self.envelope, self.index, self.count, self.siblings)
        return root is not None and root.hex() == self.header.data_hash and self.header.number == self.block

    def to_dict(self) -> dict[str, Any]:
        """The JSON form. In ``proof`` stand the header's text, the orderer's signature under it, the path's hashes
        (hexadecimal, from the leaf up) and the count of leaves."""
        return {
            "tx_id": self.tx_id,
            "block": self.block,
            "index": self.index,
            "code": int(self.code),
            "code_name": self.code.name,
            "envelope": self.envelope.decode(),
            "proof": {
                "header": self.header.text,
                "count": self.count,
                "path": [sibling.hex() for sibling in self.siblings],
                "signature": None if self.signature is None else self.signature.to_dict(),
            },
        }

    @classmethod
    def from_dict(cls, message: Any) -> ProvedTransaction:
        """Read the JSON form; :class:`MalformedMessage` says what is wrong with it. Whether the proof holds is for
        :meth:`holds` to say."""
        message = object_of(message, "a proved transaction")
        proof = object_of(value_of(message, "proof"), "a proof")
        signature = value_of(proof, "signature")
        return cls(
            tx_id=text_of(message, "tx_id"),
            block=integer_of(message, "block"),
            index=integer_of(message, "index"),
            code=code_of(value_of(message, "code")),
            envelope=text_of(message, "envelope", max_length=MAX_FRAME_BYTES).encode(),
            header=BlockHeader.parse(text_of(proof, "header", max_length=_MAX_HEADER_CHARACTERS)),
            count=integer_of(proof, "count"),
            siblings=tuple([_sibling(text) for text in list_of(proof, "path", max_length=_MAX_PATH)]),
            signature=None if signature is None else HeaderSignature.from_dict(signature),
        )


def _sibling(text: Any) -> bytes:
    try:
        return bytes.fromhex(text)
    except (TypeError, ValueError):
        raise MalformedMessage("a proof's path is of hashes in hexadecimal") from None

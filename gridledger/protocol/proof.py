"""A transaction on the chain, with the proof that it is in its block."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gridledger.protocol import merkle
from gridledger.protocol.block import BlockHeader, HeaderSignature
from gridledger.protocol.codes import CODES, TxValidationCode


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
    def from_dict(cls, message: dict[str, Any]) -> ProvedTransaction:
        """Read the JSON form; whether the proof holds is for :meth:`holds` to say."""
        proof = message["proof"]
        signature = proof["signature"]
        return cls(
            tx_id=message["tx_id"],
            block=message["block"],
            index=message["index"],
            code=CODES[message["code"]],
            envelope=message["envelope"].encode(),
            header=BlockHeader.parse(proof["header"]),
            count=proof["count"],
            siblings=tuple([bytes.fromhex(text) for text in proof["path"]]),
            signature=None if signature is None else HeaderSignature.from_dict(signature),
        )

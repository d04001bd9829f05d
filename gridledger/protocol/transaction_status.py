"""A transaction's status: what a peer says of a transaction that it has committed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gridledger.protocol.codes import TxValidationCode, code_of
from gridledger.protocol.fields import integer_of, object_of, text_of, value_of


@dataclass(frozen=True, slots=True)
class Status:
    """The validation code of a committed transaction, the number of its block, and the peer's commit hash after that
    block (hexadecimal)."""

    tx_id: str
    code: TxValidationCode
    block: int
    commit_hash: str

    @property
    def successful(self) -> bool:
        """Whether the transaction took effect."""
        return self.code == TxValidationCode.VALID

    def to_dict(self) -> dict[str, Any]:
        """The JSON form. ``code_name`` is Fabric's name of the code, for people."""
        return {
            "tx_id": self.tx_id,
            "code": int(self.code),
            "code_name": self.code.name,
            "block": self.block,
            "commit_hash": self.commit_hash,
        }

    @classmethod
    def from_dict(cls, message: Any) -> Status:
        """Read the JSON form; :class:`MalformedMessage` says what is wrong with it."""
        message = object_of(message, "a transaction's status")
        return cls(
            text_of(message, "tx_id"),
            code_of(value_of(message, "code")),
            integer_of(message, "block"),
            text_of(message, "commit_hash"),
        )

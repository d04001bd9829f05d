"""A transaction's status: what a peer says of a transaction that it has committed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gridledger.errors import MalformedMessage
from gridledger.protocol.codes import CODES, TxValidationCode
from gridledger.protocol.fields import integer_of, text_of


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
        if not isinstance(message, dict):
            raise MalformedMessage("a transaction's status is a JSON object")
        code = CODES.get(integer_of(message, "code"))
        if code is None:
            raise MalformedMessage(f"{message['code']} is no validation code")
        return cls(
            text_of(message, "tx_id"),
            code,
            integer_of(message, "block"),
            text_of(message, "commit_hash"),
        )

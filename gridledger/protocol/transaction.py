"""Transactions: a proposal, its result, the endorsements of it and the client's signature under all three.

On the wire a transaction is one flat object whose members are texts in strings, so that every text keeps the bytes that
were signed and none is quoted twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gridledger import jsontext
from gridledger.errors import MalformedMessage
from gridledger.protocol.fields import exactly, from_base64, to_base64
from gridledger.protocol.proposal import Proposal
from gridledger.protocol.result import MAX_ENDORSEMENTS, Endorsement, Result

KIND = "transaction"
_MEMBERS = frozenset(("proposal", "result", "endorsements", "signature"))
_TEXTS = ("proposal", "result", "endorsements")


@dataclass(frozen=True, slots=True)
class Transaction:
    """One endorsed transaction as it was read from, or is to be written to, its envelope."""

    proposal: Proposal
    result: Result
    endorsements: tuple[Endorsement, ...]
    endorsements_text: str
    signature: bytes

    @property
    def tx_id(self) -> str:
        """The transaction's id: the SHA-256 of its proposal's text."""
        return self.proposal.tx_id

    def to_bytes(self) -> bytes:
        """The envelope."""
        return jsontext.dumps(
            {
                "proposal": self.proposal.text,
                "result": self.result.text,
                "endorsements": self.endorsements_text,
                "signature": to_base64(self.signature),
            }
        )

    @classmethod
    def parse(cls, envelope: bytes) -> Transaction:
        """Read an envelope and the texts in it; nothing is verified yet."""
        message = exactly(jsontext.loads(envelope), _MEMBERS, "a transaction")
        proposal, result, endorsed = message["proposal"], message["result"], message["endorsements"]
        if not type(proposal) is type(result) is type(endorsed) is str:
            wrong = next(name for name in _TEXTS if not isinstance(message[name], str))
            raise MalformedMessage(f"{wrong!r} must be a text inside a string")
        return cls(
            Proposal.parse(proposal),
            Result.parse(result),
            read_endorsements(endorsed),
            endorsed,
            from_base64(message["signature"], "'signature'"),
        )


def read_endorsements(text: Any) -> tuple[Endorsement, ...]:
    """The endorsements in the text of their list."""
    if type(text) is not str:
        raise MalformedMessage("'endorsements' must be a text inside a string")
    endorsements = jsontext.loads(text)
    if type(endorsements) is not list or len(endorsements) > MAX_ENDORSEMENTS:
        raise MalformedMessage(f"'endorsements' must be a list of at most {MAX_ENDORSEMENTS}")
    return tuple([Endorsement.from_dict(item) for item in endorsements])


def endorsements_text(endorsements: Sequence[Endorsement]) -> str:
    """The text of a list of endorsements, as the client signs it."""
    return jsontext.dumps([item.to_dict() for item in endorsements]).decode()


def signing_text(tx_id: str, result_hash: str, endorsements_hash: str) -> bytes:
    """The bytes that the client signs, made from the three hashes (hexadecimal)."""
    return (
        f'{{"kind":"{KIND}","tx_id":"{tx_id}","result":"{result_hash}","endorsements":"{endorsements_hash}"}}'
    ).encode("ascii")

"""What an organisation's agent says of a channel at a size, the number of its blocks, and how it signs that.

The text that is signed is JSON with the members kind, anchoring, channel, size, base, root, header_hash, commit_hash,
in this order and without blanks, UTF-8. What else the agent's key signs is of another kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from gridledger import jsontext
from gridledger.protocol.fields import integer_of, object_of, text_of

KIND: Final = "anchor_statement"
MAX_SIGNATURE_DIGITS: Final = 144
"""Hexadecimal digits of the longest DER signature of P-256."""


class Head(NamedTuple):
    """What organisations say of a channel at a size: the tree's root, and header hash and commit hash of the last
    block, all hexadecimal."""

    root: str
    header_hash: str
    commit_hash: str

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> Head:
        """Read it out of a record."""
        members = dict(message)
        return cls(*(text_of(members, name, max_length=64) for name in cls._fields))


def statement_text(anchoring: str, channel: str, size: int, base: int, head: Mapping[str, Any]) -> bytes:
    """The bytes that an agent signs: the head of a channel at a size, anchored on ``anchoring`` up to ``base``."""
    told = {"kind": KIND, "anchoring": anchoring, "channel": channel, "size": size, "base": base}
    return jsontext.dumps({**told, **{field: head[field] for field in Head._fields}})


@dataclass(frozen=True, slots=True)
class Statement:
    """What an organisation's agent signs of a channel at a size: its head, ``base`` being the last final size.

    ``signature`` is ECDSA of :meth:`text`, DER in hexadecimal.
    """

    mspid: str
    channel: str
    size: int
    base: int
    head: Head
    signature: str

    def text(self, anchoring: str) -> bytes:
        """What is signed; ``anchoring`` is the channel that keeps the anchors."""
        return statement_text(anchoring, self.channel, self.size, self.base, self.head._asdict())

    def to_dict(self) -> dict[str, Any]:
        """As agents tell it to one another."""
        told = {"mspid": self.mspid, "channel": self.channel, "size": self.size, "base": self.base}
        return {**told, **self.head._asdict(), "signature": self.signature}

    @classmethod
    def from_dict(cls, value: Any) -> Statement:
        """Read that; :class:`MalformedMessage` says what is wrong with it."""
        message = object_of(value, "a statement")
        return cls(
            text_of(message, "mspid"),
            text_of(message, "channel"),
            integer_of(message, "size", minimum=1),
            integer_of(message, "base"),
            Head.of(message),
            text_of(message, "signature", max_length=MAX_SIGNATURE_DIGITS),
        )

"""Headers of a channel's blocks as a peer tells them: each with its orderer's signature and the commit hash after it.

They are what it takes to follow a chain without its transactions, and to anchor it elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from gridledger import jsontext
from gridledger.errors import MalformedMessage
from gridledger.protocol import merkle
from gridledger.protocol.block import ZERO_HASH, BlockHeader, HeaderSignature
from gridledger.protocol.fields import exactly, integer_of, list_of, text_of, value_of

MAX_HEADERS: Final = 1000
"""Of one page."""
MAX_PAGE_BYTES: Final = 1024 * 1024
"""Of a page's headers; a page has one header at least, unless the chain has none left."""

_MAX_HEADER = 4096
_HASH_LENGTH = len(ZERO_HASH)
_ITEM = frozenset(("header", "signature", "commit_hash"))
_PAGE = frozenset(("items", "height"))


def anchor_leaf(header_text: str, commit_hash: str) -> bytes:
    """A block as a leaf of its channel's tree, of which another channel keeps heads: the header's text, and the commit
    hash after the block in hexadecimal (:mod:`gridledger.evidence.anchor`)."""
    return jsontext.dumps({"header": header_text, "commit_hash": commit_hash})


@dataclass(frozen=True, slots=True)
class CommittedHeader:
    """A block's header, its orderer's signature under it (None for block 0), and the commit hash after the block."""

    header: BlockHeader
    signature: HeaderSignature | None
    commit_hash: str

    @property
    def leaf_hash(self) -> bytes:
        """The hash of the block as a leaf of its channel's tree, 32 bytes."""
        return merkle.leaf_hash(anchor_leaf(self.header.text, self.commit_hash))

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        signature = None if self.signature is None else self.signature.to_dict()
        return {"header": self.header.text, "signature": signature, "commit_hash": self.commit_hash}

    @classmethod
    def from_dict(cls, value: Any) -> CommittedHeader:
        """Read the JSON form; :class:`MalformedMessage` says what is wrong with it."""
        message = exactly(value, _ITEM, "a committed header")
        header = BlockHeader.parse(text_of(message, "header", max_length=_MAX_HEADER))
        told = value_of(message, "signature")
        signature = None if told is None else HeaderSignature.from_dict(told)
        return cls(header, signature, _hash_of(message, "commit_hash"))


@dataclass(frozen=True, slots=True)
class HeadersPage:
    """Headers of consecutive blocks, and how many blocks the peer has: ``height``."""

    items: tuple[CommittedHeader, ...]
    height: int

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"items": [item.to_dict() for item in self.items], "height": self.height}

    @classmethod
    def from_dict(cls, value: Any) -> HeadersPage:
        """Read the JSON form; :class:`MalformedMessage` says what is wrong with it."""
        message = exactly(value, _PAGE, "a page of headers")
        items = list_of(message, "items", max_length=MAX_HEADERS)
        return cls(tuple([CommittedHeader.from_dict(item) for item in items]), integer_of(message, "height"))

    def follows(self, channel: str, start: int, previous_hash: str | None = None) -> bool:
        """Whether the headers are those of ``channel`` from block ``start`` on, each naming the one before by its hash:
        the first one ``previous_hash``, where that is known."""
        expected = previous_hash
        for number, item in enumerate(self.items, start):
            header = item.header
            if (header.channel, header.number) != (channel, number) or expected not in (None, header.previous_hash):
                return False
            expected = header.hash
        return start + len(self.items) <= max(self.height, start)


def _hash_of(message: dict[str, Any], name: str) -> str:
    text = text_of(message, name, max_length=_HASH_LENGTH)
    if len(text) != _HASH_LENGTH or not set(text) <= set("0123456789abcdef"):
        raise MalformedMessage(f"{name!r} must be {_HASH_LENGTH} hexadecimal digits, small letters")
    return text

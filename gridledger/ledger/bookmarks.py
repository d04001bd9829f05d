"""Bookmarks: where on the chain a page of an answer ended. Opaque to clients, and the same at every peer."""

from __future__ import annotations

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import Any

from gridledger import jsontext
from gridledger.errors import MalformedMessage

_POSITION = struct.Struct(">QI")
_DIGEST_BYTES = 6


def bookmark_of(block: int, index: int, asked: Any) -> str:
    """The bookmark behind a position. ``asked`` is what was asked for, a JSON value: another question refuses it."""
    return pack_bookmark(_POSITION.pack(block, index) + _digest(asked))


def position_of(bookmark: str, asked: Any) -> tuple[int, int]:
    """Block and index that a page ended at; :class:`MalformedMessage` for a bookmark of another question."""
    data = unpack_bookmark(bookmark)
    if len(data) != _POSITION.size + _DIGEST_BYTES or data[_POSITION.size :] != _digest(asked):
        raise MalformedMessage(
            "the bookmark is not one of this question: what is asked for must stay the same from page to page"
        )
    block, index = _POSITION.unpack_from(data)
    return block, index


def pack_bookmark(data: bytes) -> str:
    """Bytes as a text that a URL takes as it is."""
    return urlsafe_b64encode(data).decode()


def unpack_bookmark(bookmark: str) -> bytes:
    """The bytes of such a text; :class:`MalformedMessage` for anything else."""
    try:
        return urlsafe_b64decode(bookmark.encode("ascii"))
    except ValueError:  # of either step
        raise MalformedMessage("the bookmark cannot be read: give it as the page before had it") from None


def _digest(asked: Any) -> bytes:
    return sha256(jsontext.dumps(asked)).digest()[:_DIGEST_BYTES]

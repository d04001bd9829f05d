"""Members of protocol messages: how they are read and checked, and the encodings that all messages share."""

from __future__ import annotations

import binascii
from base64 import b64encode
from hashlib import sha256
from typing import Any

from gridledger import jsontext
from gridledger.errors import MalformedMessage

MAX_TEXT = 256
MAX_INTEGER = 2**63 - 1
_ALWAYS_ABSENT = object()


def parse_object(text: str | bytes, kind: str, max_depth: int = jsontext.MAX_DEPTH) -> dict[str, Any]:
    """The members of a signed text, whose ``kind`` must be the one expected here.

    Every signed text names its kind, so that a signature made for one purpose never serves another.
    """
    message = jsontext.loads(text, max_depth)
    if not isinstance(message, dict):
        raise MalformedMessage(f"a {kind} is a JSON object")
    if message.get("kind") != kind:
        raise MalformedMessage(f"expected the kind {kind!r}, found {message.get('kind')!r}")
    return message


def exactly(message: Any, names: frozenset[str], what: str) -> dict[str, Any]:
    """``message`` as an object that has these members and no others."""
    if not isinstance(message, dict):
        raise MalformedMessage(f"{what} is a JSON object")
    if message.keys() != names:
        missing = sorted(names - message.keys())
        unknown = sorted(message.keys() - names)
        raise MalformedMessage(f"{what}: missing members {missing}, unknown members {unknown}")
    return message


def object_of(value: Any, what: str) -> dict[str, Any]:
    """``value`` as an object; members that nobody asks for are let be."""
    if not isinstance(value, dict):
        raise MalformedMessage(f"{what} is a JSON object")
    return value


def value_of(message: dict[str, Any], name: str) -> Any:
    """A member that may be any JSON value."""
    if name not in message:
        raise MalformedMessage(f"{name!r} is missing")
    return message[name]


def text_of(message: dict[str, Any], name: str, *, max_length: int = MAX_TEXT, empty: bool = False) -> str:
    """A string member of bounded length."""
    value = message.get(name, _ALWAYS_ABSENT)
    if not isinstance(value, str) or len(value) > max_length or not (value or empty):
        raise MalformedMessage(f"{name!r} must be a string of 1 to {max_length} characters")
    return value


def integer_of(message: dict[str, Any], name: str, *, minimum: int = 0, maximum: int = MAX_INTEGER) -> int:
    """An integer member within bounds (a boolean is no integer)."""
    value = message.get(name, _ALWAYS_ABSENT)
    if type(value) is not int or not minimum <= value <= maximum:
        raise MalformedMessage(f"{name!r} must be an integer from {minimum} to {maximum}")
    return value


def list_of(message: dict[str, Any], name: str, *, max_length: int) -> list[Any]:
    """A list member of bounded length."""
    value = message.get(name, _ALWAYS_ABSENT)
    if not isinstance(value, list) or len(value) > max_length:
        raise MalformedMessage(f"{name!r} must be a list of at most {max_length} items")
    return value


def decoded(data: bytes, what: str) -> str:
    """UTF-8 text; :class:`MalformedMessage` names ``what`` where it is none."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise MalformedMessage(f"{what} is not UTF-8") from None


def hash_of(text: str | bytes) -> str:
    """SHA-256 of a text as it is, in lower-case hexadecimal."""
    return sha256(text.encode() if isinstance(text, str) else text).hexdigest()


def to_base64(data: bytes) -> str:
    """Standard base64 with padding."""
    return b64encode(data).decode("ascii")


def from_base64(text: Any, what: str, *, max_bytes: int = 8192) -> bytes:
    """Bytes from strict base64; :class:`MalformedMessage` names ``what`` otherwise."""
    if not isinstance(text, str) or len(text) > max_bytes * 4 // 3 + 4:
        raise MalformedMessage(f"{what} must be a base64 string of at most {max_bytes} bytes")
    try:
        # What b64decode(text, validate=True) comes down to.
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise MalformedMessage(f"{what} is not base64") from None

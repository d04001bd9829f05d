"""JSON that commands read: a refusal names the member."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

from gridledger import jsontext
from gridledger.errors import InputError, MalformedJSON
from gridledger.evidence.errors import EvidenceError

MAX_JSON_BYTES: Final = 256 * 1024 * 1024
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,19}", re.ASCII)
_HEX: Final = re.compile(r"(?:[0-9a-fA-F]{2})*", re.ASCII)


def read_json(source: str) -> dict[str, Any]:
    """The object in a file, or on standard input for ``-``; :class:`InputError` where it is none."""
    data = sys.stdin.buffer.read(MAX_JSON_BYTES + 1) if source == "-" else _read(Path(source))
    if len(data) > MAX_JSON_BYTES:
        raise InputError(f"the JSON text is longer than {MAX_JSON_BYTES} bytes")
    value = jsontext.loads(data)
    if not isinstance(value, dict):
        raise MalformedJSON("the JSON text is no object")
    return value


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_JSON_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None


def check_members(given: Mapping[str, Any], names: Collection[str]) -> None:
    """Raise :class:`EvidenceError` for a member that is missing or unknown."""
    for name in names:
        if name not in given:
            raise EvidenceError(name, "it is missing")
    for name in given:
        if name not in names:
            raise EvidenceError(f"{name:.40}", "there is no such member here")


def whole_number(value: Any, field: str) -> int:
    """A number from 0 on, given as one or as decimal text."""
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return int(value)
    if type(value) is int and value >= 0:
        return value
    raise EvidenceError(field, f"{value!r:.40} is no whole number from 0 on")


def text(value: Any, field: str) -> str:
    """A string."""
    if not isinstance(value, str):
        raise EvidenceError(field, "a text is wanted")
    return value


def texts(value: Any, field: str) -> list[str]:
    """A list of strings."""
    if not isinstance(value, list):
        raise EvidenceError(field, "a list of texts is wanted")
    return [text(item, f"{field}[{number}]") for number, item in enumerate(value)]


def hex_bytes(value: Any, field: str, count: int | None = None) -> bytes:
    """Bytes from pairs of hex digits, ``count`` of them where it is given."""
    digits = text(value, field)
    if not _HEX.fullmatch(digits):
        raise EvidenceError(field, "they are no hex digits in pairs")
    if count is not None and len(digits) != 2 * count:
        raise EvidenceError(field, f"{2 * count} hex digits are wanted, not {len(digits)}")
    return bytes.fromhex(digits)


def hashes(value: Any, field: str, most: int) -> list[bytes]:
    """A list of at most so many SHA-256 in hex."""
    items = texts(value, field)
    if len(items) > most:
        raise EvidenceError(field, f"at most {most} hashes are wanted, not {len(items)}")
    return [hex_bytes(item, f"{field}[{number}]", 32) for number, item in enumerate(items)]

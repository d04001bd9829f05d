"""JSON that commands read and write: numbers beyond 2^53 are decimal text, and a refusal names the member."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

from gridledger import jsontext
from gridledger.errors import InputError, MalformedJSON
from gridledger.sharing.errors import SharingError

MAX_JSON_BYTES: Final = 256 * 1024 * 1024
MAX_DIGITS: Final = 400
"""Of a number: more than those of 1,024 bits."""
MAX_PLAIN: Final = 2**53
"""The largest number that every reader of JSON takes as it is."""
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]*", re.ASCII)


def read_json(source: str) -> dict[str, Any]:
    """The object in a file, or on standard input for ``-``; :class:`InputError` where it is none."""
    data = sys.stdin.buffer.read(MAX_JSON_BYTES + 1) if source == "-" else read_bytes(Path(source), MAX_JSON_BYTES)
    if len(data) > MAX_JSON_BYTES:
        raise InputError(f"the JSON text is longer than {MAX_JSON_BYTES} bytes")
    value = jsontext.loads(data)
    if not isinstance(value, dict):
        raise MalformedJSON("the JSON text is no object")
    return value


def read_bytes(path: Path, most: int) -> bytes:
    """A file's bytes, one more than ``most`` of a larger one; :class:`InputError` where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(most + 1)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None


def check_members(given: Mapping[str, Any], needed: Collection[str], optional: Collection[str] = ()) -> None:
    """Raise :class:`SharingError` for a member that is missing or unknown."""
    for name in needed:
        if name not in given:
            raise SharingError(name, "it is missing")
    for name in given:
        if name not in needed and name not in optional:
            raise SharingError(f"{name:.40}", "there is no such member here")


def whole_number(value: Any, field: str) -> int:
    """A number from 0 on, given as one or as decimal text."""
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        if len(value) > MAX_DIGITS:
            raise SharingError(field, f"a number has more than {MAX_DIGITS} digits")
        return int(value)
    if type(value) is int and value >= 0:
        return value
    if isinstance(value, float) and value > MAX_PLAIN:
        raise SharingError(field, "give numbers beyond 2^53 as decimal text")
    raise SharingError(field, f"{value!r:.40} is no whole number from 0 on")


def whole_numbers(value: Any, field: str) -> list[int]:
    """A list of such numbers."""
    if not isinstance(value, list):
        raise SharingError(field, "a list of whole numbers is wanted")
    return [whole_number(item, field) for item in value]


def hex_bytes(value: Any, field: str) -> bytes:
    """Bytes from hex digits, without white space between them."""
    if not isinstance(value, str):
        raise SharingError(field, "hex digits are wanted")
    try:
        data = bytes.fromhex(value)
    except ValueError:
        data = b""
    if len(value) != 2 * len(data):
        raise SharingError(field, "they are no hex digits in pairs")
    return data


def hex_by_id(value: Any, field: str) -> dict[int, bytes]:
    """{"id": hex}, the ids as decimal text."""
    if not isinstance(value, dict):
        raise SharingError(field, "an object with a member for each id is wanted")
    return {whole_number(name, field): hex_bytes(text, f"{field}.{name:.40}") for name, text in value.items()}


def number(value: int) -> int | str:
    """A number for JSON: as decimal text beyond 2^53."""
    return value if value <= MAX_PLAIN else str(value)

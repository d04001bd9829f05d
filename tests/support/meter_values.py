"""Whoever has a section's whole ledger and tries every value that a meter's register can have: what is recovered.

The search knows all that an attacker could: the register's name, the form of a body, what each reading before was. It
tries the hash of each body and of each value alone, the text of each body, and values that stand beside the name.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from hashlib import sha256

from gridledger import jsontext
from gridledger.ledger import Ledger
from tests.support.ledger_search import ShareSearch, forms, pieces_of


def bodies(name: str, values: Iterable[float], befores: Iterable[float | None]) -> Iterator[tuple[float, str]]:
    """Each value with each text that a change to it could have."""
    befores = list(befores)
    for value in values:
        for before in befores:
            yield value, jsontext.dumps({"name": name, "value": value, "before": before}).decode()


def recovered(ledger: Ledger, name: str, values: Iterable[float], befores: Iterable[float | None]) -> list[str]:
    """What in the ledger tells a value: a line for each piece that does."""
    values = list(values)
    hashes: dict[str, bytes] = {}
    for value, text in bodies(name, values, befores):
        for salt in (b"", bytes(16)):
            hashes[f"SHA-256 of {salt!r} and {text}"] = sha256(salt + text.encode()).digest()
        hashes[f"SHA-256 of {value}"] = sha256(str(value).encode()).digest()
        hashes[f"SHA-256 of {value} as a double"] = sha256(struct.pack(">d", value)).digest()
    pieces = list(pieces_of(ledger))
    beside = re.compile(rb'\\*"(?:%b|value|before)\\*" ?: ?\\*"?-?[0-9]' % re.escape(name.encode()))
    told = [
        f"{piece}, {how}: {found.group()!r}"
        for piece, data in pieces
        for how, decoded in forms(data)
        for found in beside.finditer(decoded)
    ]
    return told + ShareSearch(hashes).find(pieces)

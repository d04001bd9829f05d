"""What a text in the search field may mean. It is looked for as everything that it may be."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["block", "hash", "transaction", "bus", "identity", "key"]
WORDS: Final[dict[Kind, str]] = {
    "block": "block number",
    "hash": "block by its hash",
    "transaction": "transaction by its id",
    "bus": "bus of a group",
    "identity": "client's transactions",
    "key": "key of a chaincode",
}
MAX_QUERY: Final = 200
LEAST_PREFIX: Final = 4
HASH_DIGITS: Final = 64
_MAX_NUMBER_DIGITS: Final = 15
_HEX: Final = re.compile(r"[0-9a-fA-F]{1,64}")
_BUS: Final = re.compile(r"bus\s*(\d{1,6})", re.ASCII | re.IGNORECASE)
_GROUPED: Final = re.compile(r"\d{1,3}([, ]\d{3})+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Reading:
    """One meaning: ``text`` is what is looked for, ``within`` the organisation or the chaincode that it names."""

    kind: Kind
    text: str
    within: str = ""


def readings(query: str) -> list[Reading]:
    """What a text may mean, the most exact first; nothing of an empty one.

    ``1,204`` is a block; hexadecimal digits are the beginning of a transaction's id, 64 of them a block's hash too;
    ``bus 3`` a bus; ``NAME@MSPID`` a client. Any other text may be a client's name and a key, ``chaincode/key`` too.
    """
    text = query.strip()[:MAX_QUERY]
    if not text:
        return []
    number = re.sub("[, ]", "", text) if _GROUPED.fullmatch(text) else text
    if match := _BUS.fullmatch(text):
        return [Reading("bus", match[1]), Reading("key", text)]
    found: list[Reading] = []
    if number.isascii() and number.isdigit() and len(number) <= _MAX_NUMBER_DIGITS:
        found.append(Reading("block", number))
    if _HEX.fullmatch(text) and len(text) >= LEAST_PREFIX:
        found.append(Reading("transaction", text.lower()))
        if len(text) == HASH_DIGITS:
            return [*found, Reading("hash", text.lower())]
    name, at, mspid = text.rpartition("@")
    if at and name and mspid:
        return [*found, Reading("identity", name, mspid), Reading("key", text)]
    if not number.isdigit():
        found.append(Reading("identity", text))
    chaincode, slash, key = text.partition("/")
    if slash and chaincode and key:
        found.append(Reading("key", key, chaincode))
    return [*found, Reading("key", text)]

"""Rows of measurements behind a batch: their texts, the tree over them, and what of them goes on the chain.

A row's text is the JSON text of one object, members in the order of the file's columns, ``time_us`` first; a value
that was not measured is null. The texts are the leaves of an RFC 6962 tree, whose head is the batch's ``root``. So one
row is proved without the others, whatever the file's compression is.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, isfinite
from typing import Final

from gridledger import jsontext
from gridledger.protocol import merkle

Value = int | float | None
TIME: Final = "time_us"
MAX_FIELDS: Final = 64
"""Of a synopsis, as the contract takes it."""


def row_text(columns: Sequence[str], values: Sequence[Value]) -> bytes:
    """A row's text. Floats that are no numbers are null."""
    told = [None if isinstance(value, float) and not isfinite(value) else value for value in values]
    return jsontext.dumps(dict(zip(columns, told, strict=True)))


def rows_root(texts: Sequence[bytes]) -> str:
    """The head of the tree over rows' texts, hexadecimal."""
    return merkle.root(texts).hex()


def rows_tree(texts: Sequence[bytes]) -> merkle.Tree:
    """The tree over rows' texts, for whoever wants the paths of several rows."""
    tree = merkle.Tree()
    for text in texts:
        tree.append(merkle.leaf_hash(text))
    return tree


def row_path(texts: Sequence[bytes], index: int) -> list[str]:
    """The audit path of a row, from the leaf up, hexadecimal."""
    return [node.hex() for node in merkle.path(texts, index)]


def row_holds(text: bytes, index: int, count: int, path: Sequence[str], root: str) -> bool:
    """Whether a row is the one at ``index`` of the ``count`` that a batch's ``root`` is over."""
    try:
        siblings = [bytes.fromhex(node) for node in path]
    except ValueError:
        return False
    found = merkle.root_from_path(text, index, count, siblings)
    return found is not None and found.hex() == root


def synopsis_of(columns: Sequence[str], rows: Sequence[Sequence[Value]]) -> dict[str, list[Value]]:
    """[n, least, mean, greatest] of each column but the time, of the first :data:`MAX_FIELDS`; nulls where n is 0.

    Numbers have nine significant digits: enough to tell each of single precision from the next, and half the bytes.
    """
    found: dict[str, list[Value]] = {}
    for place, name in enumerate(columns):
        if name == TIME or len(found) == MAX_FIELDS:
            continue
        values = [value for row in rows if (value := row[place]) is not None and isfinite(value)]
        mean = fsum(values) / len(values) if values else None
        summary = (min(values), mean, max(values)) if values else (None, None, None)
        found[name] = [len(values), *map(_nine_digits, summary)]
    return found


def _nine_digits(value: Value) -> Value:
    return float(f"{value:.9g}") if isinstance(value, float) else value

"""Baskets: transactions that people put together for a package. In memory, one for each session."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gridledger.errors import InputError, LimitError

MAX_ITEMS: Final = 50
"""As many as one question to a case desk names."""
MAX_BASKETS: Final = 64

_TX: Final = re.compile(r"[0-9a-f]{64}")
_CHANNEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True, order=True)
class Item:
    """A transaction."""

    channel: str
    tx_id: str

    @property
    def text(self) -> str:
        """As forms have it."""
        return f"{self.channel}/{self.tx_id}"


class Baskets:
    """By session. Beyond :data:`MAX_BASKETS` the one that was made first is forgotten."""

    def __init__(self) -> None:
        self._items: dict[bytes, dict[Item, None]] = {}

    def of(self, session: bytes) -> tuple[Item, ...]:
        """What is in a session's basket, in the order in which it was put there."""
        return tuple(self._items.get(session, ()))

    def add(self, session: bytes, items: Iterable[Item]) -> None:
        """Put in, each once; :class:`LimitError`, and nothing is put in, where it would be more than fits."""
        known = self._items.get(session, {})
        together = {**known, **dict.fromkeys(items)}
        if len(together) > MAX_ITEMS:
            raise LimitError(f"a basket takes {MAX_ITEMS} transactions: make a package, empty it, and go on")
        if session not in self._items and len(self._items) >= MAX_BASKETS:
            self._items.pop(next(iter(self._items)))
        self._items[session] = together

    def remove(self, session: bytes, items: Iterable[Item]) -> None:
        """Take out; what is not in it does not matter."""
        known = self._items.get(session, {})
        for item in items:
            known.pop(item, None)

    def empty(self, session: bytes) -> None:
        """Take everything out."""
        self._items.pop(session, None)


def items_of(fields: Mapping[str, str]) -> list[Item]:
    """The transactions that a form names: each field whose name begins with ``item`` has one, ``CHANNEL/ID``."""
    return [item_of(text) for name, text in fields.items() if name.startswith("item")]


def item_of(text: str) -> Item:
    """The transaction that ``CHANNEL/ID`` names; :class:`InputError` where it is none."""
    channel, _, tx_id = text.partition("/")
    if not _CHANNEL.fullmatch(channel) or not _TX.fullmatch(tx_id):
        raise InputError(f"{text[:80]!r} names no transaction: CHANNEL/ID, the id with 64 hex digits")
    return Item(channel, tx_id)


def question_of(items: Iterable[Item]) -> dict[str, Any]:
    """The question to a case desk for these transactions, and no others."""
    chosen = sorted(set(items))
    if not chosen:
        raise InputError("the basket is empty: put transactions into it first")
    channels = sorted({item.channel for item in chosen})
    return {"channels": channels, "transactions": sorted({item.tx_id for item in chosen})}

"""What changed between two JSON values: ``q_mvar 0 → 42.63``, member by member, with a bound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from typing import Any, Final

from gridledger import jsontext

MAX_DIFFERENCES: Final = 50
MAX_DEPTH: Final = 32
MAX_VALUE: Final = 80
"""Characters of a value that are shown."""


class Absent(Enum):
    """No such member: a value that no JSON has."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where two values differ; ``path`` is empty for the whole value. ABSENT where a side has none."""

    path: str
    before: Any
    after: Any

    @property
    def words(self) -> str:
        """As a person reads it."""
        if self.before is ABSENT:
            return f"{self.path} added: {shown(self.after)}".lstrip()
        if self.after is ABSENT:
            return f"{self.path} removed, it was {shown(self.before)}".lstrip()
        return f"{self.path} {shown(self.before)} → {shown(self.after)}".lstrip()


def differences(before: Any, after: Any, *, most: int = MAX_DIFFERENCES) -> tuple[list[Difference], bool]:
    """The first ``most`` differences in the order of the members' names, and whether there are more.

    Numbers that are equal and written in another way (1 and 1.0) count as equal; true and 1 do not.
    """
    found = list(islice(_differences("", before, after, 0), most + 1))
    return found[:most], len(found) > most


def in_words(before: Any, after: Any, *, most: int = MAX_DIFFERENCES) -> str:
    """The differences as one text."""
    found, more = differences(before, after, most=most)
    return "; ".join([*(item.words for item in found), *(["and more"] if more else [])]) or "nothing changed"


def shown(value: Any) -> str:
    """A value's JSON text, cut."""
    text = jsontext.dumps(value).decode()
    return text if len(text) <= MAX_VALUE else f"{text[: MAX_VALUE - 1]}…"


def _differences(path: str, before: Any, after: Any, depth: int) -> Iterator[Difference]:
    if depth < MAX_DEPTH and isinstance(before, dict) and isinstance(after, dict):
        for name in sorted(before.keys() | after.keys()):
            inner = f"{path}.{name}" if path else name
            yield from _differences(inner, before.get(name, ABSENT), after.get(name, ABSENT), depth + 1)
    elif depth < MAX_DEPTH and isinstance(before, list) and isinstance(after, list):
        for place in range(max(len(before), len(after))):
            old, new = (side[place] if place < len(side) else ABSENT for side in (before, after))
            yield from _differences(f"{path}[{place}]", old, new, depth + 1)
    elif not _equal(before, after):
        yield Difference(path, before, after)


def _equal(before: Any, after: Any) -> bool:
    return bool(before == after) and isinstance(before, bool) == isinstance(after, bool)

"""What became of every transaction that an engine sent: kept as columns, written as a file, read by who measures."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gridledger import jsontext

VALID = "VALID"
ANSWERED = "ANSWERED"
GOOD = frozenset((VALID, ANSWERED))
"""What counts as done: committed and valid, or, of a query, answered."""


@dataclass(slots=True)
class Records:
    """Columns, one row for each transaction: intended, sent and end (seconds since the load's begin), and its code.

    A code is a validation code's name (committed), ANSWERED (a query), or an error's code (refused, or unknown).
    """

    intended: array[float] = field(default_factory=lambda: array("d"))
    sent: array[float] = field(default_factory=lambda: array("d"))
    ended: array[float] = field(default_factory=lambda: array("d"))
    code: array[int] = field(default_factory=lambda: array("H"))
    names: list[str] = field(default_factory=list)
    committed: set[str] = field(default_factory=set)

    def add(self, intended: float, sent: float, ended: float, name: str, *, committed: bool) -> None:
        """One more row."""
        if name not in self.names:
            self.names.append(name)
        if committed:
            self.committed.add(name)
        self.intended.append(intended)
        self.sent.append(sent)
        self.ended.append(ended)
        self.code.append(self.names.index(name))

    def rows(self) -> Iterator[tuple[float, float, float, str]]:
        """All rows: intended, sent, ended, code."""
        names = self.names
        for intended, sent, ended, code in zip(self.intended, self.sent, self.ended, self.code, strict=True):
            yield intended, sent, ended, names[code]

    def write(self, path: Path, **about: Any) -> None:
        """One line of JSON, then the columns as they are in memory."""
        head = {"rows": len(self.code), "names": self.names, "committed": sorted(self.committed), **about}
        with path.open("wb") as file:
            file.write(jsontext.dumps(head) + b"\n")
            for column in (self.intended, self.sent, self.ended, self.code):
                column.tofile(file)

    @classmethod
    def read(cls, path: Path) -> tuple[Records, dict[str, Any]]:
        """The rows of a file, and what else its head says."""
        with path.open("rb") as file:
            head = jsontext.loads(file.readline())
            records = cls(names=head["names"], committed=set(head["committed"]))
            for column in (records.intended, records.sent, records.ended, records.code):
                column.fromfile(file, head["rows"])
        return records, head

"""The outcome of every transaction that an engine sent: columns in memory, written to a file and read from it."""

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
"""The codes of success: a transaction was committed as valid, or a query was answered."""


@dataclass(slots=True)
class TransactionLog:
    """Columns with a row for each transaction: intended, sent and ended in seconds since the load's begin, and a code.

    The code is the name of a validation code (committed), ANSWERED (a query), or an error's code (refused or unknown).
    ``codes`` are the names that column ``code`` numbers, ``committed`` those of them that are validation codes.
    """

    intended: array[float] = field(default_factory=lambda: array("d"))
    sent: array[float] = field(default_factory=lambda: array("d"))
    ended: array[float] = field(default_factory=lambda: array("d"))
    code: array[int] = field(default_factory=lambda: array("H"))
    codes: list[str] = field(default_factory=list)
    committed: set[str] = field(default_factory=set)

    def add(self, intended: float, sent: float, ended: float, code: str, *, committed: bool) -> None:
        """Append a row."""
        if code not in self.codes:
            self.codes.append(code)
        if committed:
            self.committed.add(code)
        self.intended.append(intended)
        self.sent.append(sent)
        self.ended.append(ended)
        self.code.append(self.codes.index(code))

    def rows(self) -> Iterator[tuple[float, float, float, str]]:
        """All rows: intended, sent, ended, code."""
        codes = self.codes
        for intended, sent, ended, code in zip(self.intended, self.sent, self.ended, self.code, strict=True):
            yield intended, sent, ended, codes[code]

    def write(self, path: Path, *, begin_at: float) -> None:
        """Write one line of JSON and then the columns as they are in memory. ``begin_at``: seconds since 1970."""
        head = {
            "rows": len(self.code),
            "codes": self.codes,
            "committed": sorted(self.committed),
            "begin_at": begin_at,
        }
        with path.open("wb") as file:
            file.write(jsontext.dumps(head) + b"\n")
            for column in (self.intended, self.sent, self.ended, self.code):
                column.tofile(file)

    @classmethod
    def read(cls, path: Path) -> tuple[TransactionLog, float]:
        """The rows of a file, and the ``begin_at`` it was written with."""
        with path.open("rb") as file:
            head: dict[str, Any] = jsontext.loads(file.readline())
            log = cls(codes=head["codes"], committed=set(head["committed"]))
            for column in (log.intended, log.sent, log.ended, log.code):
                column.fromfile(file, head["rows"])
        return log, float(head["begin_at"])

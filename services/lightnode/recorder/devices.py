"""What the recorder knows of each device: its records that are there, and how far the ledger has them."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import Final

from gridledger.evidence.events import NO_EVENT
from services.lightnode.recorder.marks import ASIDE, ON_CHAIN, Mark

MAX_FOREIGN: Final = 1000
"""Events on the ledger that are no records of the node, of which the newest are shown."""


@dataclass(slots=True)
class DeviceIndex:
    """A device's records by number, and their seq; ``settled`` counts those that need not be kept, which are the
    first ones: the ledger takes a device's events in their order.

    ``seq`` and ``sha256`` are the device's newest event on the ledger as the marks have it.
    """

    numbers: array[int] = field(default_factory=lambda: array("Q"))
    seqs: array[int] = field(default_factory=lambda: array("Q"))
    settled: int = 0
    last_seq: int = 0
    seq: int = 0
    sha256: str = NO_EVENT
    marks: list[Mark] = field(default_factory=list)
    foreign: list[Mark] = field(default_factory=list)

    @property
    def waiting(self) -> int:
        """How many records the ledger has not."""
        return len(self.numbers) - self.settled

    @property
    def next_seq(self) -> int:
        """What the next event's seq will be, as far as is known."""
        return max(self.last_seq, self.seq + self.waiting) + 1

    def add(self, number: int, seq: int) -> None:
        """Note a record."""
        self.numbers.append(number)
        self.seqs.append(seq)
        self.last_seq = seq

    def oldest(self, count: int) -> list[int]:
        """The numbers of the first records that wait."""
        return list(self.numbers[self.settled : self.settled + count])

    def take(self, mark: Mark) -> list[int]:
        """Note a mark; the numbers of the records that are settled by it: its own, and those before them, whose mark
        was lost, for the ledger takes a device's events in their order."""
        if mark.kind != ASIDE:
            self.seq, self.sha256 = mark.last_seq, mark.sha256
        if not mark.numbers:
            self.foreign.append(mark)
            return []
        self.marks.append(mark)
        end = bisect_right(self.numbers, mark.numbers[-1])
        news = list(self.numbers[self.settled : end])
        self.settled = max(self.settled, end)
        return news

    def number_of(self, seq: int) -> int | None:
        """The record of a seq; None where it is not there."""
        place = bisect_left(self.seqs, seq)
        return self.numbers[place] if place < len(self.seqs) and self.seqs[place] == seq else None

    def from_seq(self, seq: int, count: int) -> list[int]:
        """The numbers of the first records from a seq on."""
        place = bisect_left(self.seqs, seq)
        return list(self.numbers[place : place + count])

    def mark_of(self, number: int) -> tuple[Mark, int] | None:
        """What became of a record, and its seq on the ledger (0: none); None while it waits, or its mark was lost."""
        place = bisect_right(self.marks, number, key=_first) - 1
        if place < 0 or number not in self.marks[place].numbers:
            return None
        mark = self.marks[place]
        return mark, mark.seq + mark.numbers.index(number) if mark.kind == ON_CHAIN else 0

    def forget(self, first: int, end: int) -> None:
        """Let go of the records from one number to before another; they are settled."""
        left, right = bisect_left(self.numbers, first), bisect_left(self.numbers, end)
        del self.numbers[left:right]
        del self.seqs[left:right]
        self.settled -= right - left
        oldest = self.numbers[0] if self.numbers else end
        gone = 0
        while gone < len(self.marks) - 1 and self.marks[gone].numbers[-1] < oldest:
            gone += 1
        del self.marks[:gone]
        del self.foreign[:-MAX_FOREIGN]

    def kept_marks(self) -> list[Mark]:
        """The marks that still say something; read in this order they give ``seq`` and ``sha256`` again."""
        newest = [mark for mark in self.foreign[-1:] if mark.seq == self.seq]
        return [*self.foreign[: len(self.foreign) - len(newest)], *self.marks, *newest]


def _first(mark: Mark) -> int:
    return mark.numbers[0]

"""What a rule is, and what it finds: a sentence, whom it is about, and the rows that it rests on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final, NamedTuple

from services.case.rows import Row

SECOND_US: Final = 1_000_000
MAX_POINTERS: Final = 1_000
"""Rows that one finding points to; it says how many more there are."""


class Pointer(NamedTuple):
    """Where a row is."""

    channel: str
    block: int
    position: int
    item: int
    tx_id: str

    @classmethod
    def to(cls, row: Row) -> Pointer:
        """Where this row is."""
        return cls(row.channel, row.block, row.position, row.item, row.tx_id)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a rule noticed.

    ``subject``: whom it is about, by what it is (device, operator, terminal, session, channel). ``from_us``, ``to_us``:
    the first and the last time that it rests on. ``rows``: at most ``MAX_POINTERS`` of them, in order; ``more``: how
    many it left out. ``details``: figures, for programs.
    """

    rule: str
    text: str
    subject: Mapping[str, str]
    from_us: int
    to_us: int
    rows: tuple[Pointer, ...]
    more: int = 0
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "rule": self.rule,
            "text": self.text,
            "subject": dict(self.subject),
            "from_us": self.from_us,
            "to_us": self.to_us,
            "rows": [pointer._asdict() for pointer in self.rows],
            "more": self.more,
            "details": dict(self.details),
        }


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number that a rule goes by. ``unit``: s, or what is counted. ``scales``: whether it is as much shorter in a
    replay as the replay's time is."""

    name: str
    default: float
    unit: str
    says: str
    scales: bool = False


Values = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: what it says in words, what it goes by, and ``find``, which gets valid and invalid rows in order.

    ``needs_all``: it is wrong about rows that are but some devices' or some kinds'.
    """

    name: str
    says: str
    find: Callable[[Sequence[Row], Values], list[Finding]]
    parameters: tuple[Parameter, ...] = ()
    needs_all: bool = False

    def values(self, given: Mapping[str, float], faster: float) -> dict[str, float]:
        """Its parameters by name: those given, else the defaults, in a replay that is so many times faster shorter."""
        return {
            each.name: given.get(each.name, each.default / faster if each.scales else each.default)
            for each in self.parameters
        }


def told_us(row: Row) -> int:
    """The time that a row is dated by: as it was said, else the block's."""
    return row.block_us if row.said_us is None else row.said_us


def finding(rule: str, text: str, rows: Sequence[Row], **about: Any) -> Finding:
    """A finding that rests on ``rows``, one at least; ``about``: its subject, and ``details``."""
    details = about.pop("details", {})
    times = [told_us(row) for row in rows]
    return Finding(
        rule=rule,
        text=text,
        subject={name: value for name, value in about.items() if value is not None},
        from_us=min(times),
        to_us=max(times),
        rows=tuple(Pointer.to(row) for row in rows[:MAX_POINTERS]),
        more=max(0, len(rows) - MAX_POINTERS),
        details=details,
    )


def of_kinds(rows: Iterable[Row], *kinds: str) -> list[Row]:
    """The valid rows of some kinds."""
    return [row for row in rows if row.is_valid and row.kind in kinds]


def by(rows: Iterable[Row], key: Callable[[Row], Any]) -> Iterator[tuple[Any, list[Row]]]:
    """Rows by a key, sorted by it; each group in the order of ``rows``. Rows whose key is None are left out."""
    keyed = sorted(((value, row) for row in rows if (value := key(row)) is not None), key=lambda each: each[0])
    for value, group in groupby(keyed, key=lambda each: each[0]):
        yield value, [row for _, row in group]


def runs(rows: Sequence[Row], most_apart_us: float) -> list[list[Row]]:
    """Rows in order, cut where the next is told more than so much later."""
    found: list[list[Row]] = []
    for row in rows:
        if found and told_us(row) - told_us(found[-1][-1]) <= most_apart_us:
            found[-1].append(row)
        else:
            found.append([row])
    return found


def dense(rows: Sequence[Row], window_us: float, least: float, key: Callable[[Row], Any]) -> list[list[Row]]:
    """The longest stretches of rows in order each of which lies in some window with ``least`` different keys."""
    keys: Counter[Any] = Counter()
    is_dense = [False] * len(rows)
    begin = marked = 0
    for end, row in enumerate(rows):
        keys[key(row)] += 1
        while told_us(row) - told_us(rows[begin]) > window_us:
            keys[key(rows[begin])] -= 1
            if not keys[key(rows[begin])]:
                del keys[key(rows[begin])]
            begin += 1
        if len(keys) >= least:
            for place in range(max(begin, marked), end + 1):
                is_dense[place] = True
            marked = end + 1
    return runs([row for row, yes in zip(rows, is_dense, strict=True) if yes], window_us)


def listed(names: Iterable[str], most: int = 8) -> str:
    """Names for a sentence, each once, in order; of many the first few."""
    each = list(dict.fromkeys(names))
    return ", ".join(each) if len(each) <= most else f"{', '.join(each[:most])} and {len(each) - most} more"


def span(seconds: float) -> str:
    """A span of time for a sentence."""
    for size, unit in ((86_400.0, "days"), (3_600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"

"""Searches in the desk's index: a page of rows in order, and counts of what was left out.

Rows come by the time told (or the block's), those of one time as their channels' chains have them; rows that tell no
time come behind all others, and borrow none. Work is bounded: a page by its limit, a count by :data:`COUNTED` and by
how much may be looked at for it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from typing import Any, Final

from services.case.questions import BLOCK, SAID, Question, Scope
from services.case.rows import Row
from services.case.serving import schema

COUNTED: Final = 10_000
"""What was left out is counted so far; more is told as this many."""
_RARE: Final = 60_000
"""Rows with the words of a question, up to which a search begins with them; of more it looks at each row's words."""
_STEPS: Final = 20_000_000
_STEPS_WITH_WORDS: Final = 2_000_000
"""Steps of SQLite's machine after which a count is given up: each look at a row takes some ten to thirty."""
_AT_ONCE: Final = 500
"""Values in one statement."""

_DRIVERS: Final = (
    ("sessions", "session", "valid_by_session"),
    ("devices", "device", "valid_by_device"),
    ("operators", "operator", "valid_by_operator"),
    ("terminals", "terminal", "valid_by_terminal"),
    ("kinds", "kind", "valid_by_kind"),
)
"""Members of a question whose index a search can follow, those first that mostly have the fewest rows."""
_TIME: Final = {SAID: "said_us", BLOCK: "block_us"}
_VALID, _NOT_VALID = "rows.code = 0", "rows.code <> 0"
_IN_BLOCK_SPAN: Final = "rows.block_us >= ? AND rows.block_us < ?"
_CHANNEL: Final = f"rows.id >> {schema.CHANNEL_SHIFT}"
_HAS_WORDS: Final = "has_words(rows.text, rows.kind, rows.device, rows.operator, rows.terminal, rows.session)"
_CHOSEN: Final = (
    "CREATE TEMP TABLE chosen AS SELECT every.id, every.code, every.kind, every.device, every.operator, every.terminal,"
    " every.session, every.said_us, every.block_us"
)
_BY_WORDS: Final = f"{_CHOSEN} FROM words JOIN rows AS every ON every.id = words.rowid WHERE words MATCH ?"
_BY_TRANSACTION: Final = (
    f"{_CHOSEN}, every.text FROM rows AS first"
    " JOIN rows AS every ON every.id BETWEEN first.id AND first.id + 64 AND every.tx = first.tx"
    " WHERE first.item = 0 AND first.tx IN "
)

Names = dict[int | None, str | None]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """How many rows fit the question, and are not on the page. Of each at most :data:`COUNTED` is told; None where
    too many rows would have to be looked at.

    ``scope``: beyond the case's scope. ``not_valid``: of transactions that are not valid (0 where they were asked for).
    ``told_elsewhere``: whose block's time is within the time asked for, and the time they tell is not, by more than
    clocks may differ. ``undated``: that tell no time; they come behind the others. ``limit``: behind this page, the
    undated ones included.
    """

    scope: int | None
    not_valid: int | None
    told_elsewhere: int | None
    undated: int | None
    limit: int | None

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "scope": self.scope,
            "not_valid": self.not_valid,
            "told_elsewhere": self.told_elsewhere,
            "undated": self.undated,
            "limit": self.limit,
            "counted_up_to": COUNTED,
        }


@dataclass(frozen=True, slots=True)
class Page:
    """``bookmark``: of the next page, None at the end. ``left_out``: told with the first page alone."""

    rows: list[Row]
    bookmark: str | None
    left_out: LeftOut | None


def search(connection: sqlite3.Connection, channels: Mapping[str, int], question: Question, scope: Scope) -> Page:
    """A page of what the question asks for within the scope. ``channels`` are their numbers in the index.

    The connection reads one state from beginning to end.
    """
    connection.execute("BEGIN")
    try:
        return _Search(connection, channels, question, scope).page()
    finally:
        connection.execute("ROLLBACK")


class _Conditions:
    """What rows must fulfil: SQL with its parameters."""

    def __init__(self, *terms: tuple[str, Sequence[Any]]) -> None:
        self._terms = terms

    def __add__(self, other: _Conditions) -> _Conditions:
        return _Conditions(*self._terms, *other._terms)

    @property
    def sql(self) -> str:
        return " AND ".join(term for term, _ in self._terms) or "1"

    @property
    def values(self) -> list[Any]:
        return [value for _, values in self._terms for value in values]


@dataclass(frozen=True, slots=True)
class _Way:
    """Where a search reads: a table with its index, a cursor for each of these conditions. ``is_narrow``: it has few
    rows, whatever is asked of them."""

    table: str
    cursors: tuple[_Conditions, ...]
    is_narrow: bool


class _Search:
    def __init__(
        self, connection: sqlite3.Connection, channels: Mapping[str, int], question: Question, scope: Scope
    ) -> None:
        self._connection = connection
        self._channels = channels
        self._question = question
        self._scope = scope
        self._time = f"rows.{_TIME[question.by]}"
        self._span = (
            scope.from_us if question.from_us is None else question.from_us,
            scope.to_us if question.to_us is None else question.to_us,
        )
        self._valid = _Conditions((_VALID if question.is_valid else _NOT_VALID, ()))
        self._in_scope = self._covered()
        self._asked = self._wanted()
        self._has_words = _Conditions()
        self._way = self._choose_way()

    def page(self) -> Page:
        """The page, and with the first one what was left out."""
        limit = self._question.limit
        places = list(islice(self._after(self._question.bookmark), limit + 1))
        shown, more = places[:limit], len(places) > limit
        rows = self._rows([row_id for _, row_id in shown])
        bookmark = f"{'u' if shown[-1][0] is None else shown[-1][0]}.{shown[-1][1]}" if more else None
        left_out = self._left_out(len(rows)) if self._question.bookmark is None else None
        return Page(rows, bookmark, left_out)

    def _after(self, bookmark: str | None) -> Iterator[tuple[int | None, int]]:
        """(time, id) of the rows behind a bookmark; without a time those that tell none."""
        place, _, row_id = (bookmark or "").partition(".")
        after = int(row_id) if row_id else -1
        if place != "u":
            yield from self._dated((int(place), after) if place else None)
            after = -1
        if self._question.by == SAID:
            base = self._base + self._undated_terms + _Conditions(("rows.id > ?", (after,)))
            sql = f"SELECT NULL, rows.id FROM {self._plain_table} WHERE {base.sql} ORDER BY rows.id"  # noqa: S608
            yield from self._connection.execute(sql, base.values)

    def _dated(self, after: tuple[int, int] | None) -> Iterator[tuple[int, int]]:
        begin, end = self._span
        terms = self._base + _Conditions((f"{self._time} < ?", (end,)))
        if after is None:
            terms += _Conditions((f"{self._time} >= ?", (begin,)))
        else:
            terms += _Conditions((f"{self._time} >= ?", after[:1]), (f"({self._time}, rows.id) > (?, ?)", after))
        select = f"SELECT {self._time}, rows.id FROM {self._way.table} WHERE "  # noqa: S608 - of constants
        order = f" ORDER BY {self._time}, rows.id"
        every = [terms + more for more in self._way.cursors]
        return merge(*(self._connection.cursor().execute(select + each.sql + order, each.values) for each in every))

    def _rows(self, ids: Sequence[int]) -> list[Row]:
        """The rows of these ids, in their order."""
        found: dict[int, tuple[Any, ...]] = {}
        for begin in range(0, len(ids), _AT_ONCE):
            some = ids[begin : begin + _AT_ONCE]
            sql = f"SELECT id, {schema.COLUMNS} FROM rows WHERE id IN ({_marks(some)})"  # noqa: S608 - of constants
            found |= {row_id: tuple(values) for row_id, *values in self._connection.execute(sql, some)}
        names = self._names({value for values in found.values() for value in _named(values)})
        channels = {number: name for name, number in self._channels.items()}
        return [schema.row_of(channels[row_id >> schema.CHANNEL_SHIFT], found[row_id], names) for row_id in ids]

    def _names(self, numbers: set[int | None]) -> Names:
        names: Names = {None: None}
        wanted = sorted(number for number in numbers if number is not None)
        for begin in range(0, len(wanted), _AT_ONCE):
            some = wanted[begin : begin + _AT_ONCE]
            sql = f"SELECT id, name FROM names WHERE id IN ({_marks(some)})"  # noqa: S608 - of constants
            names.update(self._connection.execute(sql, some).fetchall())
        return names

    def _numbers(self, names: Sequence[str]) -> list[int]:
        """The numbers of names, those left out that nothing has."""
        sql = f"SELECT id FROM names WHERE name IN ({_marks(names)})"  # noqa: S608 - of constants
        return [number for (number,) in self._connection.execute(sql, names)]

    @property
    def _base(self) -> _Conditions:
        """What all rows of the answer fulfil, but for the time."""
        return self._valid + self._asked + self._in_scope + self._has_words

    @property
    def _undated_terms(self) -> _Conditions:
        return _Conditions(("rows.said_us IS NULL", ()), (_IN_BLOCK_SPAN, self._span))

    @property
    def _plain_table(self) -> str:
        """What is read, with whatever index SQLite takes."""
        return self._way.table if self._way.table.startswith("chosen") else "rows"

    def _wanted(self) -> _Conditions:
        """What the question names."""
        question = self._question
        named = ((column, getattr(question, member)) for member, column, _ in _DRIVERS)
        terms = [_among(f"rows.{column}", self._numbers(names)) for column, names in named if names]
        if question.channels:
            terms.append(_among(_CHANNEL, [self._channels.get(name, 0) for name in question.channels]))
        return _Conditions(*terms)

    def _covered(self) -> _Conditions:
        """What the scope lets be seen, but for the time."""
        scope = self._scope
        terms = []
        if not set(scope.channels) >= set(self._channels):
            terms.append(_among(_CHANNEL, [self._channels.get(name, 0) for name in scope.channels]))
        for column, names in (("device", scope.devices), ("operator", scope.operators)):
            if names is not None:
                named, values = _among(f"rows.{column}", self._numbers(names))
                terms.append((f"(rows.{column} IS NULL OR {named})", values))
        if scope.kinds is not None:
            terms.append(_among("rows.kind", self._numbers(scope.kinds)))
        return _Conditions(*terms)

    def _choose_way(self) -> _Way:
        question = self._question
        chosen = _Way("chosen AS rows", (_Conditions(),), is_narrow=True)
        if question.transactions:
            hashes = [bytes.fromhex(tx) for tx in question.transactions]
            self._connection.execute(f"{_BY_TRANSACTION} ({_marks(hashes)})", hashes)
        elif question.words and self._choose_by_words():
            return chosen
        if question.words:
            names = self._names({number for (number,) in self._connection.execute("SELECT id FROM names")})
            self._connection.create_function("has_words", 6, schema.words_test(question.words, names))
            self._has_words = _Conditions((_HAS_WORDS, ()))
        return chosen if question.transactions else self._indexed()

    def _choose_by_words(self) -> bool:
        """Choose the rows that have the words, if they are few; whether they are."""
        question = self._question
        match = schema.match_text(question.words, *(getattr(question, member) for member, _, _ in _DRIVERS))
        (count,) = self._connection.execute(
            "SELECT count(*) FROM (SELECT 1 FROM words WHERE words MATCH ? LIMIT ?)", (match, _RARE + 1)
        ).fetchone()
        if count > _RARE:
            return False
        self._connection.execute(_BY_WORDS, (match,))
        return True

    def _indexed(self) -> _Way:
        question = self._question
        if not question.is_valid:
            index = "invalid_by_time" if question.by == SAID else "invalid_by_block_time"
            return _Way(f"rows INDEXED BY {index}", (_Conditions(),), is_narrow=False)
        for member, column, index in _DRIVERS:
            names = getattr(question, member) or (self._scope.kinds if column == "kind" else None)
            if names and (question.by == SAID or column != "kind"):
                cursors = [_Conditions((f"rows.{column} = ?", (number,))) for number in self._numbers(names)]
                return _Way(f"rows INDEXED BY {index}", tuple(cursors), is_narrow=column != "kind")
        index = "valid_by_time" if question.by == SAID else "valid_by_block_time"
        return _Way(f"rows INDEXED BY {index}", (_Conditions(),), is_narrow=False)

    def _left_out(self, shown: int) -> LeftOut:
        by_said = self._question.by == SAID
        within = _Conditions((f"{self._time} >= ? AND {self._time} < ?", self._span))
        undated = self._count(self._base + self._undated_terms, self._plain_table) if by_said else 0
        dated = self._count_all(self._base + within, shown + COUNTED)
        return LeftOut(
            scope=self._beyond_scope(),
            not_valid=self._not_valid(within) if self._question.is_valid else 0,
            told_elsewhere=self._told_elsewhere() if by_said else 0,
            undated=undated,
            limit=None if dated is None or undated is None else min(COUNTED, max(0, dated + undated - shown)),
        )

    def _not_valid(self, within: _Conditions) -> int | None:
        terms = _Conditions((_NOT_VALID, ())) + self._asked + self._in_scope + self._has_words + within
        return self._count(terms, self._plain_table)

    def _beyond_scope(self) -> int | None:
        """Rows that the question would have found with a wider scope."""
        question, scope = self._question, self._scope
        asked = self._valid + self._asked + self._has_words
        own = [(f"{self._time} >= ?", question.from_us), (f"{self._time} < ?", question.to_us)]
        asked += _Conditions(*((term, (at_us,)) for term, at_us in own if at_us is not None))
        counts = []
        if question.from_us is None:
            counts.append(self._count_all(asked + _Conditions((f"{self._time} < ?", (scope.from_us,))), beyond=True))
        if question.to_us is None:
            counts.append(self._count_all(asked + _Conditions((f"{self._time} >= ?", (scope.to_us,))), beyond=True))
        if self._in_scope.sql != "1":
            within = (f"{self._time} >= ? AND {self._time} < ?", scope.bounds)
            beyond = _Conditions(within, (f"NOT ({self._in_scope.sql})", self._in_scope.values))
            counts.append(self._count_all(asked + beyond, beyond=True))
        known = [count for count in counts if count is not None]
        enough = sum(known) >= COUNTED
        return min(sum(known), COUNTED) if enough or len(known) == len(counts) else None

    def _told_elsewhere(self) -> int | None:
        elsewhere = ("NOT (rows.said_us >= ? AND rows.said_us < ?)", self._span)
        terms = self._base + _Conditions((schema.APART, ()), (_IN_BLOCK_SPAN, self._span), elsewhere)
        if self._way.is_narrow or not self._question.is_valid:
            return self._count_all(terms)
        return self._count(terms, "rows INDEXED BY valid_apart")

    def _count_all(self, terms: _Conditions, most: int = COUNTED, *, beyond: bool = False) -> int | None:
        """Count along the way of the search; ``beyond``: what the scope keeps out, too."""
        way = self._way
        if beyond and not self._question.kinds and way.table.endswith("valid_by_kind"):
            return self._count(terms, "rows INDEXED BY valid_by_time", most)
        total = 0
        for more in way.cursors:
            count = self._count(terms + more, way.table, most - total)
            if count is None:
                return None
            total += count
            if total >= most:
                break
        return total

    def _count(self, terms: _Conditions, table: str, most: int = COUNTED) -> int | None:
        sql = f"SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {terms.sql} LIMIT ?)"  # noqa: S608 - of constants
        steps = _STEPS_WITH_WORDS if self._has_words.sql != "1" else _STEPS
        self._connection.set_progress_handler(lambda: 1, steps)
        try:
            (count,) = self._connection.execute(sql, (*terms.values, most)).fetchone()
        except sqlite3.OperationalError as error:
            if "interrupt" not in str(error):
                raise
            return None
        finally:
            self._connection.set_progress_handler(None, 0)
        return int(count)


def _named(values: Sequence[Any]) -> tuple[Any, ...]:
    """The numbers of names among a row's columns."""
    return (*values[5:7], *values[8:11], values[14])


def _among(column: str, values: Sequence[Any]) -> tuple[str, Sequence[Any]]:
    # An empty list would leave SQLite no way along the index that a search names.
    return f"{column} IN ({_marks(values or (-1,))})", values or (-1,)


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))

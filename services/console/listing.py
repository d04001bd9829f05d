"""Lists as the console shows them: a table in a page, and the same rows as CSV and JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import urlencode

from gridledger import jsontext

State = Literal["", "good", "warn", "bad", "dim"]
"""What a cell or row tells at a glance. It stands beside a text always, never in place of one."""

MAX_CELL: Final = 400
"""Characters of a cell that a page shows; exports have the whole text."""

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True, slots=True)
class Column:
    """A column; ``numeric`` ones stand to the right, in digits of one width. ``narrow`` screens hide ``minor`` ones."""

    name: str
    head: str
    numeric: bool = False
    minor: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """One value: ``text`` as people read it, ``value`` as programs do (``text`` where None), a link, a state.

    ``at_us`` is a time (microseconds since 1970), which the page shows as its reader's local time, and as an age where
    ``aged``. ``whole`` is what is copied and shown by hovering, where ``text`` is a short form of it.
    """

    text: str
    value: Any = None
    href: str | None = None
    state: State = ""
    whole: str | None = None
    at_us: int | None = None
    aged: bool = False

    @property
    def shown(self) -> str:
        """The text, cut to what a page shows."""
        return self.text if len(self.text) <= MAX_CELL else self.text[: MAX_CELL - 1] + "…"

    @property
    def plain(self) -> Any:
        """What an export has."""
        if self.value is not None:
            return self.value
        if self.at_us is not None and not self.text:
            return self.at_us
        return self.text if self.whole is None else self.whole


@dataclass(frozen=True, slots=True)
class Row:
    """Cells by column name; ``detail`` are lines that open below it."""

    cells: Mapping[str, Cell]
    state: State = ""
    detail: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Filter:
    """A field of the list's form, in the URL. With ``choices`` it is a selection of (value, text)."""

    name: str
    label: str
    value: str = ""
    choices: Sequence[tuple[str, str]] = ()
    kind: str = "text"


@dataclass(frozen=True, slots=True)
class Listing:
    """A list. ``path`` and ``query`` are the URL by which it is shown; ``next_query`` of the next page, if any."""

    name: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    path: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    filters: Sequence[Filter] = ()
    next_query: Mapping[str, str] | None = None
    empty: str = "There is nothing here."

    @property
    def next_url(self) -> str | None:
        """The next page's address."""
        return None if self.next_query is None else url(self.path, {**self.query, **self.next_query})

    @property
    def first_url(self) -> str | None:
        """The first page's address, where this is another one."""
        kept = {name: value for name, value in self.query.items() if name != "bookmark"}
        return url(self.path, kept) if "bookmark" in self.query else None

    def export_url(self, form: str) -> str:
        """The address of the same rows as ``csv`` or ``json``."""
        return url(self.path, {**self.query, "format": form})

    def to_csv(self) -> str:
        """The rows as CSV (RFC 4180). Lists and objects are JSON texts in it, times microseconds since
        1970. A text that a spreadsheet would run as a formula has an apostrophe before it."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow([column.name for column in self.columns])
        for row in self.rows:
            writer.writerow([_in_csv(_plain(row, column)) for column in self.columns])
        return text.getvalue()

    def to_json(self) -> dict[str, Any]:
        """The rows as plain JSON values."""
        items = [{column.name: _plain(row, column) for column in self.columns} for row in self.rows]
        return {"items": items, "next": self.next_url}


def url(path: str, query: Mapping[str, str]) -> str:
    """A path with a query, empty values left out."""
    pairs = {name: value for name, value in query.items() if value != ""}
    return f"{path}?{urlencode(pairs)}" if pairs else path


def _plain(row: Row, column: Column) -> Any:
    cell = row.cells.get(column.name)
    return None if cell is None else cell.plain


def _in_csv(value: Any) -> Any:
    return _unlike_formula(value if isinstance(value, str | int | float | None) else jsontext.dumps(value).decode())


def _unlike_formula(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value

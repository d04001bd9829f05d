"""The tables of the desk's index, and how a row lies in them.

A row's id is its channel's number and its place in that channel's chain, so that ids ascend as the chain does and rows
of one time have one order everywhere. Names (of devices, kinds, sessions ...) are numbers of the table ``names``. The
table of words has no text of its own. An index on times has what questions and scopes mostly ask for, so that a search
looks at rows only when it shows them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from gridledger import jsontext
from services.case.block_rows import CLOCK_S
from services.case.rows import Row

FORMAT: Final = 1
"""An index of another format is made anew."""

CHANNEL_SHIFT: Final = 40
"""Bits of a row's place in its channel."""

NAMED: Final = ("kind", "device", "operator", "terminal", "session", "certificate")
"""Columns whose value is the number of a name."""

COLUMNS: Final = (
    "block, position, item, tx, code, kind, device, seq, operator, terminal, session, said_us, at_us, block_us, "
    "certificate, text, marks"
)
APART: Final = f"abs(block_us - said_us) > {CLOCK_S * 1_000_000}"
"""Times told and times of blocks that differ by more than clocks may."""

TABLES: Final = f"""
CREATE TABLE channels (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, height INTEGER NOT NULL, header_hash TEXT NOT NULL,
    commit_hash TEXT NOT NULL, block_us INTEGER NOT NULL, rows INTEGER NOT NULL
);
CREATE TABLE names (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE rows (
    id INTEGER PRIMARY KEY, block INTEGER NOT NULL, position INTEGER NOT NULL, item INTEGER NOT NULL,
    tx BLOB NOT NULL, code INTEGER NOT NULL, kind INTEGER NOT NULL, device INTEGER, seq INTEGER, operator INTEGER,
    terminal INTEGER, session INTEGER, said_us INTEGER, at_us INTEGER, block_us INTEGER NOT NULL, certificate INTEGER,
    text TEXT NOT NULL, marks TEXT NOT NULL
);
CREATE INDEX valid_by_time ON rows (said_us, kind, device, operator, block_us) WHERE code = 0;
CREATE INDEX valid_by_block_time ON rows (block_us, kind, device, operator, said_us) WHERE code = 0;
CREATE INDEX valid_by_kind ON rows (kind, said_us, device, operator, block_us) WHERE code = 0;
CREATE INDEX valid_by_device ON rows (device, said_us, kind, operator, block_us) WHERE code = 0 AND device IS NOT NULL;
CREATE INDEX valid_by_operator ON rows (operator, said_us) WHERE code = 0 AND operator IS NOT NULL;
CREATE INDEX valid_by_terminal ON rows (terminal, said_us) WHERE code = 0 AND terminal IS NOT NULL;
CREATE INDEX valid_by_session ON rows (session, said_us) WHERE code = 0 AND session IS NOT NULL;
CREATE INDEX valid_apart ON rows (block_us, said_us, kind, device, operator) WHERE code = 0 AND {APART};
CREATE INDEX invalid_by_time ON rows (said_us) WHERE code <> 0;
CREATE INDEX invalid_by_block_time ON rows (block_us) WHERE code <> 0;
CREATE INDEX by_transaction ON rows (tx) WHERE item = 0;
CREATE TABLE flagged (channel INTEGER NOT NULL, session TEXT NOT NULL, PRIMARY KEY (channel, session)) WITHOUT ROWID;
CREATE VIRTUAL TABLE words USING fts5 (
    text, content = '', detail = none, columnsize = 0, tokenize = "ascii tokenchars '-_'"
);
PRAGMA user_version = {FORMAT};
"""

_VALUES: Final = ", ".join("?" * (COLUMNS.count(",") + 2))
INSERT_ROW: Final = f"INSERT INTO rows VALUES ({_VALUES})"  # noqa: S608 - of constants
INSERT_WORDS: Final = "INSERT INTO words (rowid, text) VALUES (?, ?)"

_ESCAPE: Final = re.compile(r"\\(?:u[0-9a-fA-F]{4}|.)")
_WORD: Final = re.compile(r"[\w-]+")


def values_of(row_id: int, row: Row, number_of: Callable[[str | None], int | None]) -> tuple[Any, ...]:
    """What :data:`INSERT_ROW` takes; ``number_of`` gives a name's number."""
    return (
        row_id,
        row.block,
        row.position,
        row.item,
        bytes.fromhex(row.tx_id),
        row.code,
        number_of(row.kind),
        number_of(row.device),
        row.seq,
        number_of(row.operator),
        number_of(row.terminal),
        number_of(row.session),
        row.said_us,
        row.at_us,
        row.block_us,
        number_of(row.certificate),
        row.text,
        marks_text(row.marks),
    )


def row_of(channel: str, values: Sequence[Any], names: Mapping[int | None, str | None]) -> Row:
    """The row whose :data:`COLUMNS` these are; ``names`` by their numbers, None for None."""
    block, position, item, tx, code, kind, device, seq, operator, terminal, session, *rest = values
    said_us, at_us, block_us, certificate, text, marks = rest
    return Row(
        channel=channel,
        block=block,
        position=position,
        item=item,
        tx_id=tx.hex(),
        code=code,
        kind=names[kind] or "",
        device=names[device],
        seq=seq,
        operator=names[operator],
        terminal=names[terminal],
        session=names[session],
        said_us=said_us,
        at_us=at_us,
        block_us=block_us,
        certificate=names[certificate],
        text=text,
        marks=jsontext.loads_trusted(marks),
    )


def marks_text(marks: dict[str, int]) -> str:
    """Marks as their column has them."""
    return jsontext.dumps(marks).decode() if marks else "{}"


def words_text(text: str, *names: str | None) -> str:
    """The words by which a row is found: those of its text, its kind and its names."""
    told = " ".join((text, *(name for name in names if name)))
    if "\\" in told:
        told = _ESCAPE.sub(" ", told)
    return told if told.isascii() else " ".join(_WORD.findall(told.casefold()))


def row_words(row: Row) -> str:
    """As :func:`words_text`, of a row."""
    return words_text(row.text, row.kind, row.device, row.operator, row.terminal, row.session)


def words_test(words: Sequence[str], names: Mapping[int | None, str | None]) -> Callable[..., bool]:
    """Whether all of these are among the words of a row, as the table of words would find them: a function of its text
    and the numbers of its names."""
    patterns = [re.compile(rf"(?<![\w-]){_pattern(word)}", re.IGNORECASE) for word in words]

    def has_words(text: str, *numbers: int | None) -> bool:
        told = words_text(text, *map(names.get, numbers))
        return all(pattern.search(told) for pattern in patterns)

    return has_words


def match_text(words: Sequence[str], *alternatives: Sequence[str] | None) -> str:
    """The expression of the table of words that asks for all of these, and for one of each of the ``alternatives``."""
    asked = [_matched(word) for word in words]
    for names in alternatives:
        if names:
            each = (" AND ".join(_matched(piece) for piece in _WORD.findall(name)) for name in names)
            asked.append(f"({' OR '.join(f'({one})' for one in each)})")
    return " AND ".join(asked)


def _matched(word: str) -> str:
    return f'"{word.removesuffix("*").casefold()}"{"*" if word.endswith("*") else ""}'


def _pattern(word: str) -> str:
    return re.escape(word[:-1].casefold()) if word.endswith("*") else rf"{re.escape(word.casefold())}(?![\w-])"

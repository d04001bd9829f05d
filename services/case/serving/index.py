"""The index of the case desk: rows of all channels in one SQLite file, filled block by block.

It holds nothing that the peer has not, so it is thrown away and made anew where it does not fit the chain.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gridledger import jsontext
from gridledger.errors import CorruptionError, GridLedgerError, NoSpaceLeft, SettingsError, UnavailableError
from gridledger.protocol.block import ZERO_HASH, Block
from gridledger.protocol.codes import TxValidationCode
from services.case.block_rows import Places, rows_of
from services.case.errors import IndexMisfit
from services.case.rows import CONFIG, Row
from services.case.serving import schema

FILE: Final = "index.sqlite"
_BUSY_S: Final = 30.0
_CACHE_KIB: Final = 64 * 1024
_NAMES_KEPT: Final = 100_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a channel was read: ``height`` blocks, the newest of which has these hashes and this time."""

    channel: str
    height: int
    header_hash: str
    commit_hash: str
    block_us: int
    rows: int


@dataclass(frozen=True, slots=True)
class Committed:
    """A block as the peer has committed it."""

    block: Block
    codes: Sequence[TxValidationCode]
    commit_hash: str


class Index:
    """The index in ``folder``. One process writes it; any thread may call anything."""

    def __init__(self, folder: Path, places: Places) -> None:
        """Opens it, or makes it. Raises :class:`SettingsError` where this Python's SQLite lacks FTS5."""
        self._file = folder / FILE
        self._places = places
        self._writing = threading.Lock()
        self._writer = self._opened()
        self._numbers = self._known_channels()
        self._names: dict[str, int] = {}
        self._local = threading.local()

    @property
    def channels(self) -> dict[str, int]:
        """The channels' numbers by their names."""
        return self._numbers

    def progress(self) -> list[Progress]:
        """How far each channel was read, by name."""
        with self._writing:
            found = self._writer.execute(
                "SELECT name, height, header_hash, commit_hash, block_us, rows FROM channels ORDER BY name"
            ).fetchall()
        return [Progress(*each) for each in found]

    def add(self, blocks: Sequence[Committed]) -> int:
        """Add blocks, the next ones of their channels; how many rows they have. All of them, or none.

        Raises :class:`IndexMisfit` where one does not follow what is there, NoSpaceLeft where the disk is full.
        """
        read = [(each, rows_of(each.block, each.codes, self._places)) for each in blocks]
        with self._writing, self._transaction() as cursor:
            return sum(self._add(cursor, each, rows) for each, rows in read)

    def reader(self) -> sqlite3.Connection:
        """This thread's connection for reading; each statement sees what is committed."""
        known: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if known is None:
            known = self._local.connection = _connection(self._file, only_reads=True)
        return known

    def config_blocks(self, channel: str, below: int) -> list[int]:
        """The blocks of a channel with configurations, below a number; UnavailableError where the index has not read so
        far."""
        height = next((each.height for each in self.progress() if each.channel == channel), 0)
        if height < below:
            raise UnavailableError(
                f"the desk has read {height} blocks of {channel}, {below} are needed: ask again soon"
            )
        with self._writing:
            found = self._writer.execute(
                "SELECT DISTINCT block FROM rows WHERE kind = (SELECT id FROM names WHERE name = ?)"
                " AND code = 0 AND id >> ? = ? AND block < ? ORDER BY block",
                (CONFIG, schema.CHANNEL_SHIFT, self._numbers[channel], below),
            ).fetchall()
        return [number for (number,) in found]

    def clear(self) -> None:
        """Throw all of it away, to be made anew. Readings that are under way may fail or find nothing."""
        with self._writing, self._transaction() as cursor:
            for (name,) in cursor.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                if not name.startswith(("words_", "sqlite_")):
                    cursor.execute(f'DROP TABLE "{name}"')
            _make_tables(cursor)
            self._numbers = self._make_channels(cursor)
            self._names.clear()

    def close(self) -> None:
        """Close the connection that writes."""
        with self._writing:
            self._writer.close()

    def _opened(self) -> sqlite3.Connection:
        try:
            connection = _connection(self._file)
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version == schema.FORMAT:
                return connection
            connection.close()
        except sqlite3.DatabaseError as error:
            if "unable to open" in str(error):
                raise SettingsError(f"the index {self._file} cannot be opened: {error}") from None
            version = 0
            _log.warning("the index %s cannot be read and is made anew: %s", self._file, error)
        for name in (FILE, f"{FILE}-wal", f"{FILE}-shm"):
            self._file.with_name(name).unlink(missing_ok=True)
        connection = _connection(self._file)
        cursor = connection.cursor()
        cursor.execute("BEGIN IMMEDIATE")
        _make_tables(cursor)
        self._make_channels(cursor)
        cursor.execute("COMMIT")
        return connection

    def _make_channels(self, cursor: sqlite3.Cursor) -> dict[str, int]:
        numbers = {name: number for number, name in enumerate(self._places.channels, 1)}
        cursor.executemany(
            "INSERT INTO channels VALUES (?, ?, 0, ?, ?, 0, 0)",
            [(number, name, ZERO_HASH, "") for name, number in numbers.items()],
        )
        return numbers

    def _known_channels(self) -> dict[str, int]:
        """The channels, those added that the description has since."""
        numbers = {name: number for number, name in self._writer.execute("SELECT number, name FROM channels")}
        for name in self._places.channels:
            if name not in numbers:
                numbers[name] = max(numbers.values(), default=0) + 1
                self._writer.execute(
                    "INSERT INTO channels VALUES (?, ?, 0, ?, ?, 0, 0)", (numbers[name], name, ZERO_HASH, "")
                )
        return numbers

    def _add(self, cursor: sqlite3.Cursor, committed: Committed, rows: Sequence[Row]) -> int:
        header = committed.block.header
        number = self._numbers[header.channel]
        height, last, before = cursor.execute(
            "SELECT height, header_hash, rows FROM channels WHERE number = ?", (number,)
        ).fetchone()
        if header.number != height or (height and header.previous_hash != last):
            raise IndexMisfit(f"block {header.number} of {header.channel} does not follow the index's {height} blocks")
        first = (number << schema.CHANNEL_SHIFT) + before
        marked = [self._marked(cursor, number, row) for row in rows]

        def number_of(name: str | None) -> int | None:
            return None if name is None else self._number_of(cursor, name)

        values = [schema.values_of(first + i, row, number_of) for i, row in enumerate(marked)]
        cursor.executemany(schema.INSERT_ROW, values)
        cursor.executemany(schema.INSERT_WORDS, [(first + i, schema.row_words(row)) for i, row in enumerate(marked)])
        cursor.execute(
            "UPDATE channels SET height = ?, header_hash = ?, commit_hash = ?, block_us = ?, rows = ? WHERE number = ?",
            (height + 1, header.hash, committed.commit_hash, header.timestamp_us, before + len(rows), number),
        )
        for i, row in enumerate(marked):
            if row.is_valid and row.kind == "device-suspended":
                _mark_revoked_late(cursor, number, first + i, row)
        return len(rows)

    def _number_of(self, cursor: sqlite3.Cursor, name: str) -> int:
        number = self._names.get(name)
        if number is None:
            cursor.execute("INSERT OR IGNORE INTO names (name) VALUES (?)", (name,))
            (number,) = cursor.execute("SELECT id FROM names WHERE name = ?", (name,)).fetchone()
            if len(self._names) >= _NAMES_KEPT:
                self._names.clear()
            self._names[name] = number
        return int(number)

    def _marked(self, cursor: sqlite3.Cursor, number: int, row: Row) -> Row:
        """The row, with the mark that a session has by what came later; and that mark on the sessions that it flags."""
        if row.session is None or not row.is_valid:
            return row
        if row.kind == "session-opened":
            for other in _flagged_by(row):
                _flag(cursor, number, other)
        elif "suspicious" not in row.marks and _is_flagged(cursor, number, row.session):
            row.marks["suspicious"] = 1
        return row

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Cursor]:
        cursor = self._writer.cursor()
        cursor.execute("BEGIN IMMEDIATE")
        try:
            yield cursor
            cursor.execute("COMMIT")
        except BaseException as error:
            if self._writer.in_transaction:
                cursor.execute("ROLLBACK")
            self._names.clear()
            if isinstance(error, sqlite3.DatabaseError):
                raise trouble(error, self._file) from None
            raise


def trouble(error: sqlite3.DatabaseError, file: Path) -> GridLedgerError:
    """What a failure of SQLite to write comes to: no room, or a file that cannot be used any more."""
    if "full" in str(error):
        return NoSpaceLeft(f"{file} cannot be written: {error}; make room, and the desk goes on by itself")
    return CorruptionError(f"{file} cannot be used ({error}): remove it and start the desk again, which makes it anew")


def _connection(file: Path, *, only_reads: bool = False) -> sqlite3.Connection:
    address = f"{file.absolute().as_uri()}?mode={'ro' if only_reads else 'rwc'}"
    connection = sqlite3.connect(address, uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    if not only_reads:
        connection.execute("PRAGMA journal_mode = WAL")
    # What a failing machine loses is read again of the peer.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def _make_tables(cursor: sqlite3.Cursor) -> None:
    try:
        for statement in schema.TABLES.split(";\n"):
            cursor.execute(statement)
    except sqlite3.OperationalError as error:
        if "fts5" in str(error):
            raise SettingsError("this Python's SQLite has no FTS5, which the case desk needs to find words") from None
        raise


def _flagged_by(row: Row) -> list[str]:
    """The sessions that an opening found suspicious beside its own."""
    found = row.details.get("suspicious")
    others = [each.get("session") for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    return [other for other in others if isinstance(other, str)]


def _flag(cursor: sqlite3.Cursor, number: int, session: str) -> None:
    cursor.execute("INSERT OR IGNORE INTO flagged VALUES (?, ?)", (number, session))
    known = cursor.execute(
        "SELECT id, marks FROM rows WHERE session = (SELECT id FROM names WHERE name = ?) AND code = 0 AND id >> ? = ?",
        (session, schema.CHANNEL_SHIFT, number),
    ).fetchall()
    _set_marks(cursor, known, "suspicious")


def _is_flagged(cursor: sqlite3.Cursor, number: int, session: str) -> bool:
    found = cursor.execute("SELECT 1 FROM flagged WHERE channel = ? AND session = ?", (number, session))
    return found.fetchone() is not None


def _mark_revoked_late(cursor: sqlite3.Cursor, number: int, suspended: int, row: Row) -> None:
    """Mark what a device said, or was said of it, between its revocation and its suspension."""
    revoked_us = row.details.get("revoked_us")
    if type(revoked_us) is not int:
        return
    late = cursor.execute(
        "SELECT id, marks FROM rows WHERE device = (SELECT id FROM names WHERE name = ?) AND code = 0 AND id >> ? = ?"
        " AND id < ? AND at_us >= ? AND seq IS NOT NULL",
        (row.device, schema.CHANNEL_SHIFT, number, suspended, revoked_us),
    ).fetchall()
    _set_marks(cursor, late, "revoked-late")


def _set_marks(cursor: sqlite3.Cursor, found: Sequence[tuple[int, str]], mark: str) -> None:
    for row_id, text in found:
        marks = jsontext.loads_trusted(text)
        if mark not in marks:
            told = schema.marks_text({**marks, mark: 1})
            cursor.execute("UPDATE rows SET marks = ? WHERE id = ?", (told, row_id))

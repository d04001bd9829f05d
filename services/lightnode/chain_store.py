"""What a light node keeps of chains: headers and leaves of its channels, configurations, proofs of its own events.

One SQLite file. All of it can be asked for again, so nothing is flushed for its own sake: after a power loss the file
is whole, and may lack the newest rows.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

from gridledger import jsontext
from gridledger.errors import CorruptionError
from gridledger.protocol.headers import CommittedHeader

_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS header (channel TEXT, number INTEGER, leaf BLOB, text BLOB,
  PRIMARY KEY (channel, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS config (channel TEXT, block INTEGER, text TEXT,
  PRIMARY KEY (channel, block)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS proof (channel TEXT, tx TEXT, text BLOB, PRIMARY KEY (channel, tx)) WITHOUT ROWID;
"""


class ChainStore:
    """The file. Any thread may call; calls take milliseconds."""

    def __init__(self, path: Path) -> None:
        """Raises :class:`CorruptionError` where it is no such file."""
        self._path = path
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        try:
            self._db.executescript(_SCHEMA)
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise CorruptionError(f"{path}: {error}: remove it, and the light node asks for all of it again") from None

    def close(self) -> None:
        """Give the file back."""
        with self._lock:
            self._db.close()

    def leaves(self, channel: str) -> list[bytes]:
        """The leaf hashes of the blocks from 0 on, as far as they are there without a gap."""
        with self._lock:
            rows = self._db.execute("SELECT number, leaf FROM header WHERE channel = ? ORDER BY number", (channel,))
            found: list[bytes] = []
            for number, leaf in rows:
                if number != len(found):
                    break
                found.append(leaf)
            return found

    def add_headers(self, channel: str, items: Iterable[tuple[CommittedHeader, bytes]]) -> None:
        """Keep headers, each with its leaf hash."""
        rows = [(channel, item.header.number, leaf, jsontext.dumps(item.to_dict())) for item, leaf in items]
        with self._lock:
            self._db.execute("BEGIN")
            self._db.executemany("INSERT OR REPLACE INTO header VALUES (?, ?, ?, ?)", rows)
            self._db.execute("COMMIT")

    def header(self, channel: str, number: int) -> CommittedHeader | None:
        """The header of a block; None where it is not there."""
        with self._lock:
            row = self._db.execute(
                "SELECT text FROM header WHERE channel = ? AND number = ?", (channel, number)
            ).fetchone()
        return None if row is None else CommittedHeader.from_dict(jsontext.loads(row[0]))

    def add_config(self, channel: str, block: int, text: str) -> None:
        """Keep the configuration that a block brought."""
        with self._lock:
            self._db.execute("INSERT OR REPLACE INTO config VALUES (?, ?, ?)", (channel, block, text))

    def configs(self, channel: str) -> list[tuple[int, str]]:
        """The configurations that are kept, each with its block, the newest first."""
        with self._lock:
            rows = self._db.execute("SELECT block, text FROM config WHERE channel = ? ORDER BY block DESC", (channel,))
            return [(block, text) for block, text in rows]

    def add_proof(self, channel: str, tx: str, text: bytes) -> None:
        """Keep the proof of a transaction."""
        with self._lock:
            self._db.execute("INSERT OR REPLACE INTO proof VALUES (?, ?, ?)", (channel, tx, text))

    def proof(self, channel: str, tx: str) -> bytes | None:
        """The proof of a transaction; None where it is not there."""
        with self._lock:
            row = self._db.execute("SELECT text FROM proof WHERE channel = ? AND tx = ?", (channel, tx)).fetchone()
        return None if row is None else bytes(row[0])

    def drop_proofs(self, channel: str, kept: Sequence[str]) -> int:
        """Let go of the proofs of other transactions than these; how many."""
        with self._lock:
            self._db.execute("CREATE TEMP TABLE IF NOT EXISTS kept (tx TEXT PRIMARY KEY)")
            self._db.execute("BEGIN")
            self._db.execute("DELETE FROM kept")
            self._db.executemany("INSERT OR IGNORE INTO kept VALUES (?)", [(tx,) for tx in kept])
            done = self._db.execute(
                "DELETE FROM proof WHERE channel = ? AND tx NOT IN (SELECT tx FROM kept)", (channel,)
            )
            self._db.execute("COMMIT")
            return done.rowcount

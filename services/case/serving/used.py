"""Which Queries were answered: on the disk before the answer, so that each is good for one, over restarts too."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Final

from gridledger.errors import NoSpaceLeft, SettingsError

FILE: Final = "used.sqlite"
_TABLE: Final = "CREATE TABLE IF NOT EXISTS used (query TEXT PRIMARY KEY, asked_us INTEGER NOT NULL) WITHOUT ROWID"


class UsedQueries:
    """The Queries that were answered, in ``folder``. Any thread may call it."""

    def __init__(self, folder: Path) -> None:
        """Raises :class:`SettingsError` where the file is none of these."""
        file = folder / FILE
        self._lock = threading.Lock()
        try:
            self._connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute(_TABLE)
        except sqlite3.DatabaseError as error:
            raise SettingsError(
                f"{file} cannot be used ({error}). It says which Queries were answered: restore it, or remove it and "
                "wait until the Queries that are on the ledger are too old"
            ) from None

    def take(self, query: str, asked_us: int, forget_us: int) -> bool:
        """Take a Query for an answer; False where it was taken before.

        Those of before ``forget_us`` are forgotten: they are too old to be answered.
        """
        try:
            with self._lock:
                self._connection.execute("DELETE FROM used WHERE asked_us < ?", (forget_us,))
                taken = self._connection.execute("INSERT OR IGNORE INTO used VALUES (?, ?)", (query, asked_us))
                return taken.rowcount == 1
        except sqlite3.OperationalError as error:
            raise NoSpaceLeft(f"the Query cannot be kept as used, so it is not answered: {error}") from None

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

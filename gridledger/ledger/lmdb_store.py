"""The store on disk: one LMDB environment, in a folder of its own.

LMDB keeps B+ trees in a memory map, writes changed pages to unused places and then one page that points to them; so a
commit is whole or absent whatever happens to the process or the machine. Readers in other processes read in place and
never wait. What that asks of us: open an environment after a fork and not across it, once in a process (we share and
count), clear the places of dead readers, and hold no view for long.

A commit writes and flushes the changed pages, then writes and flushes the pointer: two flushes by LMDB's design, of
which the second is one page. Leaving that out (``metasync=False``) would let a power cut take back the newest commit,
after the client was told of it.
"""

from __future__ import annotations

import errno
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from gridledger.extras import MissingExtra
from gridledger.files import sync_folder
from gridledger.formats import LEDGER
from gridledger.ledger.checksums import SEEDS, check_size, sealed, unsealed
from gridledger.ledger.codec import HEAD, Table
from gridledger.ledger.errors import HeadMoved, LedgerMissing, StorageFailed, StorageFull
from gridledger.ledger.store import CommitBatch

try:
    import lmdb
except ImportError as _error:
    raise MissingExtra("gridledger.ledger", "lmdb", "server") from _error

DEFAULT_MAP_BYTES = 64 << 30
"""Bound of a ledger's size. The file is as large as what is in it; the map only takes up addresses."""

MAX_READERS = 1024
_CLEAR_READERS_EVERY = 256
_FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
_FORMAT = re.compile(rb'\{"format":(\d{1,9}),')
_SLACK_BYTES = 64 * 4096
_APPENDED = frozenset((Table.BLOCKS, Table.METADATA))
_LATER = frozenset((Table.INDEX,))
"""Tables that ledgers of earlier versions lack. Whoever reads one finds nothing in it."""


class _Environment:
    """An open environment and how many stores of this process share it."""

    __slots__ = ("handle", "pid", "readonly", "tables", "users")

    def __init__(self, folder: Path, *, readonly: bool, guarded: bool, map_bytes: int) -> None:
        self.pid = os.getpid()
        self.users = 0
        self.readonly = readonly
        self.handle = lmdb.open(
            str(folder),
            map_size=0 if readonly else map_bytes,
            readonly=readonly,
            lock=not guarded,
            create=False,
            max_dbs=len(Table),
            max_readers=MAX_READERS,
            max_spare_txns=1,
            mode=0o750,
        )
        try:
            self.handle.reader_check()
            self.tables = dict(self._opened_tables())
        except BaseException:
            self.handle.close()
            raise

    def _opened_tables(self) -> Iterator[tuple[Table, lmdb._Database]]:
        for table in Table:
            try:
                yield table, self.handle.open_db(table.value.encode(), create=not self.readonly)
            except lmdb.NotFoundError:
                # An earlier version made this ledger, and nobody has opened it for writing since.
                if table not in _LATER:
                    raise


_environments: dict[Path, _Environment] = {}
_environments_lock = threading.Lock()


class LmdbReader:
    """A view of an :class:`LmdbStore`: one LMDB read transaction."""

    __slots__ = ("_folder", "_tables", "_transaction")

    def __init__(self, environment: _Environment, folder: Path) -> None:
        self._folder = folder
        self._tables = environment.tables
        self._transaction = environment.handle.begin()

    def get(self, table: Table, key: bytes) -> bytes | None:
        database = self._tables.get(table)
        stored = None if database is None else self._transaction.get(key, None, database)
        return None if stored is None else unsealed(table, key, stored, self._folder)

    def scan(self, table: Table, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        database = self._tables.get(table)
        if database is None:
            return
        with self._transaction.cursor(database) as cursor:
            if cursor.set_range(start):
                for key, stored in cursor.iternext():
                    if key >= stop:
                        return
                    yield key, unsealed(table, key, stored, self._folder)

    def scan_back(self, table: Table, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        database = self._tables.get(table)
        if database is None:
            return
        with self._transaction.cursor(database) as cursor:
            if not (cursor.prev() if cursor.set_range(stop) else cursor.last()):
                return
            for key, stored in cursor.iterprev():
                if key < start:
                    return
                yield key, unsealed(table, key, stored, self._folder)

    def count(self, table: Table) -> int:
        database = self._tables.get(table)
        return 0 if database is None else self._transaction.stat(database)["entries"]

    def close(self) -> None:
        self._transaction.abort()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class LmdbStore:
    """A ledger's tables in the LMDB environment of ``folder``.

    ``readonly`` opens what another process writes; LedgerMissing where there is nothing yet. ``guarded`` (with
    ``readonly``) keeps away from LMDB's lock file: views are sound only while another process holds one that is as old
    or older, and registered there, so that the writer reuses none of their pages. A child that is forked
    while the store is open can use neither this store nor (py-lmdb refuses) a new one on the same folder.
    """

    def __init__(
        self, folder: Path, *, readonly: bool = False, guarded: bool = False, map_bytes: int = DEFAULT_MAP_BYTES
    ) -> None:
        self.folder = folder
        self._path = folder.resolve()
        self._commits = 0
        self._failed = False
        self._environment: _Environment | None = _acquire(
            self._path, readonly=readonly, guarded=guarded, map_bytes=map_bytes
        )

    def commit(self, batch: CommitBatch) -> None:
        environment = self._opened()
        if self._failed:
            raise StorageFailed(f"nothing more is written to the ledger in {self.folder} after a failure")
        self._commits += 1
        if self._commits % _CLEAR_READERS_EVERY == 0:
            # A reader that was killed inside a view would keep every page from being used again.
            environment.handle.reader_check()
        try:
            with environment.handle.begin(write=True) as transaction:
                head = transaction.get(HEAD, None, environment.tables[Table.META])
                if (head and unsealed(Table.META, HEAD, head, self.folder)) != batch.head_before:
                    raise HeadMoved(
                        f"the ledger in {self.folder} was committed to by somebody else: it has one committer"
                    )
                for table, changes in batch.changes.items():
                    if changes:
                        _write(transaction, environment.tables[table], table, changes)
        except lmdb.Error as error:
            if getattr(error, "code", 0) == errno.EIO and self._lacks_space(batch):
                raise _full(self.folder, errno.ENOSPC) from error
            failure = _translated(error, self.folder)
            # Linux tells of a failed flush once: the next one would succeed, whatever the disk has.
            self._failed = not isinstance(failure, StorageFull)
            raise failure from error

    def _lacks_space(self, batch: CommitBatch) -> bool:
        """Whether the disk has no room for a batch. LMDB calls a write that was cut short there an I/O error."""
        needed = 2 * sum(
            len(key) + len(value or b"") for changes in batch.changes.values() for key, value in changes.items()
        )
        descriptor = os.open(self._path / "data.mdb", os.O_RDWR)
        try:
            # Beyond its last page LMDB does not look at the file, so room taken there is room for the next commit.
            os.posix_fallocate(descriptor, os.fstat(descriptor).st_size, needed + _SLACK_BYTES)
        except OSError as error:
            return error.errno in _FULL
        finally:
            os.close(descriptor)
        return False

    def reader(self) -> LmdbReader:
        environment = self._opened()
        try:
            return LmdbReader(environment, self.folder)
        except lmdb.MapResizedError:
            # The writer was started with a larger map; LMDB has us adopt its size between transactions.
            environment.handle.set_mapsize(0)
        except lmdb.Error as error:
            raise _translated(error, self.folder) from error
        return LmdbReader(environment, self.folder)

    def map_bytes(self) -> int:
        """Bytes of addresses that the map takes up."""
        return int(self._opened().handle.info()["map_size"])

    def size_bytes(self) -> int:
        return self._path.joinpath("data.mdb").stat().st_blocks * 512

    def close(self) -> None:
        if self._environment is not None:
            _release(self._path, self._environment)
            self._environment = None

    def _opened(self) -> _Environment:
        environment = self._environment
        if environment is None:
            raise StorageFailed(f"the ledger in {self.folder} is closed")
        if environment.pid != os.getpid():
            raise StorageFailed(f"the ledger in {self.folder} was opened before a fork; spawn processes instead")
        return environment


def _write(
    transaction: lmdb.Transaction, database: lmdb._Database, table: Table, changes: dict[bytes, bytes | None]
) -> None:
    append = table in _APPENDED
    seed = SEEDS[table]
    puts = []
    for key, value in changes.items() if append else sorted(changes.items(), key=_first):
        if value is None:
            transaction.delete(key, db=database)
        else:
            puts.append((key, sealed(seed, key, value)))
    with transaction.cursor(database) as cursor:
        consumed, _ = cursor.putmulti(puts, append=append)
    if consumed != len(puts):
        raise StorageFailed(f"{table.value}: {len(puts) - consumed} entries were not taken; the order is broken")


def _first(item: tuple[bytes, bytes | None]) -> bytes:
    return item[0]


def _acquire(path: Path, *, readonly: bool, guarded: bool, map_bytes: int) -> _Environment:
    with _environments_lock:
        environment = _environments.get(path)
        if environment is not None and environment.pid != os.getpid():
            raise StorageFailed(f"the ledger in {path} was opened before a fork; spawn processes instead")
        if environment is None:
            if readonly and not (path / "data.mdb").exists():
                raise LedgerMissing(f"there is no ledger in {path}", folder=str(path))
            new = not readonly and not (path / "data.mdb").exists()
            if new:
                path.mkdir(parents=True, exist_ok=True)
            else:
                check_size(path / "data.mdb", writable=not readonly)
            try:
                environment = _Environment(path, readonly=readonly, guarded=guarded, map_bytes=map_bytes)
            except lmdb.NotFoundError:
                raise LedgerMissing(f"the ledger in {path} has not been created yet", folder=str(path)) from None
            except lmdb.Error as error:
                raise _translated(error, path) from error
            if new:
                sync_folder(path)
                sync_folder(path.parent)
            else:
                _check_format(environment, path)
            _environments[path] = environment
        if environment.readonly and not readonly:
            raise StorageFailed(f"the ledger in {path} is open for reading in this process; open it for writing first")
        environment.users += 1
        return environment


def _check_format(environment: _Environment, path: Path) -> None:
    """Refuse the ledger of another version, whose entries would look damaged."""
    with environment.handle.begin() as transaction:
        head = transaction.get(HEAD, None, environment.tables[Table.META]) or b""
    found = _FORMAT.match(head)
    if found is not None and int(found[1]) != LEDGER.number:
        environment.handle.close()
        LEDGER.check(int(found[1]), path)


def _release(path: Path, environment: _Environment) -> None:
    with _environments_lock:
        environment.users -= 1
        if environment.users == 0 and environment.pid == os.getpid():
            if _environments.get(path) is environment:
                del _environments[path]
            environment.handle.close()


def abandon(folder: Path) -> None:
    """Before a ledger is removed: nobody who opens ``folder`` from now on shares what this process has open of it. That
    ends with the last who reads it."""
    with _environments_lock:
        _environments.pop(folder.resolve(), None)


def _translated(error: lmdb.Error, folder: Path) -> StorageFull | StorageFailed:
    if isinstance(error, lmdb.MapFullError):
        return StorageFull(f"the ledger in {folder} has filled its map; open it with a larger map size")
    code = getattr(error, "code", 0)
    if code in _FULL:
        return _full(folder, code)
    return StorageFailed(f"the ledger in {folder} cannot be used: {error}", folder=str(folder))


def _full(folder: Path, code: int) -> StorageFull:
    return StorageFull(f"no space for the ledger in {folder}: {os.strerror(code)}", folder=str(folder))

"""A ledger's file that the disk has changed: what is damaged is named, and never served."""

from __future__ import annotations

import shutil
from pathlib import Path

import lmdb
import pytest

from gridledger.errors import CorruptionError, OtherFormat
from gridledger.ledger import Ledger
from gridledger.ledger.codec import HEAD, Table
from gridledger.ledger.errors import StorageFailed
from gridledger.ledger.lmdb_store import LmdbStore
from gridledger.ledger.newest import MAX_BLOCKS, check_newest
from gridledger.ledger.store import CommitBatch
from tests.support.failing_disk import run_with_failing_flushes
from tests.support.paper import PaperNetwork, PaperPeer

PAGE = 4096


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with 30 blocks, which no test damages."""
    folder, paper = tmp_path_factory.mktemp("whole"), PaperNetwork(organisations=3)
    peer = PaperPeer(folder, paper)
    for number in range(29):
        peer.commit(paper.transaction({"a": number, f"k{number}": "x" * 2000}))
    peer.ledger.close()
    return folder / "shard1"


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy of it for one test."""
    return Path(shutil.copytree(whole, tmp_path / "shard1"))


def flip(folder: Path, table: Table, position: int, at: int) -> bytes:
    """Flip one bit of an entry's value as LMDB has it; its key."""
    with lmdb.open(str(folder), max_dbs=len(Table), map_size=1 << 30) as environment:
        database = environment.open_db(table.value.encode())
        with environment.begin(write=True) as transaction:
            key, value = list(transaction.cursor(database))[position]
            changed = bytearray(value)
            changed[at] ^= 1
            transaction.put(key, bytes(changed), db=database)
    return bytes(key)


def read_all(ledger: Ledger, table: Table) -> None:
    with ledger.store.reader() as reader:
        for _ in reader.scan(table, b"", b"\xff" * 40):
            pass


@pytest.mark.parametrize("at", [0, 5, -1])
@pytest.mark.parametrize("table", [table for table in Table if table is not Table.META])
def test_a_flip_in_an_entry_is_named_never_served(folder: Path, table: Table, at: int) -> None:
    at = -1 if table in (Table.HISTORY, Table.INDEX) else at  # entries shorter than six bytes
    key = flip(folder, table, 1, at)
    with Ledger.open(folder.parent, "shard1") as ledger, ledger.store.reader() as reader:
        with pytest.raises(CorruptionError, match=f"entry {key[:64].hex()} of the table {table.value} in .* damaged"):
            reader.get(table, key)
        with pytest.raises(CorruptionError, match="damaged"):
            list(reader.scan(table, key, key + b"\0"))
        with pytest.raises(CorruptionError, match="damaged"):
            list(reader.scan_back(table, key, key + b"\0"))


def test_an_entry_of_another_key_or_table_is_not_believed(tmp_path: Path) -> None:
    """A page that was written in another one's place holds entries that are whole."""
    store = LmdbStore(tmp_path / "ledger")
    batch = CommitBatch(None)
    batch.put(Table.META, HEAD, b"1")
    batch.put(Table.STATE, b"a", b"x")
    store.commit(batch)
    store.close()
    with lmdb.open(str(tmp_path / "ledger"), max_dbs=len(Table)) as environment:
        state, history = (environment.open_db(table.value.encode()) for table in (Table.STATE, Table.HISTORY))
        with environment.begin(write=True) as transaction:
            whole = transaction.get(b"a", db=state) or b""
            transaction.put(b"b", whole, db=state)
            transaction.put(b"a", whole, db=history)
    with LmdbStore(tmp_path / "ledger").reader() as reader:
        assert reader.get(Table.STATE, b"a") == b"x"
        for table, key in ((Table.STATE, b"b"), (Table.HISTORY, b"a")):
            with pytest.raises(CorruptionError, match="damaged"):
                reader.get(table, key)


@pytest.mark.parametrize("pages", [0, 1, 2, 10])
def test_a_file_that_was_cut_short_is_refused_in_one_line(folder: Path, pages: int) -> None:
    """It ended the process by SIGBUS."""
    data = (folder / "data.mdb").read_bytes()
    (folder / "data.mdb").write_bytes(data[: pages * PAGE])
    for readonly in (False, True):
        with pytest.raises(CorruptionError, match=r"data\.mdb .*remove the ledger's folder") as caught:
            Ledger.open(folder.parent, "shard1", readonly=readonly)
        assert "\n" not in caught.value.message


def test_a_last_page_that_is_missing_ends_no_process(folder: Path) -> None:
    """LMDB does not write a page that a commit took and gave back; one that it needs is an error, not a signal."""
    file = folder / "data.mdb"
    file.write_bytes(file.read_bytes()[:-PAGE])
    with Ledger.open(folder.parent, "shard1") as ledger:
        for table in Table:
            try:
                read_all(ledger, table)
            except (lmdb.Error, CorruptionError):
                continue


def test_newest_blocks_are_checked_at_the_start(folder: Path) -> None:
    key = flip(folder, Table.BLOCKS, -1, 3)
    with Ledger.open(folder.parent, "shard1") as ledger, pytest.raises(CorruptionError, match=key.hex()):
        check_newest(ledger)


def test_the_check_at_the_start_reads_a_bounded_number_of_blocks(folder: Path) -> None:
    flip(folder, Table.BLOCKS, 0, 3)
    with Ledger.open(folder.parent, "shard1") as ledger:
        assert ledger.height > MAX_BLOCKS
        assert check_newest(ledger) == MAX_BLOCKS


def test_a_newest_block_that_is_another_one_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Ledger.open(folder.parent, "shard1") as ledger:
        other = ledger.block_bytes(28)
        read = "gridledger.ledger.snapshot.Snapshot.block_bytes"
        monkeypatch.setattr(read, lambda _self, _number: other)
        with pytest.raises(CorruptionError, match="block 29 of 30 is not the one that was committed"):
            check_newest(ledger)


def test_a_ledger_of_an_older_version_is_told_with_its_reader(tmp_path: Path) -> None:
    """As commit 8b6a057 wrote it: its head, without a checksum."""
    (tmp_path / "shard1").mkdir()
    with lmdb.open(str(tmp_path / "shard1"), max_dbs=len(Table)) as environment:
        meta, *_ = (environment.open_db(table.value.encode()) for table in Table)
        with environment.begin(write=True) as transaction:
            transaction.put(HEAD, b'{"format":1,"height":1,"timestamp":1,"header_hash":""}', db=meta)
    for readonly in (True, False):
        with pytest.raises(OtherFormat, match=r"format 1, which GridLedger 0\.1\.0 up to commit 8b6a057 reads"):
            Ledger.open(tmp_path, "shard1", readonly=readonly)


def test_after_a_failed_flush_nothing_more_is_committed(tmp_path: Path) -> None:
    """The kernel fails it. Linux tells of it once: the next commit would have been taken."""
    done = run_with_failing_flushes(
        "from gridledger.ledger.codec import HEAD, Table\n"
        "from gridledger.ledger.lmdb_store import LmdbStore\n"
        "from gridledger.ledger.store import CommitBatch\n"
        "from pathlib import Path; import sys\n"
        "store = LmdbStore(Path(sys.argv[1]))\n"
        "batch = CommitBatch(None)\n"
        "batch.put(Table.META, HEAD, b'1')\n"
        "fail_flushes()\n"
        "for _ in range(2):\n"
        "    try:\n"
        "        store.commit(batch)\n"
        "    except GridLedgerError as error:\n"
        "        print(error.code, error.message)",
        tmp_path / "ledger",
    )
    first, second = done.splitlines()
    assert first.startswith(f"STORAGE_FAILED the ledger in {tmp_path}/ledger cannot be used: ")
    assert "Input/output error" in first
    assert second == f"STORAGE_FAILED nothing more is written to the ledger in {tmp_path}/ledger after a failure"


def test_a_write_that_fails_once_is_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LmdbStore(tmp_path / "ledger")
    batch = CommitBatch(None)
    batch.put(Table.META, HEAD, b"1")
    failures = (
        [lmdb.DiskError("mdb_txn_commit: Input/output error")] if hasattr(lmdb, "DiskError") else [lmdb.Error("io")]
    )

    def fail(*_: object) -> None:
        raise failures.pop()

    monkeypatch.setattr("gridledger.ledger.lmdb_store._write", fail)
    with pytest.raises(StorageFailed):
        store.commit(batch)
    monkeypatch.undo()
    with pytest.raises(StorageFailed, match="after a failure"):
        store.commit(batch)

"""What both stores promise, and what the one on disk promises besides."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from gridledger.ledger.codec import HEAD, Table
from gridledger.ledger.errors import HeadMoved, LedgerMissing, StorageFailed
from gridledger.ledger.lmdb_store import LmdbStore
from gridledger.ledger.memory_store import MemoryStore
from gridledger.ledger.store import CommitBatch, StateStore


@pytest.fixture(params=["memory", "lmdb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StateStore]:
    opened: StateStore = MemoryStore() if request.param == "memory" else LmdbStore(tmp_path / "ledger")
    yield opened
    opened.close()


def commit(store: StateStore, head: bytes | None, after: bytes, **state: bytes | None) -> None:
    batch = CommitBatch(head)
    batch.put(Table.META, HEAD, after)
    batch.changes[Table.STATE].update({key.encode(): value for key, value in state.items()})
    store.commit(batch)


def test_puts_and_removes(store: StateStore) -> None:
    commit(store, None, b"1", a=b"x", b=b"y")
    commit(store, b"1", b"2", a=None, c=b"z", missing=None)
    with store.reader() as reader:
        assert reader.get(Table.STATE, b"a") is None
        assert reader.get(Table.STATE, b"b") == b"y"
        assert reader.get(Table.META, HEAD) == b"2"
        assert reader.count(Table.STATE) == 2


def test_scans_both_ways(store: StateStore) -> None:
    commit(store, None, b"1", **{key: key.encode() for key in "bdfh"})
    cases = [("a", "z"), ("b", "f"), ("c", "c"), ("c", "g"), ("h", "i"), ("i", "z"), ("a", "b"), ("a", "h")]
    with store.reader() as reader:
        for start, stop in cases:
            expected = [(key.encode(), key.encode()) for key in "bdfh" if start <= key < stop]
            found = list(reader.scan(Table.STATE, start.encode(), stop.encode()))
            assert found == expected
            assert list(reader.scan_back(Table.STATE, start.encode(), stop.encode())) == expected[::-1]
        assert list(reader.scan(Table.HISTORY, b"", b"z")) == []
        assert list(reader.scan_back(Table.HISTORY, b"", b"z")) == []


def test_a_reader_keeps_its_view(store: StateStore) -> None:
    commit(store, None, b"1", a=b"old")
    with store.reader() as before:
        commit(store, b"1", b"2", a=b"new", b=b"more")
        assert before.get(Table.STATE, b"a") == b"old"
        assert [key for key, _ in before.scan(Table.STATE, b"", b"z")] == [b"a"]
        with store.reader() as after:
            assert after.get(Table.STATE, b"a") == b"new"


def test_refuses_a_batch_made_from_another_head(store: StateStore) -> None:
    commit(store, None, b"1", a=b"x")
    with pytest.raises(HeadMoved):
        commit(store, None, b"2", a=b"y")
    with pytest.raises(HeadMoved):
        commit(store, b"0", b"2", a=b"y")
    with store.reader() as reader:
        assert reader.get(Table.STATE, b"a") == b"x"


def test_the_size_is_what_the_disk_has_given(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path / "ledger")
    commit(store, None, b"1", **{f"k{number}": bytes(1000) for number in range(100)})
    told = subprocess.run(["du", "-k", tmp_path / "ledger" / "data.mdb"], capture_output=True, text=True, check=True)
    assert store.size_bytes() == int(told.stdout.split()[0]) * 1024
    store.close()


def test_one_process_shares_one_environment(tmp_path: Path) -> None:
    writer = LmdbStore(tmp_path / "ledger")
    reader = LmdbStore(tmp_path / "ledger", readonly=True)
    commit(writer, None, b"1", a=b"x")
    writer.close()
    with reader.reader() as view:
        assert view.get(Table.STATE, b"a") == b"x"
    reader.close()
    reader.close()
    with pytest.raises(StorageFailed, match="closed"):
        reader.reader()


def test_a_reader_of_this_process_cannot_become_the_writer(tmp_path: Path) -> None:
    LmdbStore(tmp_path / "ledger").close()
    reader = LmdbStore(tmp_path / "ledger", readonly=True)
    with pytest.raises(StorageFailed, match="open it for writing first"):
        LmdbStore(tmp_path / "ledger")
    reader.close()
    LmdbStore(tmp_path / "ledger").close()


def test_readers_take_over_the_size_of_the_map(tmp_path: Path) -> None:
    writer = LmdbStore(tmp_path / "ledger", map_bytes=1 << 30)
    commit(writer, None, b"1", a=b"x")
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_read_twice, args=(tmp_path / "ledger", theirs))
    process.start()
    assert ours.recv() == b"x"
    writer.close()
    writer = LmdbStore(tmp_path / "ledger", map_bytes=2 << 30)
    commit(writer, b"1", b"2", a=b"y")
    ours.send(None)
    assert ours.recv() == b"y"
    process.join(30)
    writer.close()


def _read_twice(folder: Path, pipe: Connection) -> None:
    store = LmdbStore(folder, readonly=True)
    for _ in range(2):
        with store.reader() as reader:
            pipe.send(reader.get(Table.STATE, b"a"))
        if _ == 0:
            pipe.recv()
    store.close()


def test_nothing_to_read_yet(tmp_path: Path) -> None:
    with pytest.raises(LedgerMissing):
        LmdbStore(tmp_path / "ledger", readonly=True)
    assert not (tmp_path / "ledger").exists()


def test_is_not_carried_across_a_fork(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path / "ledger")
    commit(store, None, b"1", a=b"x")
    child = os.fork()
    if child == 0:
        refused = 0
        for use in (store.reader, lambda: LmdbStore(tmp_path / "ledger", readonly=True)):
            try:
                use()
            except StorageFailed:
                refused += 1
        store.close()
        os._exit(0 if refused == 2 else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    commit(store, b"1", b"2", a=b"y")
    store.close()


def test_places_of_dead_readers_are_cleared(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    store = LmdbStore(folder)
    commit(store, None, b"1", a=b"x")
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_hold_a_view, args=(folder, theirs))
    process.start()
    ours.recv()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(30)
    environment = store._environment
    assert environment is not None
    assert str(process.pid) in environment.handle.readers()
    store.close()
    store = LmdbStore(folder)
    environment = store._environment
    assert environment is not None
    assert str(process.pid) not in environment.handle.readers()
    store.close()


def _hold_a_view(folder: Path, pipe: Connection) -> None:
    store = LmdbStore(folder, readonly=True)
    store.reader()
    pipe.send("held")
    pipe.recv()


def test_a_commit_waits_for_data_and_pointer_to_be_on_the_disk(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path / "ledger")
    flags = store._opened().handle.flags()
    assert flags["sync"]
    assert flags["metasync"]
    assert not flags["writemap"]
    assert not flags["map_async"]
    store.close()

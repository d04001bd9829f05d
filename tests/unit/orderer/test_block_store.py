"""An orderer's block file: what a crash may leave behind, and what is read back."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from gridledger import framing, jsontext
from gridledger.disk import Piece, SystemDisk
from gridledger.errors import ConflictError, CorruptionError, DiskFailed, GridLedgerError, NotFoundError, OtherFormat
from gridledger.formats import BLOCK_STORE
from gridledger.protocol import Block
from gridledger.protocol.block import ZERO_HASH
from gridledger.sealed import seal
from services.orderer.block_store import BlockStore
from tests.support.failing_disk import run_with_failing_flushes
from tests.support.unsynced_disk import UnsyncedDisk


def blocks(count: int) -> list[Block]:
    chain: list[Block] = []
    for number in range(count):
        previous = chain[-1].header.hash if chain else ZERO_HASH
        envelopes = [f"envelope {number}.{i}".encode() * (number + 1) for i in range(number % 3 + 1)]
        chain.append(
            Block.build(channel="c", number=number, previous_hash=previous, timestamp_us=number, envelopes=envelopes)
        )
    return chain


def append(store: BlockStore, block: Block, *, raft_index: int | None = None, config_block: int = 0) -> None:
    index = block.header.number * 2 if raft_index is None else raft_index
    store.append(block.header, block.to_bytes(), b"signature", raft_index=index, config_block=config_block)


def filled(path: Path, count: int, *, synced: int = 0) -> list[Block]:
    chain = blocks(count)
    store = BlockStore.open(path)
    for block in chain:
        if store.height == synced and synced:
            store.sync()
        append(store, block)
    store.close()
    return chain


def test_blocks_come_back_after_a_restart(tmp_path: Path) -> None:
    chain = filled(tmp_path, 7, synced=3)
    store = BlockStore.open(tmp_path)
    assert store.height == 7
    assert store.applied == 12
    assert store.last_header == chain[-1].header
    assert [store.block(n) for n in range(7)] == chain


def test_frames_are_bounded_but_never_none(tmp_path: Path) -> None:
    chain = filled(tmp_path, 7)
    store = BlockStore.open(tmp_path)
    frames = list(store.frames(2, max_bytes=1))
    assert len(frames) == 1
    assert framing.unpack(frames[0], max_frames=2) == [chain[2].to_bytes(), b"signature"]
    assert len(list(store.frames(2, max_bytes=10**6))) == 5
    with pytest.raises(NotFoundError):
        store.block(7)


def test_a_file_cut_at_any_byte_keeps_the_whole_blocks_before(tmp_path: Path) -> None:
    chain = filled(tmp_path / "whole", 5, synced=2)
    data = (tmp_path / "whole" / "blocks.dat").read_bytes()
    mark = (tmp_path / "whole" / "synced.json").read_bytes()
    ends = _ends(tmp_path / "whole", 5, len(data))
    for cut in range(ends[1], len(data)):
        folder = tmp_path / f"cut{cut}"
        folder.mkdir()
        (folder / "blocks.dat").write_bytes(data[:cut])
        (folder / "synced.json").write_bytes(mark)
        index = (tmp_path / "whole" / "blocks.idx").read_bytes()
        (folder / "blocks.idx").write_bytes(index)
        store = BlockStore.open(folder, UnsyncedDisk())
        whole = sum(1 for end in ends if end <= cut)
        assert store.height == whole
        assert store.applied == (whole - 1) * 2
        append(store, chain[whole])
        assert store.block(whole) == chain[whole]
        store.close()


def test_a_flipped_bit_behind_the_mark_ends_the_chain_there(tmp_path: Path) -> None:
    filled(tmp_path, 5, synced=2)
    path = tmp_path / "blocks.dat"
    ends = _ends(tmp_path, 5, path.stat().st_size)
    data = bytearray(path.read_bytes())
    data[ends[2] + 30] ^= 1
    path.write_bytes(data)
    assert BlockStore.open(tmp_path).height == 3


def test_a_file_shorter_than_the_mark_is_refused(tmp_path: Path) -> None:
    filled(tmp_path, 5, synced=4)
    path = tmp_path / "blocks.dat"
    path.write_bytes(path.read_bytes()[:140])
    with pytest.raises(CorruptionError, match="shorter"):
        BlockStore.open(tmp_path)


def test_fetched_blocks_of_an_unfinished_snapshot_are_dropped(tmp_path: Path) -> None:
    chain = filled(tmp_path, 3)
    extended = blocks(6)
    store = BlockStore.open(tmp_path)
    append(store, extended[3], raft_index=0)
    append(store, extended[4], raft_index=0)
    store.close()
    store = BlockStore.open(tmp_path)
    assert (store.height, store.last_header) == (3, chain[-1].header)
    append(store, extended[3], raft_index=0)
    append(store, extended[4], raft_index=99)
    store.close()
    store = BlockStore.open(tmp_path)
    assert (store.height, store.applied) == (5, 99)


def test_blocks_that_are_cut_off_are_in_no_mark(tmp_path: Path) -> None:
    chain = filled(tmp_path, 3)
    extended = blocks(6)
    store = BlockStore.open(tmp_path)
    for block in extended[3:]:
        append(store, block, raft_index=0, config_block=4)
    store.sync()
    assert store.cut_fetched() == 3
    assert (store.height, store.last_header, store.config_block) == (3, chain[-1].header, 0)
    assert store.cut_fetched() == 0
    store.close()
    store = BlockStore.open(tmp_path)
    assert [store.block(n) for n in range(store.height)] == chain
    append(store, extended[3])
    assert store.block(3) == extended[3]


def test_the_config_blocks_number_is_kept(tmp_path: Path) -> None:
    chain = blocks(3)
    store = BlockStore.open(tmp_path)
    for number, block in enumerate(chain):
        append(store, block, config_block=min(number, 1))
    store.sync()
    store.close()
    assert BlockStore.open(tmp_path).config_block == 1


def test_a_mark_that_is_not_as_it_was_written_is_refused(tmp_path: Path) -> None:
    """Height 5 became 3: the store began anew at block 3, and another chain followed, correctly signed."""
    filled(tmp_path, 6, synced=5)
    mark = tmp_path / "synced.json"
    mark.write_bytes(mark.read_bytes().replace(b'"height":5', b'"height":3'))
    with pytest.raises(CorruptionError, match="checksum does not hold"):
        BlockStore.open(tmp_path)


@pytest.mark.parametrize("member", ["height", "hash", "applied", "config_block", "end"])
def test_a_mark_that_names_another_block_is_refused(tmp_path: Path, member: str) -> None:
    """Its checksum holds: it is the mark of another store, or of another time."""
    chain = filled(tmp_path, 6, synced=5)
    store = BlockStore.open(tmp_path)
    store.sync()
    mark = jsontext.loads((tmp_path / "synced.json").read_bytes())
    starts = _ends(tmp_path, 6, 0)
    other = {"height": 5, "hash": chain[3].header.hash, "applied": 9, "config_block": 4, "end": starts[3]}
    store.close()
    del mark["crc"], mark["format"]
    (tmp_path / "synced.json").write_bytes(seal(BLOCK_STORE, {**mark, member: other[member]}))
    with pytest.raises(CorruptionError, match="names another block"):
        BlockStore.open(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\0" * 80, b"{", b"[]", b'{"format":2}'])
def test_an_empty_or_broken_mark_is_one_line_that_helps(tmp_path: Path, content: bytes) -> None:
    chain = filled(tmp_path, 6, synced=5)
    mark = tmp_path / "synced.json"
    mark.write_bytes(content)
    with pytest.raises(CorruptionError, match=r"synced\.json is (empty|damaged).*remove this file") as caught:
        BlockStore.open(tmp_path)
    assert "\n" not in caught.value.message
    mark.unlink()
    store = BlockStore.open(tmp_path)
    assert (store.height, store.last_header) == (6, chain[-1].header)


def test_a_flip_without_a_mark_ends_no_chain_in_silence(tmp_path: Path) -> None:
    filled(tmp_path, 6, synced=5)
    _flip(tmp_path, _ends(tmp_path, 6, 0)[1] + 60)
    (tmp_path / "synced.json").unlink()
    with pytest.raises(CorruptionError, match=r"block 2 .* is damaged, and whole ones follow"):
        BlockStore.open(tmp_path)


def test_a_flipped_bit_in_a_record_is_named_never_served(tmp_path: Path) -> None:
    filled(tmp_path, 6, synced=6)
    store = BlockStore.open(tmp_path)
    store.sync()
    start, end = _ends(tmp_path, 6, 0)[2:4]
    whole = store.record(3).payload
    for at in range(start, end):
        _flip(tmp_path, at)
        with pytest.raises(CorruptionError, match=r"block 3 .* damaged"):
            list(store.frames(3, max_bytes=1))
        _flip(tmp_path, at)
    assert list(store.frames(3, max_bytes=1)) == [whole]


def test_a_flipped_offset_serves_no_other_block(tmp_path: Path) -> None:
    filled(tmp_path, 6, synced=5)
    index = bytearray((tmp_path / "blocks.idx").read_bytes())
    index[8:16] = index[16:24]
    (tmp_path / "blocks.idx").write_bytes(index)
    with pytest.raises(CorruptionError, match=r"block 1 .* remove blocks.idx"):
        BlockStore.open(tmp_path).block(1)


@pytest.mark.parametrize("left", [0, 17])
def test_missing_offsets_are_made_anew_from_the_blocks(tmp_path: Path, left: int) -> None:
    chain = filled(tmp_path, 6, synced=5)
    index = tmp_path / "blocks.idx"
    before = index.read_bytes()
    index.write_bytes(before[:left])
    if not left:
        index.unlink()
    store = BlockStore.open(tmp_path)
    assert [store.block(n) for n in range(6)] == chain
    assert index.read_bytes() == before


def test_a_store_has_one_process_which_is_named(tmp_path: Path) -> None:
    store = BlockStore.open(tmp_path)
    with pytest.raises(ConflictError, match=f"in use by another process \\(process {os.getpid()}\\)"):
        BlockStore.open(tmp_path)
    store.close()
    BlockStore.open(tmp_path).close()


def test_after_a_failed_flush_the_mark_never_moves(tmp_path: Path) -> None:
    """Linux tells of it once: the second flush succeeds, and what the first one lost is lost."""
    filled(tmp_path, 3, synced=3)
    store = BlockStore.open(tmp_path)
    store.sync()
    store.close()
    mark = (tmp_path / "synced.json").read_bytes()
    failures = [OSError(errno.EIO, "Input/output error")]

    class FailingOnce(SystemDisk):
        def fdatasync(self, descriptor: int) -> None:
            if failures:
                raise failures.pop()

    store = BlockStore.open(tmp_path, FailingOnce())
    extended = blocks(5)
    append(store, extended[3])
    with pytest.raises(DiskFailed, match="Input/output error"):
        store.sync()
    assert store.failed
    with pytest.raises(DiskFailed, match="nothing more is written"):
        store.sync()
    with pytest.raises(DiskFailed, match="nothing more is written"):
        append(store, extended[4])
    assert (tmp_path / "synced.json").read_bytes() == mark


def test_a_full_disk_is_one_line_and_nothing_more_is_written(tmp_path: Path) -> None:
    class Full(SystemDisk):
        def pwrite(self, descriptor: int, pieces: Sequence[Piece], offset: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    filled(tmp_path, 3)
    store = BlockStore.open(tmp_path)
    store._disk = Full()
    for code in ("NO_SPACE_LEFT", "DISK_FAILED"):
        with pytest.raises(GridLedgerError) as caught:
            append(store, blocks(4)[3])
        assert caught.value.code == code
        assert "no space left on device: free space in" in caught.value.message
    store.close()
    assert BlockStore.open(tmp_path).height == 3


def test_a_flush_that_the_kernel_fails_is_told_in_one_line(tmp_path: Path) -> None:
    """A process of its own, in which the kernel answers each fdatasync with EIO."""
    filled(tmp_path, 3)
    done = run_with_failing_flushes(
        "from services.orderer.block_store import BlockStore; from pathlib import Path; import sys\n"
        "store = BlockStore.open(Path(sys.argv[1])); fail_flushes(); store.sync()",
        tmp_path,
    )
    assert done.endswith(
        "blocks.dat: Input/output error: what the disk holds is unknown, and nothing more is written; "
        "check the disk and start again"
    )
    assert not (tmp_path / "synced.json").exists()


def test_a_store_of_an_older_version_is_told_with_its_reader(tmp_path: Path) -> None:
    (tmp_path / "synced.json").write_bytes(b'{"height":1,"applied":0,"config_block":0,"_end":90}')
    (tmp_path / "blocks.dat").write_bytes(b"x" * 90)
    with pytest.raises(OtherFormat, match=r"format 1, which GridLedger 0.1.0 up to commit 8b6a057 reads"):
        BlockStore.open(tmp_path)


def _flip(folder: Path, at: int) -> None:
    with (folder / "blocks.dat").open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes((byte ^ 1,)))


def _ends(folder: Path, count: int, size: int) -> list[int]:
    index = (folder / "blocks.idx").read_bytes()
    starts = [int.from_bytes(index[i * 8 : i * 8 + 8], "big") for i in range(count)]
    return [*starts[1:], size]

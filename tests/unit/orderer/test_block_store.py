"""An orderer's block file: what a crash may leave behind, and what is read back."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridledger import framing
from gridledger.errors import CorruptionError, NotFoundError
from gridledger.protocol import Block
from gridledger.protocol.block import ZERO_HASH
from services.orderer.block_store import BlockStore


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
        store = BlockStore.open(folder)
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
    path.write_bytes(path.read_bytes()[:40])
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


def test_the_config_blocks_number_is_kept(tmp_path: Path) -> None:
    chain = blocks(3)
    store = BlockStore.open(tmp_path)
    for number, block in enumerate(chain):
        append(store, block, config_block=min(number, 1))
    store.sync()
    store.close()
    assert BlockStore.open(tmp_path).config_block == 1


def _ends(folder: Path, count: int, size: int) -> list[int]:
    index = (folder / "blocks.idx").read_bytes()
    starts = [int.from_bytes(index[i * 8 : i * 8 + 8], "big") for i in range(count)]
    return [*starts[1:], size]

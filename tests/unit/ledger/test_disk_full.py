"""A commit that finds no space leaves the ledger as it was, says so in one error, and succeeds once there is space."""

from __future__ import annotations

import contextlib
import multiprocessing
import resource
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from gridledger.ledger import Ledger, StorageFull
from gridledger.ledger.committer import BlockCommitter
from gridledger.ledger.verify import verify
from gridledger.protocol.block import Block, SignedBlock
from gridledger.protocol.events import CommittedBlock
from tests.support.paper import PaperChain, PaperNetwork

LARGE = "x" * 100_000


def test_a_full_map(tmp_path: Path, paper: PaperNetwork, chain: PaperChain) -> None:
    blocks = [chain.next(paper.transaction({f"k{n}": LARGE})) for n in range(30)]
    done: list[CommittedBlock] = []
    with Ledger.create(tmp_path, paper.genesis, map_bytes=1 << 20) as ledger:
        committer = BlockCommitter(ledger)
        with contextlib.suppress(StorageFull):
            while len(done) < len(blocks):
                done += committer.process(blocks[len(done) :][:1])
        before = ledger.head
        assert 0 < len(done) < 30
        for _ in range(3):
            with pytest.raises(StorageFull, match="larger map size"):
                committer.process(blocks[len(done) :])
        assert ledger.head == before
        assert ledger.height == len(done) + 1
        assert verify(ledger).ok
    with Ledger.open(tmp_path, "shard1", map_bytes=64 << 20) as ledger:
        assert ledger.head == before
        done += BlockCommitter(ledger).process(blocks[len(done) :])
        assert (len(done), ledger.height) == (30, 31)
        assert verify(ledger).ok


def test_a_full_disk(tmp_path: Path, paper: PaperNetwork, chain: PaperChain) -> None:
    """The limit on a file's size stands for the disk: the kernel refuses the write in the same place."""
    blocks = [chain.next(paper.transaction({f"k{n}": LARGE})).to_bytes() for n in range(30)]
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_fill, args=(tmp_path, paper.genesis.to_bytes(), blocks, theirs))
    process.start()
    theirs.close()
    assert ours.poll(60)
    answer = ours.recv()
    process.join(30)
    assert process.exitcode == 0
    assert answer["message"].startswith("no space for the ledger in ")
    assert 1 < answer["height"] < 31
    assert answer["same"] is True
    assert answer["ok"] is True
    assert answer["height_after"] == 31


def _fill(folder: Path, genesis: bytes, blocks: list[bytes], pipe: Connection) -> None:
    signed = [SignedBlock.from_bytes(block) for block in blocks]
    ledger = Ledger.create(folder, Block.from_bytes(genesis))
    committer = BlockCommitter(ledger)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    done = 0
    message = ""
    try:
        while done < len(signed):
            done += len(committer.process(signed[done : done + 1]))
    except StorageFull as error:
        message = error.message
    before = ledger.head
    failures = 0
    for _ in range(3):
        try:
            committer.process(signed[done:])
        except StorageFull:
            failures += 1
    answer = {
        "message": message,
        "height": ledger.height,
        "same": ledger.head == before and failures == 3,
        "ok": verify(ledger).ok,
    }
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    done += len(committer.process(signed[done:]))
    ledger.close()
    with Ledger.open(folder, "shard1") as again:
        answer["height_after"] = again.height if verify(again).ok else 0
    pipe.send(answer)

"""kill -9 at any moment: what was reported durable is there, and what is there is whole.

A reader in a third process has the ledger open all the while, so LMDB's lock is not simply made anew but taken over
from the dead writer.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from gridledger import framing
from gridledger.ledger import Ledger
from gridledger.ledger.committer import BlockCommitter
from gridledger.ledger.genesis import commit_genesis
from gridledger.ledger.memory_store import MemoryStore
from gridledger.ledger.verify import verify
from gridledger.protocol.block import SignedBlock
from tests.support.paper import PaperChain, PaperNetwork

BLOCKS = 1500
KILLS = 20
BLOCKS_PER_KILL = 100
"""At most so many blocks are waited for between two kills, half of them on average."""

pytestmark = pytest.mark.integration


def test_kill_during_commits(tmp_path: Path) -> None:
    paper = PaperNetwork()
    chain = PaperChain(paper)
    blocks = [
        chain.next(*(paper.transaction({f"k{(n * 7 + m) % 50}": [n, "x" * 500]}) for m in range(n % 3)))
        for n in range(1, BLOCKS + 1)
    ]
    hashes = _reference(paper, blocks)
    (tmp_path / "blocks").write_bytes(framing.pack([block.to_bytes() for block in blocks]))
    Ledger.create(tmp_path, paper.genesis).close()
    order = random.Random(20260601)
    reader = subprocess.Popen(
        [sys.executable, "-m", "tests.support.reading_child", str(tmp_path), paper.channel],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "reading\n"
        _kill_often(tmp_path, paper.channel, hashes, order)
    finally:
        looks, errors = reader.communicate("", timeout=30)
    assert reader.returncode == 0, errors
    assert int(looks) > KILLS
    with Ledger.open(tmp_path, paper.channel) as ledger:
        report = verify(ledger)
        assert report.ok, str(report)
        committer = BlockCommitter(ledger)
        while ledger.height < len(hashes):
            committer.process(blocks[ledger.height - 1 :])
        assert ledger.commit_hash == hashes[-1]


def _kill_often(folder: Path, channel: str, hashes: list[str], order: random.Random) -> None:
    """Kill the writer again and again, a reader watching; what it had reported is there each time, and nothing half."""
    acknowledged = interrupted = 0
    for _ in range(KILLS):
        reported, alive = _run_and_kill(folder, order)
        acknowledged, interrupted = max(acknowledged, reported), interrupted + alive
        with Ledger.open(folder, channel) as ledger:
            head = ledger.head
            assert acknowledged <= head.height <= len(hashes)
            assert head.commit_hash == hashes[head.height - 1]
            assert head.header_hash == ledger.block(head.height - 1).header.hash
            with ledger.snapshot() as snapshot:
                assert snapshot.metadata(head.height - 1).commit_hash == head.commit_hash
    assert interrupted > KILLS // 2, "the child is done too soon: give it more blocks"


def _reference(paper: PaperNetwork, blocks: Sequence[SignedBlock]) -> list[str]:
    """The commit hash behind each block."""
    store = MemoryStore()
    commit_genesis(store, paper.genesis)
    ledger = Ledger(paper.channel, store)
    committer = BlockCommitter(ledger)
    hashes = [ledger.commit_hash]
    while len(hashes) <= len(blocks):
        hashes += [item.commit_hash for item in committer.process(blocks[len(hashes) - 1 :])]
    return hashes


def _run_and_kill(folder: Path, order: random.Random) -> tuple[int, bool]:
    """Let the child commit, kill it and answer the height that it last reported durable, and if it was alive."""
    size = order.choice((1, 1, 2, 5))
    command = [
        sys.executable,
        "-m",
        "tests.support.commit_child",
        str(folder),
        "shard1",
        str(folder / "blocks"),
        str(size),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline()]
        assert lines[0], "the child did not open the ledger"
        # So many commits and a little more: the moment of the kill is what is being varied, and commits are counted
        # because in the same time a fast machine would be done with all blocks and a slow one not have begun.
        lines += [child.stdout.readline() for _ in range(order.randrange(BLOCKS_PER_KILL // size))]
        moment = time.monotonic() + order.uniform(0, 0.003)
        while time.monotonic() < moment:
            pass
        alive = child.poll() is None
        child.kill()
        lines += child.stdout.readlines()
    return max(int(line) for line in lines if line.endswith("\n")), alive

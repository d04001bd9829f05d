"""A ledger's beginning: block 0, once."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridledger.ledger import BlockRejected, Ledger, LedgerExists, LedgerMissing
from gridledger.ledger.lmdb_store import LmdbStore
from gridledger.protocol.block import ZERO_HASH, Block
from tests.support.paper import NOW_US, PaperNetwork


def test_creating_twice_gives_the_same_ledger(tmp_path: Path, paper: PaperNetwork) -> None:
    with Ledger.create(tmp_path, paper.genesis) as ledger:
        head = ledger.head
    with Ledger.create(tmp_path, paper.genesis) as ledger:
        assert ledger.head == head
        assert ledger.height == 1
        assert ledger.config() == paper.config
    assert head.header_hash == paper.genesis.header.hash


def test_another_block_0_is_refused(tmp_path: Path, paper: PaperNetwork) -> None:
    Ledger.create(tmp_path, paper.genesis).close()
    with pytest.raises(LedgerExists, match="earlier network"):
        Ledger.create(tmp_path, PaperNetwork().genesis)


def test_what_is_no_block_0_is_refused(tmp_path: Path, paper: PaperNetwork) -> None:
    good = paper.genesis
    rebuilt = {"channel": "shard1", "number": 0, "previous_hash": ZERO_HASH, "timestamp_us": NOW_US}
    for bad in (
        Block.build(**{**rebuilt, "number": 1}, envelopes=good.envelopes),  # type: ignore[arg-type]
        Block.build(**{**rebuilt, "channel": "shard2"}, envelopes=good.envelopes),  # type: ignore[arg-type]
        Block.build(**{**rebuilt, "previous_hash": "1" * 64}, envelopes=good.envelopes),  # type: ignore[arg-type]
        Block.build(**rebuilt, envelopes=[*good.envelopes, *good.envelopes]),  # type: ignore[arg-type]
        Block.build(**rebuilt, envelopes=[b"{}"]),  # type: ignore[arg-type]
        Block(good.header, (b"{}",)),
    ):
        with pytest.raises(BlockRejected):
            Ledger.create(tmp_path, bad)


def test_a_creation_cut_short_begins_anew(tmp_path: Path, paper: PaperNetwork) -> None:
    """Killed between making the files and committing block 0: as if nothing had been."""
    LmdbStore(tmp_path / "shard1").close()
    with pytest.raises(LedgerMissing, match="no block 0"):
        Ledger.open(tmp_path, "shard1")
    with Ledger.create(tmp_path, paper.genesis) as ledger:
        assert ledger.height == 1

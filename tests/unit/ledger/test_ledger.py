"""What a ledger answers: blocks, transactions with proofs, events; and how it is opened."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gridledger import jsontext
from gridledger.errors import SettingsError
from gridledger.ledger import BlockMissing, Ledger, LedgerMissing, TransactionMissing
from gridledger.ledger.committer import BlockCommitter
from gridledger.ledger.lmdb_store import LmdbReader
from gridledger.protocol.codes import TxValidationCode as Code
from gridledger.protocol.proof import ProvedTransaction
from tests.support.paper import PaperChain, PaperNetwork


def test_blocks_and_transactions_come_with_proofs(
    paper: PaperNetwork, chain: PaperChain, committer: BlockCommitter
) -> None:
    made = [paper.transaction({f"k{n}": "x" * n * 300}) for n in range(7)]
    block = chain.next(*made)
    committer.process([block])
    ledger = committer.ledger
    assert ledger.block_bytes(1) == block.block.to_bytes()
    assert ledger.block(1) == block.block
    with ledger.snapshot() as snapshot:
        metadata = snapshot.metadata(1)
    assert (metadata.codes, metadata.signature) == ((Code.VALID,) * 7, block.signature)
    assert metadata.commit_hash == ledger.commit_hash
    for index, transaction in enumerate(made):
        proved = ledger.transaction(transaction.tx_id)
        assert (proved.block, proved.index, proved.envelope) == (1, index, transaction.to_bytes())
        assert proved.holds()
        assert (proved.header, proved.signature) == (block.block.header, block.signature)
        assert not replace(proved, envelope=made[index - 1].to_bytes()).holds()
        assert not replace(proved, block=2).holds()
        assert ProvedTransaction.from_dict(jsontext.loads(jsontext.dumps(proved.to_dict()))) == proved


def test_what_is_not_on_the_chain_is_missing(committer: BlockCommitter) -> None:
    ledger = committer.ledger
    for number in (1, -1, 2**40):
        with pytest.raises(BlockMissing):
            ledger.block_bytes(number)
        with ledger.snapshot() as snapshot, pytest.raises(BlockMissing):
            snapshot.metadata(number)
    for tx_id in ("", "no id", "00" * 32, "0" * 63, "é" * 64):
        assert ledger.status(tx_id) is None
        with pytest.raises(TransactionMissing):
            ledger.transaction(tx_id)


def test_what_is_not_there_cannot_be_opened(tmp_path: Path) -> None:
    for readonly in (False, True):
        with pytest.raises(LedgerMissing):
            Ledger.open(tmp_path, "shard1", readonly=readonly)
    for name in ("", "../x", ".hidden", "a/b", "a\0b"):
        with pytest.raises(SettingsError):
            Ledger.open(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def _look_ups(folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """How often the store is asked between opening the ledger and being ready to commit."""
    count = 0
    get, scan = LmdbReader.get, LmdbReader.scan

    def counted_get(self: LmdbReader, table: object, key: bytes) -> bytes | None:
        nonlocal count
        count += 1
        return get(self, table, key)  # type: ignore[arg-type]

    def counted_scan(self: LmdbReader, table: object, start: bytes, stop: bytes) -> object:
        nonlocal count
        for item in scan(self, table, start, stop):  # type: ignore[arg-type]
            count += 1
            yield item

    with monkeypatch.context() as patch:
        patch.setattr(LmdbReader, "get", counted_get)
        patch.setattr(LmdbReader, "scan", counted_scan)
        with Ledger.open(folder, "shard1") as ledger:
            assert ledger.config().sequence == 0
            BlockCommitter(ledger)
    return count


def test_opening_takes_as_many_look_ups_at_any_height(
    tmp_path: Path, paper: PaperNetwork, chain: PaperChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    Ledger.create(tmp_path, paper.genesis).close()
    short = _look_ups(tmp_path, monkeypatch)
    with Ledger.open(tmp_path, "shard1") as ledger:
        committer = BlockCommitter(ledger)
        for _ in range(5):
            committer.process([chain.next(paper.transaction({"a": 1})) for _ in range(40)])
    assert _look_ups(tmp_path, monkeypatch) == short


def test_readers_need_no_cryptography() -> None:
    """A chaincode host starts fast and is never near a key."""
    program = "import sys, gridledger.ledger; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0

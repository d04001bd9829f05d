"""Verification finds whatever was changed behind the ledger's back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gridledger.ledger import Ledger
from gridledger.ledger.checksums import SEEDS, sealed
from gridledger.ledger.codec import Table, pack_transaction, whole_key
from gridledger.ledger.committer import BlockCommitter
from gridledger.ledger.verify import verify
from tests.support.paper import PaperChain, PaperNetwork

Change = Callable[[dict[Table, dict[bytes, bytes]]], tuple[Table, bytes, bytes | None]]


def first(table: Table, alter: Callable[[bytes], bytes | None], position: int = 0) -> Change:
    """Alter the entry at a position of a table."""

    def change(tables: dict[Table, dict[bytes, bytes]]) -> tuple[Table, bytes, bytes | None]:
        key = sorted(tables[table])[position]
        return table, key, alter(tables[table][key])

    return change


def gone(_: bytes) -> None:
    return None


def byte_of_the_last_block(tables: dict[Table, dict[bytes, bytes]]) -> tuple[Table, bytes, bytes | None]:
    """Flip a bit in the midst of its longest chunk: the last one may hold no more than a checksum."""
    chunks = tables[Table.BLOCKS]
    key = max(chunks, key=lambda key: (key[:8], len(chunks[key])))
    middle = len(chunks[key]) // 2
    return Table.BLOCKS, key, chunks[key][:middle] + bytes((chunks[key][middle] ^ 1,)) + chunks[key][middle + 1 :]


CHANGES: dict[str, tuple[Change, str]] = {
    "a value": (first(Table.STATE, lambda entry: entry[:-1] + b"9"), "another value or version"),
    "a version": (first(Table.STATE, lambda entry: b"\0" * 12 + entry[12:]), "another value or version"),
    "a lost key": (first(Table.STATE, gone), "missing from the world state"),
    "a new key": (lambda _: (Table.STATE, whole_key("kv", "new"), b"\0" * 13), "the table state has"),
    "a lost history": (first(Table.HISTORY, gone), "the history of"),
    "a lost id": (first(Table.TRANSACTIONS, gone), "the index entry of"),
    "a wrong id": (first(Table.TRANSACTIONS, lambda _: pack_transaction(9, 9, 0)), "the index entry of"),
    "a new id": (lambda _: (Table.TRANSACTIONS, b"\1" * 32, pack_transaction(1, 0, 0)), "the table transactions has"),
    "a code": (first(Table.METADATA, lambda entry: entry[:4] + b"\x0b" + entry[5:], 1), "is kept as"),
    "a commit hash": (first(Table.METADATA, lambda entry: entry[:10] + b"\1\1" + entry[12:], 2), "its commit hash"),
    "block 0's": (first(Table.METADATA, lambda entry: entry[:10] + b"\1\1" + entry[12:]), "its commit hash"),
    "a block's byte": (byte_of_the_last_block, "cannot be verified: block 3"),
    "a lost chunk": (first(Table.BLOCKS, gone, -1), "cannot be verified"),
    "a lost block": (first(Table.METADATA, gone, -1), "there is no block"),
    "a posting": (first(Table.INDEX, lambda entry: bytes((entry[0] ^ 2,)) + entry[1:]), "the index entry"),
    "a lost posting": (first(Table.INDEX, gone, -1), "the index entry"),
    "a new posting": (lambda _: (Table.INDEX, b"x" * 24, b"\1"), "the table index has"),
    "the head": (
        first(Table.META, lambda entry: entry.replace(b'"transactions":', b'"transactions":1')),
        "the head counts",
    ),
}


def _overwrite(ledger: Ledger, table: Table, key: bytes, value: bytes | None) -> None:
    """Change one entry as no commit does, in LMDB itself."""
    environment = ledger.store._environment  # type: ignore[attr-defined]
    with environment.handle.begin(db=environment.tables[table], write=True) as transaction:
        transaction.delete(key) if value is None else transaction.put(key, sealed(SEEDS[table], key, value))


@pytest.mark.parametrize("name", CHANGES)
def test_finds(paper: PaperNetwork, chain: PaperChain, ledger: Ledger, name: str) -> None:
    committer = BlockCommitter(ledger)
    committer.process([chain.next(paper.transaction({"a": 1, "b": n}), paper.transaction()) for n in range(3)])
    good = verify(ledger)
    assert good.ok
    assert (good.blocks, good.transactions, good.keys) == (4, 7, 2)
    assert good.commit_hash == ledger.commit_hash
    change, message = CHANGES[name]
    tables: dict[Table, dict[bytes, bytes]] = {}
    with ledger.store.reader() as reader:
        for table in Table:
            tables[table] = dict(reader.scan(table, b"", b"\xff" * 511))
    table, key, value = change(tables)
    _overwrite(ledger, table, key, value)
    report = verify(ledger)
    assert not report.ok
    assert message in str(report)


def test_counts_as_it_goes(paper: PaperNetwork, chain: PaperChain, ledger: Ledger) -> None:
    committer = BlockCommitter(ledger)
    for _ in range(2):
        committer.process([chain.next(paper.transaction({"a": 1})) for _ in range(64)])
    steps: list[tuple[int, int]] = []
    assert verify(ledger, progress=lambda done, height: steps.append((done, height))).ok
    assert steps == [(1, 129), (65, 129), (129, 129)]

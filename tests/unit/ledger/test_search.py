"""The search of transactions: pages joined are what a look at every transaction finds, whatever the filter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import lmdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridledger.errors import MalformedMessage
from gridledger.identity.signer import SigningIdentity
from gridledger.ledger import BlockMissing, Ledger, StorageFull
from gridledger.ledger.codec import Table
from gridledger.ledger.committer import BlockCommitter
from gridledger.ledger.genesis import commit_genesis
from gridledger.ledger.index import INDEX, IndexHead, is_of_certificate
from gridledger.ledger.memory_store import MemoryStore
from gridledger.ledger.search import READ_WORK, find_by_prefix, search
from gridledger.ledger.store import CommitBatch
from gridledger.ledger.verify import verify
from gridledger.protocol.codes import TxValidationCode as Code
from gridledger.protocol.config import Organisation
from gridledger.protocol.config_update import ConfigUpdate
from gridledger.protocol.search import FoundTransaction, TransactionFilter, TransactionsPage
from gridledger.protocol.transaction import Transaction
from tests.support.examples import examples
from tests.support.paper import NOW_US, PaperChain, PaperNetwork, PaperOrganisation, PaperPeer

PAPER = PaperNetwork(organisations=2)
STRANGER = PaperOrganisation("StrangerMSP").issue("client", "client")
CLIENTS = {
    "client": PAPER.clients["Org1MSP"],
    "other": PAPER.clients["Org2MSP"],
    "renewed": PAPER.organisations["Org1MSP"].issue("client", "client"),
    "admin": PAPER.admins["Org1MSP"],
    "stranger": STRANGER,
}
MSPIDS = {"client": "Org1MSP", "other": "Org2MSP", "renewed": "Org1MSP", "admin": "Org1MSP", "stranger": None}
FUNCTIONS = ["put", "get", "q" * 256]

calls = st.tuples(
    st.sampled_from(list(CLIENTS)),
    st.sampled_from(["kv", "kv", "kv", "none"]),
    st.sampled_from(FUNCTIONS),
    st.sampled_from([True, True, True, False]),
)
envelopes = st.one_of(calls, calls, calls, calls, st.sampled_from([b"", b"rubbish"]))
plans = st.lists(st.lists(envelopes, max_size=4), min_size=1, max_size=8)
times = st.builds(lambda block, off: NOW_US + 1000 * block + off, st.integers(0, 9), st.sampled_from([-1, 0, 1]))
names = {
    "mspid": st.sampled_from(["Org1MSP", "Org2MSP", "StrangerMSP"]),
    "creator": st.sampled_from(["client", "admin", "nobody"]),
    "certificate": st.sampled_from([*(client.fingerprint for client in CLIENTS.values()), "0" * 64]),
    "chaincode": st.sampled_from(["kv", "none", "never"]),
    "function": st.sampled_from([*FUNCTIONS, "never"]),
    "code": st.sampled_from(["VALID", "invalid", "ENDORSEMENT_POLICY_FAILURE", "BAD_PAYLOAD", "NIL_ENVELOPE"]),
    "kind": st.sampled_from(["transaction", "config", "unreadable"]),
    "from_us": times,
    "to_us": times,
}
filters = st.fixed_dictionaries({}, optional=names)


def made(client: str, chaincode: str, function: str, *, endorsed: bool) -> Transaction:
    proposal = PAPER.proposal(function, client=CLIENTS[client], chaincode=chaincode)
    endorsers = ["peer1", "peer2"] if endorsed else ["peer1"]
    return PAPER.transaction(proposal=proposal, endorsers=endorsers, client=CLIENTS[client])


def in_memory() -> Ledger:
    store = MemoryStore()
    commit_genesis(store, PAPER.genesis)
    return Ledger(PAPER.channel, store)


def played(plan: Sequence[Sequence[Any]]) -> tuple[Ledger, list[FoundTransaction]]:
    """The ledger of a plan, and all that is on it, the newest first."""
    ledger, chain = in_memory(), PaperChain(PAPER)
    committer = BlockCommitter(ledger)
    block_0 = PAPER.genesis
    (genesis,) = block_0.envelopes
    expected = [
        FoundTransaction(ConfigUpdate.parse(genesis).tx_id, 0, 0, Code.VALID, block_0.header.timestamp_us, "config")
    ]
    for number, items in enumerate(plan, 1):
        wanted = [item if isinstance(item, bytes) else made(*item[:3], endorsed=item[3]) for item in items]
        (done,) = committer.process([chain.next(*wanted)])
        for index, (item, envelope, code) in enumerate(zip(items, wanted, done.codes, strict=True)):
            row = FoundTransaction("", number, index, code, NOW_US + 1000 * number, "unreadable")
            if isinstance(envelope, Transaction):
                client: SigningIdentity = CLIENTS[item[0]]
                row = replace(
                    row,
                    tx_id=envelope.tx_id,
                    kind="transaction",
                    mspid=MSPIDS[item[0]],
                    creator="admin" if item[0] == "admin" else "client",
                    certificate=client.fingerprint,
                    chaincode=item[1],
                    function=item[2],
                    proposed_us=NOW_US,
                )
            expected.append(row)
    return ledger, expected[::-1]


def joined(
    ledger: Ledger, wanted: TransactionFilter, *, limit: int, max_work: int = 20_000
) -> tuple[list[FoundTransaction], int]:
    """All pages of a search, one after the other, and how many there were."""
    items: list[FoundTransaction] = []
    bookmark, pages = None, 0
    while True:
        with ledger.snapshot() as snapshot:
            page = search(snapshot, wanted, limit=limit, bookmark=bookmark, max_work=max_work)
        assert len(page.items) <= limit
        assert TransactionsPage.from_dict(page.to_dict()) == page
        items += page.items
        bookmark, pages = page.bookmark, pages + 1
        if bookmark is None:
            return items, pages


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plans, st.lists(filters, min_size=1, max_size=6), st.integers(1, 5), st.sampled_from([1, 7, 20_000]))
def test_pages_joined_are_what_fits(
    plan: list[list[Any]], asked: list[dict[str, Any]], limit: int, max_work: int
) -> None:
    ledger, all_of_it = played(plan)
    assert joined(ledger, TransactionFilter(), limit=limit, max_work=max_work)[0] == all_of_it
    for names_of in asked:
        wanted = TransactionFilter(**names_of)
        found, _ = joined(ledger, wanted, limit=limit, max_work=max_work)
        assert found == [row for row in all_of_it if wanted.fits(row)]
    assert verify(ledger).ok


@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plans, st.integers(0, 3))
def test_an_index_that_is_built_afterwards_is_the_same(plan: list[list[Any]], kept: int) -> None:
    """As a ledger is that an earlier version went on with: its index ends somewhere, or was never begun."""
    ledger, _ = played(plan)
    with ledger.store.reader() as reader:
        whole = list(reader.scan(Table.INDEX, b"", b"\xff" * 64))
        (head,) = (value for _, value in reader.scan(Table.META, b"head", b"head\0"))
    assert whole
    kept = min(kept, ledger.height)
    batch = CommitBatch(head)
    batch.put(Table.META, INDEX, IndexHead(kept, 0).to_bytes())
    for key, value in whole:
        number = int.from_bytes(key[16:24] if key[:1] != b"h" else value, "big")
        if not kept or (not is_of_certificate(key) and number >= kept):
            batch.changes[Table.INDEX][key] = None
    ledger.store.commit(batch)
    committer = BlockCommitter(ledger)
    while committer.build_index().height < ledger.height:
        pass
    with ledger.store.reader() as reader:
        assert list(reader.scan(Table.INDEX, b"", b"\xff" * 64)) == whole
    assert verify(ledger).ok


def drop_index(ledger: Ledger) -> None:
    """Make a ledger one that an earlier version wrote."""
    batch = CommitBatch(ledger.head.to_bytes())
    with ledger.store.reader() as reader:
        batch.changes[Table.INDEX].update((key, None) for key, _ in reader.scan(Table.INDEX, b"", b"\xff" * 64))
    batch.changes[Table.META][INDEX] = None
    ledger.store.commit(batch)


def test_the_index_is_built_across_a_change_of_configuration(tmp_path: Path) -> None:
    """A client is of no organisation before its organisation is a member, whenever the index is written."""
    paper, late = PaperNetwork(), PaperOrganisation("LateMSP")
    client = late.issue("client", "client")
    peer = PaperPeer(tmp_path, paper)

    def by_late() -> Transaction:
        return paper.transaction(proposal=paper.proposal(client=client), client=client)

    peer.commit(by_late())
    update = paper.update(
        organisations={**paper.config.organisations, "LateMSP": Organisation("LateMSP", (late.root,))}
    )
    assert peer.commit(update).codes == (Code.VALID,)
    paper.config = update.config
    peer.commit(by_late())
    before = joined(peer.ledger, TransactionFilter(mspid="LateMSP"), limit=9)[0]
    assert [row.block for row in before] == [3]
    assert [row.block for row in joined(peer.ledger, TransactionFilter(creator="client"), limit=9)[0]] == [3, 1]
    drop_index(peer.ledger)
    assert joined(peer.ledger, TransactionFilter(mspid="LateMSP"), limit=9)[0] == []
    assert BlockCommitter(peer.ledger).build_index() == IndexHead(4, 2)
    assert joined(peer.ledger, TransactionFilter(mspid="LateMSP"), limit=9)[0] == before
    assert verify(peer.ledger).ok


def test_the_ledger_of_an_earlier_version_opens_and_is_indexed_step_by_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = PaperPeer(tmp_path, PAPER)
    transactions = [PAPER.transaction({"k": number}) for number in range(5)]
    for transaction in transactions:
        peer.commit(transaction)
    peer.ledger.close()
    folder = tmp_path / "shard1"
    with lmdb.open(str(folder), max_dbs=len(Table), map_size=1 << 30) as environment:
        index, meta = (environment.open_db(table.value.encode()) for table in (Table.INDEX, Table.META))
        with environment.begin(write=True) as change:
            change.drop(index)
            change.delete(INDEX, db=meta)
    with Ledger.open(tmp_path, "shard1", readonly=True) as ledger, ledger.snapshot() as snapshot:
        assert snapshot.index_head.height == 0
        assert snapshot.count(Table.INDEX) == 0
        assert search(snapshot, TransactionFilter(creator="client"), limit=9).items == ()
        assert find_by_prefix(snapshot, transactions[0].tx_id[:9], limit=9).items[0].tx_id == transactions[0].tx_id
        with pytest.raises(BlockMissing, match="has the first 0 of 6 blocks"):
            snapshot.block_number(snapshot.head.header_hash)
        assert verify(ledger).ok
    monkeypatch.setattr("gridledger.ledger.index_writer.MAX_BLOCKS", 2)
    with Ledger.open(tmp_path, "shard1") as ledger:
        committer = BlockCommitter(ledger)
        assert committer.build_index() == IndexHead(2, 0)
        newest = PAPER.transaction({"k": 9})
        committer.process([peer.chain.next(newest)])  # not indexed yet: the index is behind
        assert [committer.build_index().height for _ in range(4)] == [4, 6, 7, 7]
        committer.process([peer.chain.next(PAPER.transaction({"k": 10}))])
        with ledger.snapshot() as snapshot:
            page = search(snapshot, TransactionFilter(creator="client"), limit=9)
            assert (page.indexed, page.height, [row.block for row in page.items]) == (8, 8, [7, 6, 5, 4, 3, 2, 1])
        assert verify(ledger).ok


def test_a_block_is_found_by_its_hash() -> None:
    ledger, _ = played([[("client", "kv", "put", True)], []])
    with ledger.snapshot() as snapshot:
        for number in range(3):
            block_hash = snapshot.header(number).header.hash
            assert snapshot.block_number(block_hash) == number
            with pytest.raises(BlockMissing, match="there is no block with the hash"):
                snapshot.block_number(block_hash[:63] + ("0" if block_hash[63] != "0" else "1"))
        with pytest.raises(BlockMissing):
            snapshot.block_number("0" * 64)


@settings(max_examples=examples(20), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plans, st.integers(1, 4), st.integers(1, 3))
def test_transactions_are_found_by_the_beginning_of_their_id(plan: list[list[Any]], length: int, limit: int) -> None:
    ledger, rows = played(plan)
    ids = sorted({row.tx_id for row in rows if row.tx_id})
    for prefix in {*(tx_id[:length] for tx_id in ids), ids[0], "f" * length, ids[-1][:length].upper()}:
        found, bookmark = [], None
        while True:
            with ledger.snapshot() as snapshot:
                page = find_by_prefix(snapshot, prefix, limit=limit, bookmark=bookmark)
            assert len(page.items) <= limit
            found += [item.tx_id for item in page.items]
            bookmark = page.bookmark
            if bookmark is None:
                break
        assert found == [tx_id for tx_id in ids if tx_id.startswith(prefix.lower())]


def test_ids_of_much_work_come_on_short_pages() -> None:
    ledger, rows = played([[("client", "kv", "put", True)] * 20])
    ids = sorted(row.tx_id for row in rows)
    prefix = next(one[0] for one, two in pairwise(ids) if one[0] == two[0])  # 21 ids, 16 digits
    wanted = [tx_id for tx_id in ids if tx_id.startswith(prefix)]
    found, bookmark = [], None
    for _ in wanted:
        with ledger.snapshot() as snapshot:
            page = find_by_prefix(snapshot, prefix, limit=9, bookmark=bookmark, max_work=1)
        assert len(page.items) == 1
        found += [item.tx_id for item in page.items]
        bookmark = page.bookmark
    assert (found, bookmark) == (wanted, None)


def test_a_search_that_must_skip_much_answers_short_pages() -> None:
    """Each of the two values is in every other block, never both in one."""
    plan = [[(("client", "other")[number % 2], "kv", FUNCTIONS[number % 2], True)] for number in range(30)]
    ledger, _ = played(plan)
    wanted = TransactionFilter(mspid="Org1MSP", function="get")
    found, pages = joined(ledger, wanted, limit=5, max_work=6)
    assert found == []
    assert pages > 5
    with ledger.snapshot() as snapshot:
        page = search(snapshot, wanted, limit=5, max_work=6)
        assert (page.items, page.reached < 31) == ((), True)
        assert page.bookmark is not None
        full = search(snapshot, TransactionFilter(), limit=30, max_work=3 * READ_WORK)
        assert len(full.items) == 3


def test_a_span_of_time_has_its_beginning_and_not_its_end() -> None:
    ledger, rows = played([[("client", "kv", "put", True)] for _ in range(5)])
    moments = [NOW_US + 1000 * block + off for block in range(7) for off in (-1, 0, 1)]
    for start in moments:
        for end in (start, start + 1, start + 2000):
            wanted = TransactionFilter(from_us=start, to_us=end)
            assert joined(ledger, wanted, limit=9)[0] == [row for row in rows if start <= row.timestamp_us < end]


def test_pages_hold_while_the_chain_grows(tmp_path: Path) -> None:
    peer = PaperPeer(tmp_path, PAPER)
    for number in range(4):
        peer.commit(PAPER.transaction({"k": number}))
    with peer.ledger.snapshot() as snapshot:
        first = search(snapshot, TransactionFilter(chaincode="kv"), limit=2)
    peer.commit(PAPER.transaction({"k": 9}))
    with peer.ledger.snapshot() as snapshot:
        second = search(snapshot, TransactionFilter(chaincode="kv"), limit=2, bookmark=first.bookmark)
    assert [row.block for row in (*first.items, *second.items)] == [4, 3, 2, 1]
    assert second.bookmark is None


def test_what_is_no_bookmark_of_this_search_is_refused() -> None:
    ledger, _ = played([[("client", "kv", "put", True)] * 3])
    with ledger.snapshot() as snapshot:
        wanted = TransactionFilter(mspid="Org1MSP")
        bookmark = search(snapshot, wanted, limit=1).bookmark
        assert bookmark is not None
        for other in (TransactionFilter(), TransactionFilter(mspid="Org2MSP"), TransactionFilter(creator="Org1MSP")):
            with pytest.raises(MalformedMessage, match="must stay the same"):
                search(snapshot, other, limit=1, bookmark=bookmark)
        for wrong in ("", "é", "a", bookmark[:-4], bookmark + "AAAA"):
            with pytest.raises(MalformedMessage, match="bookmark"):
                search(snapshot, wanted, limit=1, bookmark=wrong)
            with pytest.raises(MalformedMessage, match="bookmark"):
                find_by_prefix(snapshot, "a", limit=1, bookmark=wrong)
        for limit in (0, 1001):
            with pytest.raises(MalformedMessage, match="'limit'"):
                search(snapshot, wanted, limit=limit)
            with pytest.raises(MalformedMessage, match="'limit'"):
                find_by_prefix(snapshot, "a", limit=limit)
        for prefix in ("", "g", "a" * 65, "é"):
            with pytest.raises(MalformedMessage, match="'prefix'"):
                find_by_prefix(snapshot, prefix, limit=1)


def test_a_certificate_is_in_the_index_though_its_first_commit_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, chain = in_memory(), PaperChain(PAPER)
    committer = BlockCommitter(ledger)
    block = chain.next(PAPER.transaction({"k": 1}))
    monkeypatch.setattr(ledger.store, "commit", _full)
    with pytest.raises(StorageFull):
        committer.process([block])
    monkeypatch.undo()
    committer.process([block])
    found, _ = joined(ledger, TransactionFilter(certificate=PAPER.client.fingerprint), limit=3)
    assert [row.mspid for row in found] == ["Org1MSP"]


def _full(_: CommitBatch) -> None:
    raise StorageFull("no space")


@pytest.mark.parametrize(
    ("given_code", "name"),
    [
        ("valid", "VALID"),
        ("0", "VALID"),
        ("11", "MVCC_READ_CONFLICT"),
        ("INVALID", "invalid"),
        ("Bad_Payload", "BAD_PAYLOAD"),
    ],
)
def test_a_code_may_be_a_number_or_in_small_letters(given_code: str, name: str) -> None:
    assert TransactionFilter.of({"code": given_code}) == TransactionFilter(code=name)


@pytest.mark.parametrize(
    "wrong",
    [
        {"code": "nonsense"},
        {"code": "26"},
        {"code": "²"},
        {"kind": "block"},
        {"certificate": "ab"},
        {"certificate": "g" * 64},
        {"mspid": ""},
        {"creator": "x" * 257},
        {"from_us": -1},
        {"to_us": 2**63},
    ],
)
def test_a_filter_that_nothing_can_fit_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(MalformedMessage):
        TransactionFilter.of(wrong)

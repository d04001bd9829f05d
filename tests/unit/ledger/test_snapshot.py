"""The world state and its history, as a chaincode and a query see them."""

from __future__ import annotations

from gridledger.ledger import Ledger
from gridledger.ledger.codec import CUT
from gridledger.ledger.committer import BlockCommitter
from gridledger.ledger.verify import verify
from gridledger.protocol.result import RangeRead, Read, Version
from tests.support.paper import NOW_US, PaperChain, PaperNetwork


def test_history_is_the_newest_first(paper: PaperNetwork, chain: PaperChain, committer: BlockCommitter) -> None:
    made = [
        paper.transaction({"a": value, "ab": value}, proposal=paper.proposal(time_us=NOW_US + n))
        for n, value in enumerate((1, {"x": [1.5, None]}, None, "again"))
    ]
    ignored = paper.transaction({"a": 9}, endorsers=["peer1"])
    committer.process([chain.next(made[0], ignored, made[1])])
    committer.process([chain.next(made[2]), chain.next(made[3])])
    with committer.ledger.snapshot() as snapshot:
        found = list(snapshot.history("kv", "a"))
        assert [entry.value for entry in found] == ["again", None, {"x": [1.5, None]}, 1]
        assert [entry.tx_id for entry in found] == [item.tx_id for item in reversed(made)]
        assert [entry.timestamp_us for entry in found] == [NOW_US + n for n in (3, 2, 1, 0)]
        assert [(entry.block, entry.index) for entry in found] == [(3, 0), (2, 0), (1, 2), (1, 0)]
        assert [entry.value for entry in snapshot.history("kv", "a", limit=1)] == ["again"]
        assert list(snapshot.history("kv", "b")) == []
        assert list(snapshot.history("k", "va")) == []


def test_a_snapshot_stays_at_its_height(paper: PaperNetwork, chain: PaperChain, committer: BlockCommitter) -> None:
    committer.process([chain.next(paper.transaction({"a": 1}))])
    with committer.ledger.snapshot() as before:
        made = paper.transaction({"a": 2, "b": 1})
        committer.process([chain.next(made)])
        assert before.height == 2
        assert before.get("kv", "a") == (b"1", (1, 0))
        assert [key for key, _, _ in before.range("kv")] == ["a"]
        assert before.find(made.tx_id) is None
    with committer.ledger.snapshot() as after:
        assert after.get("kv", "a") == (b"2", (2, 0))
        assert after.get("kw", "a") is None


def test_keys_of_any_length_keep_their_order(paper: PaperNetwork, chain: PaperChain, committer: BlockCommitter) -> None:
    stem = "x" * (CUT - 4)
    keys = [
        stem[:-1],
        stem,
        stem + "0",
        *(stem + "0" + tail + "z" * 500 for tail in "çabé0~"),
        stem + "1",
        "y",
        "é" * 1024,
    ]
    ordered = sorted(keys, key=str.encode)
    committer.process(
        [chain.next(paper.transaction({key: n}) if n else paper.transaction()) for n, key in enumerate(["", *keys])]
    )
    with committer.ledger.snapshot() as snapshot:
        assert [key for key, _, _ in snapshot.range("kv")] == ordered
        for n, key in enumerate(keys, 1):
            found = snapshot.get("kv", key)
            assert found is not None
            assert (found.value, found.version) == (str(n).encode(), Version(n + 1, 0))
            assert [entry.value for entry in snapshot.history("kv", key)] == [n]
        for start in ("", *ordered):
            for end in ("", *ordered):
                expected = [
                    key
                    for key in ordered
                    if start.encode() <= key.encode() and (not end or key.encode() < end.encode())
                ]
                assert [key for key, _, _ in snapshot.range("kv", start, end)] == expected
        assert [key for key, _, _ in snapshot.range("kv", limit=5)] == ordered[:5]
    long = ordered[4]
    seen = [
        RangeRead(ordered[2], ordered[5], tuple(Read(key, Version(keys.index(key) + 2, 0)) for key in ordered[2:5]))
    ]
    (done,) = committer.process(
        [chain.next(paper.transaction(ranges=seen), paper.transaction({long: None}), paper.transaction(ranges=seen))]
    )
    assert [code.name for code in done.codes] == ["VALID", "VALID", "PHANTOM_READ_CONFLICT"]
    assert verify(committer.ledger).ok


def test_another_process_sees_commits_at_once(paper: PaperNetwork, chain: PaperChain, ledger: Ledger) -> None:
    committer = BlockCommitter(ledger)
    folder = ledger.store.folder.parent  # type: ignore[attr-defined]
    with Ledger.open(folder, "shard1", readonly=True) as reader:
        for n in range(3):
            committer.process([chain.next(paper.transaction({"a": n}))])
            assert (reader.height, reader.commit_hash) == (n + 2, ledger.commit_hash)

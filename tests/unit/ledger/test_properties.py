"""The ledger against a model of a few lines, on chains that hypothesis thinks up."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridledger.ledger import Ledger
from gridledger.ledger.committer import BlockCommitter
from gridledger.ledger.genesis import commit_genesis
from gridledger.ledger.memory_store import MemoryStore
from gridledger.ledger.validation import SignatureCheck, validate, verify_one_by_one
from gridledger.ledger.verify import verify
from gridledger.protocol.block import SignedBlock
from gridledger.protocol.codes import TxValidationCode as Code
from gridledger.protocol.events import CommittedBlock
from gridledger.protocol.result import RangeRead, Read, Version
from gridledger.protocol.transaction import Transaction
from tests.support.examples import examples
from tests.support.paper import PaperChain, PaperNetwork

PAPER = PaperNetwork(organisations=3)
KEYS = ["a", "ab", "b", "é", "x" * 600 + "1", "x" * 600 + "2", "x" * 500, "~"]
ORDERED = sorted(KEYS, key=str.encode)
key_names = st.sampled_from(KEYS)


class Spec(NamedTuple):
    """What a transaction does. ``stale`` reads carry a version that never was; ``endorsed``, ``signed``: or not."""

    reads: list[str]
    stale: bool
    ranges: list[tuple[str, str]]
    writes: dict[str, int | None]
    endorsed: bool
    signed: bool


specs = st.builds(
    Spec,
    reads=st.lists(key_names, max_size=2, unique=True),
    stale=st.sampled_from([False, False, False, True]),
    ranges=st.lists(st.tuples(st.sampled_from(["", *KEYS]), st.sampled_from(["", *KEYS])), max_size=1),
    writes=st.dictionaries(key_names, st.one_of(st.none(), st.integers(0, 9)), max_size=3),
    endorsed=st.sampled_from([True, True, True, False]),
    signed=st.sampled_from([True, True, True, False]),
)
chains = st.lists(st.lists(specs, max_size=4), min_size=1, max_size=6)


class Model:
    """The world state as a dictionary, and the history as lists."""

    def __init__(self) -> None:
        self.state: dict[str, tuple[int, Version]] = {}
        self.history: dict[str, list[tuple[int | None, Version]]] = {}

    def version(self, key: str) -> Version | None:
        return self.state[key][1] if key in self.state else None

    def between(self, start: str, end: str) -> tuple[Read, ...]:
        inside = (key for key in ORDERED if start.encode() <= key.encode() and (not end or key.encode() < end.encode()))
        return tuple(Read(key, self.state[key][1]) for key in inside if key in self.state)

    def take(self, transaction: Transaction, spec: Spec, version: Version) -> Code:
        if not spec.signed:
            return Code.BAD_CREATOR_SIGNATURE
        if not spec.endorsed:
            return Code.ENDORSEMENT_POLICY_FAILURE
        if any(self.version(key) != seen for key, seen in transaction.result.reads):
            return Code.MVCC_READ_CONFLICT
        if any(self.between(item.start, item.end) != item.reads for item in transaction.result.ranges):
            return Code.PHANTOM_READ_CONFLICT
        for key, value in spec.writes.items():
            self.history.setdefault(key, []).append((value, version))
            if value is None:
                self.state.pop(key, None)
            else:
                self.state[key] = (value, version)
        return Code.VALID


def build(plan: Sequence[Sequence[Spec]]) -> tuple[list[SignedBlock], list[list[Code]], Model]:
    """The chain of a plan, every block endorsed on the state behind the one before it; the codes that it must get."""
    model, chain = Model(), PaperChain(PAPER)
    blocks, codes = [], []
    for number, block in enumerate(plan, 1):
        made = [endorse(model, spec) for spec in block]
        blocks.append(chain.next(*made))
        codes.append(
            [model.take(t, spec, Version(number, n)) for n, (t, spec) in enumerate(zip(made, block, strict=True))]
        )
    return blocks, codes, model


def endorse(model: Model, spec: Spec) -> Transaction:
    made = PAPER.transaction(
        spec.writes,
        reads=[Read(key, Version(99, 99) if spec.stale else model.version(key)) for key in spec.reads],
        ranges=[RangeRead(start, end, model.between(start, end)) for start, end in spec.ranges],
        endorsers=["peer1", "peer3"] if spec.endorsed else ["peer2"],
    )
    return made if spec.signed else replace(made, signature=made.endorsements[0].signature)


def in_memory() -> Ledger:
    store = MemoryStore()
    commit_genesis(store, PAPER.genesis)
    return Ledger(PAPER.channel, store)


def commit(ledger: Ledger, blocks: Sequence[SignedBlock], sizes: Sequence[int] = ()) -> list[CommittedBlock]:
    """Commit all blocks, in batches of these sizes and then singly."""
    committer = BlockCommitter(ledger)
    done: list[CommittedBlock] = []
    for size in [*sizes, *([1] * len(blocks))]:
        done += committer.process(blocks[len(done) : len(done) + size])
    return done


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(chains)
def test_is_the_model(plan: list[list[Spec]]) -> None:
    blocks, codes, model = build(plan)
    with tempfile.TemporaryDirectory() as folder, Ledger.create(folder, PAPER.genesis) as ledger:
        done = commit(ledger, blocks)
        assert [list(item.codes) for item in done] == codes
        with ledger.snapshot() as snapshot:
            for key in KEYS:
                found = snapshot.get("kv", key)
                assert (found and (int(found.value), found.version)) == model.state.get(key)
                history = [(entry.value, (entry.block, entry.index)) for entry in snapshot.history("kv", key)]
                assert history == model.history.get(key, [])[::-1]
            listed = [(key, int(value), version) for key, value, version in snapshot.range("kv")]
            assert listed == [(key, *model.state[key]) for key in ORDERED if key in model.state]
        for block in blocks:
            for envelope in block.block.envelopes:
                tx_id = Transaction.parse(envelope).tx_id
                proved = ledger.transaction(tx_id)
                assert proved.envelope == envelope
                assert proved.holds()
        report = verify(ledger)
        assert report.ok, str(report)


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(chains, st.lists(st.integers(1, 4), max_size=4))
def test_how_blocks_are_batched_changes_nothing(plan: list[list[Spec]], sizes: list[int]) -> None:
    blocks, codes, _ = build(plan)
    singly, batched = in_memory(), in_memory()
    one, other = commit(singly, blocks), commit(batched, blocks, sizes)
    assert one == other
    assert [list(item.codes) for item in one] == codes
    for table in ("state", "history", "transactions", "blocks", "metadata", "index", "meta"):
        with singly.store.reader() as left, batched.store.reader() as right:
            assert list(left.scan(table, b"", b"\xff" * 512)) == list(right.scan(table, b"", b"\xff" * 512))  # type: ignore[arg-type]


@settings(max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(specs, min_size=1, max_size=8), st.randoms(use_true_random=False), st.integers(1, 5))
def test_the_order_of_signature_checks_changes_nothing(block: list[Spec], order: random.Random, share: int) -> None:
    (signed,), codes, _ = build([block])

    def shuffled(checks: Sequence[SignatureCheck]) -> list[bool]:
        places = list(range(len(checks)))
        order.shuffle(places)
        outcomes: dict[int, bool] = {}
        for start in range(0, len(places), share):
            some = places[start : start + share]
            outcomes.update(zip(some, verify_one_by_one([checks[place] for place in some]), strict=True))
        return [outcomes[place] for place in range(len(checks))]

    with in_memory().snapshot() as reads:
        (judged,) = validate([signed.block], config=PAPER.config, reads=reads, verify_many=shuffled)
        assert [judged.codes] == codes

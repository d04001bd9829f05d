"""Which blocks the committer takes, how many at once, and what a new configuration changes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from gridledger.errors import MalformedMessage
from gridledger.ledger import (
    BlockRejected,
    Ledger,
)
from gridledger.ledger import committer as module
from gridledger.ledger.committer import BlockCommitter, verify_in_pool
from gridledger.ledger.errors import HeadMoved
from gridledger.ledger.verify import verify
from gridledger.protocol.block import ZERO_HASH, Block, HeaderSignature, SignedBlock
from gridledger.protocol.codes import TxValidationCode as Code
from gridledger.protocol.config import ChaincodeDefinition
from gridledger.protocol.errors import CapabilityUnknown
from gridledger.protocol.result import Event
from tests.support.paper import NOW_US, PaperChain, PaperNetwork, PaperOrganisation, signed_block


class TestChain:
    def test_blocks_that_do_not_continue(
        self, paper: PaperNetwork, chain: PaperChain, committer: BlockCommitter
    ) -> None:
        good = chain.next(paper.transaction({"a": 1}))
        header = good.block.header
        orderer = paper.orderers["orderer1"]
        parts = {
            "channel": header.channel,
            "number": 1,
            "previous_hash": header.previous_hash,
            "timestamp_us": header.timestamp_us,
            "envelopes": good.block.envelopes,
        }

        def changed(**changes: object) -> SignedBlock:
            return signed_block(Block.build(**{**parts, **changes}), orderer)  # type: ignore[arg-type]

        stranger = PaperOrganisation("OrdererMSP").issue("orderer1", "orderer")
        for bad in (
            changed(channel="shard2"),
            changed(number=2),
            changed(number=0),
            changed(previous_hash=ZERO_HASH),
            changed(timestamp_us=NOW_US - 1),
            signed_block(Block(header, (*good.block.envelopes, b"more")), orderer),
            SignedBlock(good.block, HeaderSignature(good.signature.orderer, b"rubbish")),
            signed_block(good.block, stranger),
            signed_block(good.block, paper.client),
            SignedBlock(changed(timestamp_us=NOW_US + 7).block, good.signature),
        ):
            with pytest.raises(BlockRejected):
                committer.process([bad])
            assert committer.ledger.height == 1
        assert committer.process([good])[0].number == 1
        assert committer.process([]) == []

    def test_a_bad_block_behind_good_ones_waits_its_turn(
        self, paper: PaperNetwork, chain: PaperChain, committer: BlockCommitter
    ) -> None:
        first, second, third = (chain.next(paper.transaction({"a": n})) for n in range(3))
        forged = SignedBlock(second.block, HeaderSignature(second.signature.orderer, b"rubbish"))
        hollow = SignedBlock(Block(third.block.header, ()), third.signature)
        assert [item.number for item in committer.process([first, forged, third])] == [1]
        with pytest.raises(BlockRejected, match="not signed"):
            committer.process([forged, third])
        assert [item.number for item in committer.process([second, hollow])] == [2]
        with pytest.raises(BlockRejected, match="not those in its header"):
            committer.process([hollow])
        assert [item.number for item in committer.process([third])] == [3]

    def test_an_empty_block(self, chain: PaperChain, committer: BlockCommitter) -> None:
        (committed,) = committer.process([chain.next()])
        assert (committed.codes, committer.ledger.height) == ((), 2)
        assert verify(committer.ledger).ok

    def test_as_delivered(self, paper: PaperNetwork, chain: PaperChain) -> None:
        block = chain.next(paper.transaction({"a": 1}))
        assert SignedBlock.from_bytes(block.to_bytes()) == block
        with pytest.raises(MalformedMessage):
            SignedBlock.from_bytes(b"")

    def test_a_second_committer_is_refused(
        self, paper: PaperNetwork, chain: PaperChain, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        committer = BlockCommitter(ledger)
        block = chain.next(paper.transaction({"a": 1}))
        write = ledger.store.commit

        def beaten(batch: object) -> None:
            monkeypatch.setattr(ledger.store, "commit", write)
            BlockCommitter(ledger).process([block])
            write(batch)  # type: ignore[arg-type]

        monkeypatch.setattr(ledger.store, "commit", beaten)
        with pytest.raises(HeadMoved):
            committer.process([block])
        assert ledger.height == 2


class TestBatches:
    def test_are_bounded_in_blocks(self, paper: PaperNetwork, chain: PaperChain, committer: BlockCommitter) -> None:
        blocks = [chain.next() for _ in range(module.MAX_BLOCKS_PER_COMMIT + 3)]
        assert len(committer.process(blocks)) == module.MAX_BLOCKS_PER_COMMIT
        assert len(committer.process(blocks[module.MAX_BLOCKS_PER_COMMIT :])) == 3

    def test_are_bounded_in_bytes(
        self, paper: PaperNetwork, chain: PaperChain, committer: BlockCommitter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "MAX_BYTES_PER_COMMIT", 5000)
        blocks = [chain.next(paper.transaction({"a": "x" * 2000})) for _ in range(3)]
        assert [len(committer.process(blocks[n:])) for n in range(3)] == [1, 1, 1]

    def test_a_config_block_is_committed_alone(
        self, paper: PaperNetwork, chain: PaperChain, committer: BlockCommitter
    ) -> None:
        blocks = [chain.next(paper.transaction({"a": 1})) for _ in range(2)]
        blocks.append(chain.next(paper.update(limits=paper.config.limits)))
        blocks += [chain.next(paper.transaction({"a": 1})) for _ in range(2)]
        counts = []
        while blocks:
            done = committer.process(blocks)
            counts.append(len(done))
            blocks = blocks[len(done) :]
        assert counts == [2, 1, 2]
        assert committer.ledger.head.config_block == 3

    def test_signatures_may_be_checked_in_threads(self, paper: PaperNetwork, chain: PaperChain, ledger: Ledger) -> None:
        with ThreadPoolExecutor(3) as pool:
            committer = BlockCommitter(ledger, verify_many=verify_in_pool(pool, 3))
            good, forged = paper.transaction({"a": 1}), paper.transaction({"b": 1})
            (done,) = committer.process([chain.next(good, replace(forged, signature=good.signature), good)])
        assert done.codes == (Code.VALID, Code.BAD_CREATOR_SIGNATURE, Code.DUPLICATE_TXID)


class TestConfig:
    def test_holds_for_what_follows(self, paper: PaperNetwork, chain: PaperChain, committer: BlockCommitter) -> None:
        stricter = {"kv": ChaincodeDefinition("kv", 2, "1.0", "0" * 64, "OutOf(3, all)")}
        update = paper.update(chaincodes=stricter)
        (done,) = committer.process([chain.next(update)])
        assert (done.codes, done.config_changed, done.tx_ids) == ((Code.VALID,), True, (update.tx_id,))
        assert committer.ledger.config() == update.config
        with Ledger.open(committer.ledger.store.folder.parent, "shard1", readonly=True) as other:  # type: ignore[attr-defined]
            assert other.config() == update.config
        two, three = (
            paper.transaction({"a": 1}, proposal=paper.proposal(sequence=2), endorsers=names)
            for names in (["peer1", "peer2"], ["peer1", "peer2", "peer3"])
        )
        assert committer.process([chain.next(two, three)])[0].codes == (Code.ENDORSEMENT_POLICY_FAILURE, Code.VALID)
        assert verify(committer.ledger).ok

    def test_an_update_that_this_version_cannot_judge_is_given_no_code(
        self, paper: PaperNetwork, chain: PaperChain, committer: BlockCommitter
    ) -> None:
        update = paper.update(capabilities=("V1", "V2"))
        with pytest.raises(CapabilityUnknown):
            committer.process([chain.next(update)])
        assert committer.ledger.height == 1

    def test_a_member_who_leaves(self, paper: PaperNetwork, chain: PaperChain, committer: BlockCommitter) -> None:
        config = paper.config
        left = config.with_organisations(
            {name: item for name, item in config.organisations.items() if name != "Org3MSP"}
        )
        update = paper.update(
            organisations=left.organisations, peers=left.peers, removed_organisations=left.removed_organisations
        )
        committer.process([chain.next(update)])
        theirs = paper.transaction({"a": 1}, client=paper.clients["Org3MSP"])
        endorsed = paper.transaction({"a": 1}, endorsers=["peer1", "peer3"])
        (done,) = committer.process([chain.next(theirs, endorsed, paper.transaction({"a": 1}))])
        assert done.codes == (Code.BAD_CREATOR_SIGNATURE, Code.ENDORSEMENT_POLICY_FAILURE, Code.VALID)

    def test_that_does_not_follow_changes_nothing(
        self, paper: PaperNetwork, chain: PaperChain, committer: BlockCommitter
    ) -> None:
        for bad in (
            paper.update(sequence=3),
            paper.update(channel="shard2"),
            paper.update([paper.admins["Org1MSP"]]),
            paper.update([paper.client, *paper.peers.values()]),
        ):
            (done,) = committer.process([chain.next(bad)])
            assert (done.codes, done.config_changed) == ((Code.INVALID_CONFIG_TRANSACTION,), False)
        good = paper.update()
        assert committer.process([chain.next(good)])[0].codes == (Code.VALID,)
        assert committer.process([chain.next(good)])[0].codes == (Code.INVALID_CONFIG_TRANSACTION,)
        status = committer.ledger.status(good.tx_id)
        assert status is not None
        assert status.code is Code.VALID
        assert verify(committer.ledger).ok

    def test_too_few_signatures_first_and_enough_later(
        self, paper: PaperNetwork, chain: PaperChain, committer: BlockCommitter
    ) -> None:
        few, enough = paper.update([paper.admins["Org1MSP"]]), paper.update()
        assert few.tx_id == enough.tx_id
        committer.process([chain.next(few)])
        committer.process([chain.next(enough)])
        status = committer.ledger.status(enough.tx_id)
        assert status is not None
        assert (status.code, status.block) == (Code.VALID, 2)
        assert verify(committer.ledger).ok


def test_events_of_valid_transactions_are_told(
    paper: PaperNetwork, chain: PaperChain, committer: BlockCommitter
) -> None:
    with_event = paper.transaction({"a": 1}, event=Event("ControlAction", {"bus": 3}))
    invalid = paper.transaction({"a": 1}, event=Event("ControlAction", {}), endorsers=["peer1"])
    (done,) = committer.process([chain.next(invalid, with_event, paper.transaction({"b": 1}))])
    (event,) = done.events
    assert (event.block, event.index, event.tx_id) == (1, 1, with_event.tx_id)
    assert (event.chaincode, event.name, event.payload) == ("kv", "ControlAction", {"bus": 3})

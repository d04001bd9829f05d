"""Which blocks the committer takes, how many at once, and what a new configuration changes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from gridledger.errors import MalformedMessage, SettingsError
from gridledger.ledger import (
    BlockMissing,
    BlockRejected,
    Ledger,
    LedgerExists,
    LedgerMissing,
    TransactionMissing,
)
from gridledger.ledger import committer as module
from gridledger.ledger.committer import BlockCommitter, verify_in_pool
from gridledger.ledger.errors import HeadMoved
from gridledger.ledger.lmdb_store import LmdbStore
from gridledger.ledger.verify import verify
from gridledger.protocol.block import ZERO_HASH, Block, HeaderSignature, SignedBlock
from gridledger.protocol.codes import TxValidationCode as Code
from gridledger.protocol.config import ChaincodeDefinition
from gridledger.protocol.result import Event
from tests.support.channel import START_US, Authority, Chain, Channel


class TestCreate:
    def test_twice_is_the_same_ledger(self, tmp_path: Path, channel: Channel) -> None:
        with Ledger.create(tmp_path, channel.genesis) as ledger:
            head = ledger.head
        with Ledger.create(tmp_path, channel.genesis) as ledger:
            assert ledger.head == head
            assert ledger.height == 1
            assert ledger.config() == channel.config
        assert head.header_hash == channel.genesis.header.hash

    def test_another_block_0_is_refused(self, tmp_path: Path, channel: Channel) -> None:
        Ledger.create(tmp_path, channel.genesis).close()
        with pytest.raises(LedgerExists, match="earlier network"):
            Ledger.create(tmp_path, Channel.make().genesis)

    def test_what_is_no_block_0(self, tmp_path: Path, channel: Channel) -> None:
        good = channel.genesis
        rebuilt = {"channel": "shard1", "number": 0, "previous_hash": ZERO_HASH, "timestamp_us": START_US}
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

    def test_cut_short(self, tmp_path: Path, channel: Channel) -> None:
        """Killed between making the files and committing block 0: as if nothing had been."""
        LmdbStore(tmp_path / "shard1").close()
        with pytest.raises(LedgerMissing, match="no block 0"):
            Ledger.open(tmp_path, "shard1")
        with Ledger.create(tmp_path, channel.genesis) as ledger:
            assert ledger.height == 1

    def test_opening_what_is_not_there(self, tmp_path: Path) -> None:
        for readonly in (False, True):
            with pytest.raises(LedgerMissing):
                Ledger.open(tmp_path, "shard1", readonly=readonly)
        for name in ("", "../x", ".hidden", "a/b", "a\0b"):
            with pytest.raises(SettingsError):
                Ledger.open(tmp_path, name)
        assert list(tmp_path.iterdir()) == []


class TestChain:
    def test_blocks_that_do_not_continue(self, channel: Channel, chain: Chain, committer: BlockCommitter) -> None:
        good = chain.next(channel.transaction({"a": 1}))
        header = good.block.header
        sign = channel.sign_block
        parts = {
            "channel": header.channel,
            "number": 1,
            "previous_hash": header.previous_hash,
            "timestamp_us": header.timestamp_us,
            "envelopes": good.block.envelopes,
        }

        def changed(**changes: object) -> SignedBlock:
            return sign(Block.build(**{**parts, **changes}))  # type: ignore[arg-type]

        stranger = Authority("OrdererMSP").issue("orderer1", "orderer")
        client = channel.client
        for bad in (
            changed(channel="shard2"),
            changed(number=2),
            changed(number=0),
            changed(previous_hash=ZERO_HASH),
            changed(timestamp_us=START_US - 1),
            sign(Block(header, (*good.block.envelopes, b"more"))),
            SignedBlock(good.block, HeaderSignature(good.signature.orderer, b"rubbish")),
            SignedBlock(good.block, HeaderSignature(stranger.fingerprint, stranger.sign(header.text.encode()))),
            SignedBlock(good.block, HeaderSignature(client.fingerprint, client.sign(header.text.encode()))),
            SignedBlock(changed(timestamp_us=START_US + 7).block, good.signature),
        ):
            with pytest.raises(BlockRejected):
                committer.process([bad])
            assert committer.ledger.height == 1
        assert committer.process([good])[0].number == 1
        assert committer.process([]) == []

    def test_a_bad_block_behind_good_ones_waits_its_turn(
        self, channel: Channel, chain: Chain, committer: BlockCommitter
    ) -> None:
        first, second, third = (chain.next(channel.transaction({"a": n})) for n in range(3))
        forged = SignedBlock(second.block, HeaderSignature(second.signature.orderer, b"rubbish"))
        hollow = SignedBlock(Block(third.block.header, ()), third.signature)
        assert [item.number for item in committer.process([first, forged, third])] == [1]
        with pytest.raises(BlockRejected, match="not signed"):
            committer.process([forged, third])
        assert [item.number for item in committer.process([second, hollow])] == [2]
        with pytest.raises(BlockRejected, match="not those in its header"):
            committer.process([hollow])
        assert [item.number for item in committer.process([third])] == [3]

    def test_an_empty_block(self, chain: Chain, committer: BlockCommitter) -> None:
        (committed,) = committer.process([chain.next()])
        assert (committed.codes, committer.ledger.height) == ((), 2)
        assert verify(committer.ledger).ok

    def test_as_delivered(self, channel: Channel, chain: Chain) -> None:
        block = chain.next(channel.transaction({"a": 1}))
        assert SignedBlock.from_bytes(block.to_bytes()) == block
        with pytest.raises(MalformedMessage):
            SignedBlock.from_bytes(b"")

    def test_a_second_committer_is_refused(
        self, channel: Channel, chain: Chain, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        committer = BlockCommitter(ledger)
        block = chain.next(channel.transaction({"a": 1}))
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
    def test_are_bounded_in_blocks(self, channel: Channel, chain: Chain, committer: BlockCommitter) -> None:
        blocks = [chain.next() for _ in range(module.MAX_BLOCKS_PER_COMMIT + 3)]
        assert len(committer.process(blocks)) == module.MAX_BLOCKS_PER_COMMIT
        assert len(committer.process(blocks[module.MAX_BLOCKS_PER_COMMIT :])) == 3

    def test_are_bounded_in_bytes(
        self, channel: Channel, chain: Chain, committer: BlockCommitter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "MAX_BYTES_PER_COMMIT", 5000)
        blocks = [chain.next(channel.transaction({"a": "x" * 2000})) for _ in range(3)]
        assert [len(committer.process(blocks[n:])) for n in range(3)] == [1, 1, 1]

    def test_a_config_block_is_committed_alone(self, channel: Channel, chain: Chain, committer: BlockCommitter) -> None:
        blocks = [chain.next(channel.transaction({"a": 1})) for _ in range(2)]
        blocks.append(chain.next(channel.update(limits=channel.config.limits)))
        blocks += [chain.next(channel.transaction({"a": 1})) for _ in range(2)]
        counts = []
        while blocks:
            done = committer.process(blocks)
            counts.append(len(done))
            blocks = blocks[len(done) :]
        assert counts == [2, 1, 2]
        assert committer.ledger.head.config_block == 3

    def test_signatures_may_be_checked_in_threads(self, channel: Channel, chain: Chain, ledger: Ledger) -> None:
        with ThreadPoolExecutor(3) as pool:
            committer = BlockCommitter(ledger, verify_many=verify_in_pool(pool, 3))
            good, forged = channel.transaction({"a": 1}), channel.transaction({"b": 1})
            (done,) = committer.process([chain.next(good, replace(forged, signature=good.signature), good)])
        assert done.codes == (Code.VALID, Code.BAD_CREATOR_SIGNATURE, Code.DUPLICATE_TXID)


class TestConfig:
    def test_holds_for_what_follows(self, channel: Channel, chain: Chain, committer: BlockCommitter) -> None:
        stricter = {"kv": ChaincodeDefinition("kv", 2, "1.0", "0" * 64, "OutOf(3, all)")}
        update = channel.update(chaincodes=stricter)
        (done,) = committer.process([chain.next(update)])
        assert (done.codes, done.config_changed, done.tx_ids) == ((Code.VALID,), True, (update.tx_id,))
        assert committer.ledger.config() == update.config
        with Ledger.open(committer.ledger.store.folder.parent, "shard1", readonly=True) as other:  # type: ignore[attr-defined]
            assert other.config() == update.config
        two, three = (
            channel.transaction({"a": 1}, proposal=channel.proposal(sequence=2), endorsers=names)
            for names in (["peer1", "peer2"], ["peer1", "peer2", "peer3"])
        )
        assert committer.process([chain.next(two, three)])[0].codes == (Code.ENDORSEMENT_POLICY_FAILURE, Code.VALID)
        assert verify(committer.ledger).ok

    def test_a_member_who_leaves(self, channel: Channel, chain: Chain, committer: BlockCommitter) -> None:
        config = channel.config
        update = channel.update(
            organisations={name: item for name, item in config.organisations.items() if name != "Org3MSP"},
            peers={name: item for name, item in config.peers.items() if name != "peer3"},
        )
        committer.process([chain.next(update)])
        theirs = channel.transaction({"a": 1}, client=channel.authorities["Org3MSP"].issue("client", "client"))
        endorsed = channel.transaction({"a": 1}, endorsers=["peer1", "peer3"])
        (done,) = committer.process([chain.next(theirs, endorsed, channel.transaction({"a": 1}))])
        assert done.codes == (Code.BAD_CREATOR_SIGNATURE, Code.ENDORSEMENT_POLICY_FAILURE, Code.VALID)

    def test_that_does_not_follow_changes_nothing(
        self, channel: Channel, chain: Chain, committer: BlockCommitter
    ) -> None:
        for bad in (
            channel.update(sequence=3),
            channel.update(channel="shard2"),
            channel.update(channel.admins[:1]),
            channel.update([channel.client, *channel.peers.values()]),
        ):
            (done,) = committer.process([chain.next(bad)])
            assert (done.codes, done.config_changed) == ((Code.INVALID_CONFIG_TRANSACTION,), False)
        good = channel.update()
        assert committer.process([chain.next(good)])[0].codes == (Code.VALID,)
        assert committer.process([chain.next(good)])[0].codes == (Code.INVALID_CONFIG_TRANSACTION,)
        status = committer.ledger.status(good.tx_id)
        assert status is not None
        assert status.code is Code.VALID
        assert verify(committer.ledger).ok

    def test_too_few_signatures_first_and_enough_later(
        self, channel: Channel, chain: Chain, committer: BlockCommitter
    ) -> None:
        few, enough = channel.update(channel.admins[:1]), channel.update()
        assert few.tx_id == enough.tx_id
        committer.process([chain.next(few)])
        committer.process([chain.next(enough)])
        status = committer.ledger.status(enough.tx_id)
        assert status is not None
        assert (status.code, status.block) == (Code.VALID, 2)
        assert verify(committer.ledger).ok


class TestAnswers:
    def test_events(self, channel: Channel, chain: Chain, committer: BlockCommitter) -> None:
        with_event = channel.transaction({"a": 1}, event=Event("ControlAction", {"bus": 3}))
        invalid = channel.transaction({"a": 1}, event=Event("ControlAction", {}), endorsers=["peer1"])
        (done,) = committer.process([chain.next(invalid, with_event, channel.transaction({"b": 1}))])
        (event,) = done.events
        assert (event.block, event.index, event.tx_id) == (1, 1, with_event.tx_id)
        assert (event.chaincode, event.name, event.payload) == ("kv", "ControlAction", {"bus": 3})

    def test_blocks_transactions_and_proofs(self, channel: Channel, chain: Chain, committer: BlockCommitter) -> None:
        made = [channel.transaction({f"k{n}": "x" * n * 300}) for n in range(7)]
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
            record = ledger.transaction(transaction.tx_id)
            assert (record.block, record.index, record.envelope) == (1, index, transaction.to_bytes())
            proof = ledger.proof(transaction.tx_id)
            assert proof.holds()
            assert proof.header == block.block.header
            assert not replace(proof, envelope=made[index - 1].to_bytes()).holds()

    def test_what_is_not_there(self, committer: BlockCommitter) -> None:
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
            with pytest.raises(TransactionMissing):
                ledger.proof(tx_id)

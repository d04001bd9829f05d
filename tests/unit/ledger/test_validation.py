"""Each code and when it is given: one table, judged through the committer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from gridledger.ledger import Ledger
from gridledger.ledger.committer import BlockCommitter
from gridledger.ledger.verify import verify
from gridledger.protocol.codes import TxValidationCode as Code
from gridledger.protocol.config import ChaincodeDefinition
from gridledger.protocol.fields import to_base64
from gridledger.protocol.result import Endorsement, RangeRead, Read, Response, Version
from tests.support.channel import BORN, DAY_US, START_US, Authority, Chain, Channel

Make = Callable[[Channel], bytes]


def valid(c: Channel) -> bytes:
    return c.transaction({"a": 1}).to_bytes()


def tampered_result(c: Channel) -> bytes:
    """The client signs another result than the peers endorsed."""
    made = c.transaction({"a": 1})
    other = c.transaction({"a": 2}, proposal=made.proposal)
    return c.signed(made.proposal, other.result, made.endorsements).to_bytes()


def tampered_after_signing(c: Channel) -> bytes:
    made = c.transaction({"a": 1})
    return replace(made, result=c.transaction({"a": 2}, proposal=made.proposal).result).to_bytes()


def moved_endorsement(c: Channel) -> bytes:
    """Endorsements and result of one proposal under another one."""
    made = c.transaction({"a": 1})
    return c.signed(c.proposal(), made.result, made.endorsements).to_bytes()


def moved_signatures(c: Channel) -> bytes:
    """Endorsements of another proposal's result, over a result rewritten to fit."""
    made, other = c.transaction({"a": 1}), c.transaction({"a": 1})
    return c.signed(made.proposal, made.result, other.endorsements).to_bytes()


def forged_endorsement(c: Channel) -> bytes:
    """One peer signs in another's name."""
    made = c.transaction({"a": 1}, endorsers=["peer1"])
    forged = Endorsement(c.peers["peer2"].fingerprint, c.endorsement("peer1", made.result).signature)
    return c.signed(made.proposal, made.result, [*made.endorsements, forged]).to_bytes()


def same_peer_twice(c: Channel) -> bytes:
    return c.transaction({"a": 1}, endorsers=["peer1", "peer1"]).to_bytes()


def endorsed_by_client(c: Channel) -> bytes:
    """A member who is no peer of the channel signs as one."""
    c.peers["outsider"] = c.authorities["Org2MSP"].issue("peer9", "peer")
    return c.transaction({"a": 1}, endorsers=["peer1", "outsider"]).to_bytes()


def foreign_client(c: Channel) -> bytes:
    return c.transaction({"a": 1}, client=Authority("Org1MSP").issue("aggregator", "client")).to_bytes()


def expired_client(c: Channel) -> bytes:
    days = (START_US // 1_000_000 - int(BORN.timestamp())) // 86_400 - 1
    return c.transaction({"a": 1}, client=c.authorities["Org1MSP"].issue("late", "client", days=days)).to_bytes()


def no_certificate(c: Channel) -> bytes:
    return c.transaction({"a": 1}, proposal=c.proposal(creator=to_base64(b"nobody"))).to_bytes()


def other_client_signs(c: Channel) -> bytes:
    stranger = c.authorities["Org1MSP"].issue("other", "client")
    return c.transaction({"a": 1}, proposal=c.proposal(), client=stranger).to_bytes()


def other_channel(c: Channel) -> bytes:
    return c.transaction({"a": 1}, proposal=c.proposal(channel="shard2")).to_bytes()


def refusal(c: Channel) -> bytes:
    return c.transaction(response=Response(400, "no", None)).to_bytes()


def with_garbage_behind(c: Channel) -> bytes:
    return valid(c) + b"{}"


def name_twice(c: Channel) -> bytes:
    return valid(c)[:-1] + b',"signature":"AAAA"}'


def unknown_member(c: Channel) -> bytes:
    return valid(c)[:-1] + b',"more":1}'


TABLE: list[tuple[Make, Code]] = [
    (valid, Code.VALID),
    (lambda _: b"", Code.NIL_ENVELOPE),
    (lambda _: b"no transaction", Code.BAD_PAYLOAD),
    (with_garbage_behind, Code.BAD_PAYLOAD),
    (name_twice, Code.BAD_PAYLOAD),
    (unknown_member, Code.BAD_PAYLOAD),
    (lambda _: b'{"config_update":"{}"}', Code.BAD_PAYLOAD),
    (tampered_after_signing, Code.BAD_CREATOR_SIGNATURE),
    (foreign_client, Code.BAD_CREATOR_SIGNATURE),
    (expired_client, Code.BAD_CREATOR_SIGNATURE),
    (no_certificate, Code.BAD_CREATOR_SIGNATURE),
    (other_client_signs, Code.BAD_CREATOR_SIGNATURE),
    (other_channel, Code.TARGET_CHAIN_NOT_FOUND),
    (moved_endorsement, Code.INVALID_ENDORSER_TRANSACTION),
    (lambda c: c.transaction({"a": 1}, result={"channel": "x"}).to_bytes(), Code.INVALID_ENDORSER_TRANSACTION),
    (lambda c: c.transaction({"a": 1}, result={"chaincode": "x"}).to_bytes(), Code.INVALID_ENDORSER_TRANSACTION),
    (lambda c: c.transaction({"a": 1}, result={"sequence": 2}).to_bytes(), Code.INVALID_ENDORSER_TRANSACTION),
    (lambda c: c.transaction(proposal=c.proposal(chaincode="x")).to_bytes(), Code.INVALID_CHAINCODE),
    (lambda c: c.transaction(proposal=c.proposal(sequence=2)).to_bytes(), Code.CHAINCODE_VERSION_CONFLICT),
    (refusal, Code.BAD_RESPONSE_PAYLOAD),
    (tampered_result, Code.ENDORSEMENT_POLICY_FAILURE),
    (moved_signatures, Code.ENDORSEMENT_POLICY_FAILURE),
    (forged_endorsement, Code.ENDORSEMENT_POLICY_FAILURE),
    (same_peer_twice, Code.ENDORSEMENT_POLICY_FAILURE),
    (endorsed_by_client, Code.ENDORSEMENT_POLICY_FAILURE),
    (lambda c: c.transaction({"a": 1}, endorsers=()).to_bytes(), Code.ENDORSEMENT_POLICY_FAILURE),
    (lambda c: c.transaction({"a": 1}, reads=[Read("a", Version(1, 0))]).to_bytes(), Code.MVCC_READ_CONFLICT),
    (
        lambda c: c.transaction(ranges=[RangeRead("a", "", (Read("a", Version(0, 0)),))]).to_bytes(),
        Code.PHANTOM_READ_CONFLICT,
    ),
    (lambda c: c.update().to_bytes(), Code.INVALID_CONFIG_TRANSACTION),
]


@pytest.mark.parametrize(("make", "code"), TABLE, ids=[f"{n}-{item[1].name}" for n, item in enumerate(TABLE)])
def test_code(channel: Channel, chain: Chain, committer: BlockCommitter, make: Make, code: Code) -> None:
    # Next to a valid transaction that touches nothing of it: a fault stays with the transaction that has it.
    (committed,) = committer.process([chain.next(make(channel), channel.transaction({"z": 0}))])
    assert committed.codes == (code, Code.VALID)
    assert committed.tx_ids[1]
    with committer.ledger.snapshot() as snapshot:
        assert (snapshot.get("kv", "a") is not None) == (make is valid)
    report = verify(committer.ledger)
    assert report.ok, str(report)


def test_an_older_definition_is_expired(channel: Channel, chain: Chain, committer: BlockCommitter) -> None:
    before = channel.transaction({"a": 1})
    upgrade = channel.update(chaincodes={"kv": ChaincodeDefinition("kv", 2, "2.0", "1" * 64, "OutOf(2, all)")})
    committer.process([chain.next(upgrade)])
    after = channel.transaction({"a": 2}, proposal=channel.proposal(sequence=2))
    (committed,) = committer.process([chain.next(before, after)])
    assert committed.codes == (Code.EXPIRED_CHAINCODE, Code.VALID)


class TestConflicts:
    """Reads against what is committed, and against earlier transactions of the same block and batch."""

    def codes(self, committer: BlockCommitter, chain: Chain, *blocks: Sequence[object]) -> list[list[str]]:
        signed = [chain.next(*envelopes) for envelopes in blocks]  # type: ignore[arg-type]
        return [[code.name for code in item.codes] for item in committer.process(signed)]

    def test_a_key_written_earlier_in_the_block(
        self, channel: Channel, chain: Chain, committer: BlockCommitter
    ) -> None:
        t = channel.transaction
        first = [t({"a": 1}), t({"b": 1}, reads=[Read("a", None)]), t({"c": 1}, reads=[Read("b", None)])]
        assert self.codes(committer, chain, first) == [["VALID", "MVCC_READ_CONFLICT", "VALID"]]

    def test_a_version_from_an_earlier_block_of_the_batch(
        self, channel: Channel, chain: Chain, committer: BlockCommitter
    ) -> None:
        t = channel.transaction
        blocks: Sequence[Sequence[object]] = [
            [t({"a": 1, "b": 1})],
            [t({"a": 2}, reads=[Read("a", Version(1, 0))]), t({"a": 3}, reads=[Read("a", Version(1, 0))])],
            [t({"b": None}, reads=[Read("b", Version(1, 0))]), t({"b": 2}, reads=[Read("b", None)])],
            [t({"c": 1}, reads=[Read("a", Version(2, 0)), Read("b", Version(3, 1))])],
        ]
        assert self.codes(committer, chain, *blocks) == [
            ["VALID"],
            ["VALID", "MVCC_READ_CONFLICT"],
            ["VALID", "VALID"],
            ["VALID"],
        ]

    def test_blind_writes_never_conflict(self, channel: Channel, chain: Chain, committer: BlockCommitter) -> None:
        t = channel.transaction
        assert self.codes(committer, chain, [t({"a": 1}), t({"a": 2}), t({"a": None})]) == [["VALID"] * 3]
        with committer.ledger.snapshot() as snapshot:
            assert snapshot.get("kv", "a") is None

    def test_a_range_with_a_new_a_changed_and_a_lost_key(
        self, channel: Channel, chain: Chain, committer: BlockCommitter
    ) -> None:
        t = channel.transaction
        at = Version(1, 0)
        seen = [RangeRead("k", "m", (Read("k1", at), Read("k3", at)))]
        blocks: Sequence[Sequence[object]] = [
            [t({"k1": 1, "k3": 1, "z": 1})],
            [
                t(ranges=seen),
                t({"z": 2, "m": 1}),
                t(ranges=seen),
                t({"k2": 1}),
                t(ranges=seen),
                t({"k2": None}),
                t(ranges=seen),
                t({"k3": 2}),
                t(ranges=seen),
                t({"k3": None}),
                t(ranges=seen),
                t(ranges=[RangeRead("k", "m", (Read("k1", at),))]),
                t(ranges=[RangeRead("k", "k2", (Read("k1", at),))]),
            ],
        ]
        phantom, good = "PHANTOM_READ_CONFLICT", "VALID"
        assert self.codes(committer, chain, *blocks)[1] == [
            *(good, good, good, good, phantom, good, good, good, phantom, good, phantom, good, good)
        ]

    def test_a_range_without_an_end_stays_in_its_namespace(
        self, channel: Channel, chain: Chain, committer: BlockCommitter
    ) -> None:
        two = dict(channel.config.chaincodes) | {"kw": ChaincodeDefinition("kw", 1, "1", "1" * 64, "OutOf(2, all)")}
        committer.process([chain.next(channel.update(chaincodes=two))])
        t = channel.transaction
        other = t({"a": 1}, proposal=channel.proposal(chaincode="kw"))
        everything = RangeRead("", "", (Read("b", Version(2, 1)),))
        blocks: Sequence[Sequence[object]] = [[other, t({"b": 1}), t(ranges=[everything])], [t(ranges=[everything])]]
        assert self.codes(committer, chain, *blocks) == [["VALID"] * 3, ["VALID"]]


class TestIds:
    """A transaction id belongs to the first transaction that its client has sent."""

    def test_the_same_envelope_again(self, channel: Channel, chain: Chain, committer: BlockCommitter) -> None:
        made = channel.transaction({"a": 1})
        first, second, third = committer.process([chain.next(made, made), chain.next(made), chain.next(made)])
        assert first.codes == (Code.VALID, Code.DUPLICATE_TXID)
        assert second.codes == third.codes == (Code.DUPLICATE_TXID,)
        assert committer.process([chain.next(made)])[0].codes == (Code.DUPLICATE_TXID,)
        status = committer.ledger.status(made.tx_id)
        assert status is not None
        assert (status.code, status.block) == (Code.VALID, 1)
        assert status.commit_hash == first.commit_hash
        assert committer.ledger.transaction(made.tx_id).index == 0

    def test_an_invalid_transaction_of_the_client_uses_the_id_up(
        self, channel: Channel, chain: Chain, committer: BlockCommitter
    ) -> None:
        proposal = channel.proposal()
        bad = channel.transaction({"a": 1}, proposal=proposal, endorsers=["peer1"])
        committer.process([chain.next(bad)])
        assert committer.process([chain.next(channel.transaction({"a": 1}, proposal=proposal))])[0].codes == (
            Code.DUPLICATE_TXID,
        )

    def test_rubbish_of_a_stranger_does_not(
        self, channel: Channel, chain: Chain, committer: BlockCommitter, ledger: Ledger
    ) -> None:
        made = channel.transaction({"a": 1})
        rubbish = replace(made, signature=b"rubbish")
        (first,) = committer.process([chain.next(rubbish, rubbish)])
        assert first.codes == (Code.BAD_CREATOR_SIGNATURE,) * 2
        record = ledger.transaction(made.tx_id)
        assert (record.code, record.index) == (Code.BAD_CREATOR_SIGNATURE, 0)
        (second, third) = committer.process([chain.next(rubbish, made, rubbish), chain.next(rubbish)])
        assert second.codes == (Code.BAD_CREATOR_SIGNATURE, Code.VALID, Code.BAD_CREATOR_SIGNATURE)
        assert third.codes == (Code.BAD_CREATOR_SIGNATURE,)
        record = ledger.transaction(made.tx_id)
        assert (record.code, record.block, record.index) == (Code.VALID, 2, 1)
        assert verify(ledger).ok


class TestDates:
    """Certificates are judged at the block's timestamp."""

    def test_a_client_whose_certificate_runs_out(
        self, channel: Channel, chain: Chain, committer: BlockCommitter
    ) -> None:
        days = (START_US // 1_000_000 - int(BORN.timestamp())) // 86_400 + 2
        client = channel.authorities["Org1MSP"].issue("brief", "client", days=days)
        before, after = (channel.transaction({"a": n}, client=client) for n in range(2))
        done = committer.process([chain.next(before), chain.next(after, after_us=3 * DAY_US)])
        assert [item.codes[0] for item in done] == [Code.VALID, Code.BAD_CREATOR_SIGNATURE]
        assert verify(committer.ledger).ok

    def test_a_peer_whose_certificate_runs_out(self, tmp_path: object) -> None:
        channel = Channel.make(policy="OutOf(2, all)")
        days = (START_US // 1_000_000 - int(BORN.timestamp())) // 86_400 + 2
        brief = channel.authorities["Org2MSP"].issue("peer2", "peer", days=days)
        peers = dict(channel.config.peers)
        peers["peer2"] = replace(peers["peer2"], certificate=brief.certificate)
        channel.peers["peer2"], channel.config = brief, replace(channel.config, peers=peers)
        chain = Chain(channel)
        committer = BlockCommitter(Ledger.create(str(tmp_path), channel.genesis))
        blocks = [
            chain.next(channel.transaction({"a": 1})),
            chain.next(
                channel.transaction({"a": 2}),
                channel.transaction({"a": 3}, endorsers=["peer1", "peer3"]),
                after_us=3 * DAY_US,
            ),
        ]
        done = committer.process(blocks)
        assert [item.codes for item in done] == [(Code.VALID,), (Code.ENDORSEMENT_POLICY_FAILURE, Code.VALID)]
        committer.ledger.close()

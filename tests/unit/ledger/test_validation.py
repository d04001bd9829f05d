"""Each code and when it is given: one table, judged through the committer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gridledger.ledger import Ledger
from gridledger.ledger.committer import BlockCommitter
from gridledger.ledger.verify import verify
from gridledger.protocol.codes import TxValidationCode as Code
from gridledger.protocol.config import ChaincodeDefinition, Node
from gridledger.protocol.fields import to_base64
from gridledger.protocol.result import RangeRead, Read, Response, Version
from tests.support.paper import NOW_US, PaperChain, PaperNetwork, PaperOrganisation, PaperPeer, signed_transaction

NOW = datetime.fromtimestamp(NOW_US / 1e6, UTC)
DAY = timedelta(days=1)
DAY_US = 86_400_000_000
Make = Callable[[PaperNetwork], bytes]


def valid(paper: PaperNetwork) -> bytes:
    return paper.transaction({"a": 1}).to_bytes()


def tampered_result(paper: PaperNetwork) -> bytes:
    """The client signs another result than the peers endorsed."""
    made = paper.transaction({"a": 1})
    other = paper.transaction({"a": 2}, proposal=made.proposal)
    return signed_transaction(made.proposal, other.result, made.endorsements, paper.client).to_bytes()


def tampered_after_signing(paper: PaperNetwork) -> bytes:
    made = paper.transaction({"a": 1})
    return replace(made, result=paper.transaction({"a": 2}, proposal=made.proposal).result).to_bytes()


def moved_endorsement(paper: PaperNetwork) -> bytes:
    """Endorsements and result of one proposal under another one."""
    made = paper.transaction({"a": 1})
    return signed_transaction(paper.proposal(), made.result, made.endorsements, paper.client).to_bytes()


def moved_signatures(paper: PaperNetwork) -> bytes:
    """Endorsements of another proposal's result, over a result rewritten to fit."""
    made, other = paper.transaction({"a": 1}), paper.transaction({"a": 1})
    return signed_transaction(made.proposal, made.result, other.endorsements, paper.client).to_bytes()


def forged_endorsement(paper: PaperNetwork) -> bytes:
    """One peer's endorsement under another's name."""
    made = paper.transaction({"a": 1}, endorsers=["peer1"])
    forged = replace(made.endorsements[0], endorser=paper.peers["peer2"].fingerprint)
    return signed_transaction(made.proposal, made.result, [*made.endorsements, forged], paper.client).to_bytes()


def same_peer_twice(paper: PaperNetwork) -> bytes:
    return paper.transaction({"a": 1}, endorsers=["peer1", "peer1"]).to_bytes()


def endorsed_by_client(paper: PaperNetwork) -> bytes:
    """A member who is no peer of the channel signs as one."""
    paper.peers["outsider"] = paper.organisations["Org2MSP"].issue("peer9", "peer")
    return paper.transaction({"a": 1}, endorsers=["peer1", "outsider"]).to_bytes()


def foreign_client(paper: PaperNetwork) -> bytes:
    return paper.transaction({"a": 1}, client=PaperOrganisation("Org1MSP").issue("aggregator", "client")).to_bytes()


def expired_client(paper: PaperNetwork) -> bytes:
    late = paper.organisations["Org1MSP"].issue("late", "client", not_after=NOW - DAY)
    return paper.transaction({"a": 1}, client=late).to_bytes()


def no_certificate(paper: PaperNetwork) -> bytes:
    return paper.transaction({"a": 1}, proposal=paper.proposal(creator=to_base64(b"nobody"))).to_bytes()


def other_client_signs(paper: PaperNetwork) -> bytes:
    stranger = paper.organisations["Org1MSP"].issue("other", "client")
    return paper.transaction({"a": 1}, proposal=paper.proposal(), client=stranger).to_bytes()


def other_channel(paper: PaperNetwork) -> bytes:
    return paper.transaction({"a": 1}, proposal=paper.proposal(channel="shard2")).to_bytes()


def refusal(paper: PaperNetwork) -> bytes:
    return paper.transaction(response=Response(400, "no", None)).to_bytes()


def with_garbage_behind(paper: PaperNetwork) -> bytes:
    return valid(paper) + b"{}"


def name_twice(paper: PaperNetwork) -> bytes:
    return valid(paper)[:-1] + b',"signature":"AAAA"}'


def unknown_member(paper: PaperNetwork) -> bytes:
    return valid(paper)[:-1] + b',"more":1}'


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
    (no_certificate, Code.BAD_PAYLOAD),
    (other_client_signs, Code.BAD_CREATOR_SIGNATURE),
    (other_channel, Code.TARGET_CHAIN_NOT_FOUND),
    (moved_endorsement, Code.INVALID_ENDORSER_TRANSACTION),
    (lambda paper: paper.transaction({"a": 1}, channel="x").to_bytes(), Code.INVALID_ENDORSER_TRANSACTION),
    (lambda paper: paper.transaction({"a": 1}, chaincode="x").to_bytes(), Code.INVALID_ENDORSER_TRANSACTION),
    (lambda paper: paper.transaction({"a": 1}, sequence=2).to_bytes(), Code.INVALID_ENDORSER_TRANSACTION),
    (lambda paper: paper.transaction(proposal=paper.proposal(chaincode="x")).to_bytes(), Code.INVALID_CHAINCODE),
    (lambda paper: paper.transaction(proposal=paper.proposal(sequence=2)).to_bytes(), Code.CHAINCODE_VERSION_CONFLICT),
    (refusal, Code.BAD_RESPONSE_PAYLOAD),
    (tampered_result, Code.ENDORSEMENT_POLICY_FAILURE),
    (moved_signatures, Code.ENDORSEMENT_POLICY_FAILURE),
    (forged_endorsement, Code.ENDORSEMENT_POLICY_FAILURE),
    (same_peer_twice, Code.ENDORSEMENT_POLICY_FAILURE),
    (endorsed_by_client, Code.ENDORSEMENT_POLICY_FAILURE),
    (lambda paper: paper.transaction({"a": 1}, endorsers=()).to_bytes(), Code.ENDORSEMENT_POLICY_FAILURE),
    (lambda paper: paper.transaction({"a": 1}, reads=[Read("a", Version(1, 0))]).to_bytes(), Code.MVCC_READ_CONFLICT),
    (
        lambda paper: paper.transaction(ranges=[RangeRead("a", "", (Read("a", Version(0, 0)),))]).to_bytes(),
        Code.PHANTOM_READ_CONFLICT,
    ),
    (lambda paper: paper.update().to_bytes(), Code.INVALID_CONFIG_TRANSACTION),
]


@pytest.mark.parametrize(("make", "code"), TABLE, ids=[f"{n}-{item[1].name}" for n, item in enumerate(TABLE)])
def test_code(paper: PaperNetwork, chain: PaperChain, committer: BlockCommitter, make: Make, code: Code) -> None:
    # Next to a valid transaction that touches nothing of it: a fault stays with the transaction that has it.
    (committed,) = committer.process([chain.next(make(paper), paper.transaction({"z": 0}))])
    assert committed.codes == (code, Code.VALID)
    assert committed.tx_ids[1]
    with committer.ledger.snapshot() as snapshot:
        assert (snapshot.get("kv", "a") is not None) == (make is valid)
    report = verify(committer.ledger)
    assert report.ok, str(report)


def test_an_older_definition_is_expired(paper: PaperNetwork, chain: PaperChain, committer: BlockCommitter) -> None:
    before = paper.transaction({"a": 1})
    upgrade = paper.update(chaincodes={"kv": ChaincodeDefinition("kv", 2, "2.0", "1" * 64, "OutOf(2, all)")})
    committer.process([chain.next(upgrade)])
    after = paper.transaction({"a": 2}, proposal=paper.proposal(sequence=2))
    (committed,) = committer.process([chain.next(before, after)])
    assert committed.codes == (Code.EXPIRED_CHAINCODE, Code.VALID)


class TestConflicts:
    """Reads against what is committed, and against earlier transactions of the same block and batch."""

    def codes(self, committer: BlockCommitter, chain: PaperChain, *blocks: Sequence[object]) -> list[list[str]]:
        signed = [chain.next(*envelopes) for envelopes in blocks]  # type: ignore[arg-type]
        return [[code.name for code in item.codes] for item in committer.process(signed)]

    def test_a_key_written_earlier_in_the_block(
        self, paper: PaperNetwork, chain: PaperChain, committer: BlockCommitter
    ) -> None:
        t = paper.transaction
        first = [t({"a": 1}), t({"b": 1}, reads=[Read("a", None)]), t({"c": 1}, reads=[Read("b", None)])]
        assert self.codes(committer, chain, first) == [["VALID", "MVCC_READ_CONFLICT", "VALID"]]

    def test_a_version_from_an_earlier_block_of_the_batch(
        self, paper: PaperNetwork, chain: PaperChain, committer: BlockCommitter
    ) -> None:
        t = paper.transaction
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

    def test_blind_writes_never_conflict(
        self, paper: PaperNetwork, chain: PaperChain, committer: BlockCommitter
    ) -> None:
        t = paper.transaction
        assert self.codes(committer, chain, [t({"a": 1}), t({"a": 2}), t({"a": None})]) == [["VALID"] * 3]
        with committer.ledger.snapshot() as snapshot:
            assert snapshot.get("kv", "a") is None

    def test_a_range_with_a_new_a_changed_and_a_lost_key(
        self, paper: PaperNetwork, chain: PaperChain, committer: BlockCommitter
    ) -> None:
        t = paper.transaction
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
        self, paper: PaperNetwork, chain: PaperChain, committer: BlockCommitter
    ) -> None:
        two = dict(paper.config.chaincodes) | {"kw": ChaincodeDefinition("kw", 1, "1", "1" * 64, "OutOf(2, all)")}
        committer.process([chain.next(paper.update(chaincodes=two))])
        t = paper.transaction
        other = t({"a": 1}, proposal=paper.proposal(chaincode="kw"))
        everything = RangeRead("", "", (Read("b", Version(2, 1)),))
        blocks: Sequence[Sequence[object]] = [[other, t({"b": 1}), t(ranges=[everything])], [t(ranges=[everything])]]
        assert self.codes(committer, chain, *blocks) == [["VALID"] * 3, ["VALID"]]


class TestIds:
    """A transaction id belongs to the first transaction that its client has sent."""

    def test_the_same_envelope_again(self, paper: PaperNetwork, chain: PaperChain, committer: BlockCommitter) -> None:
        made = paper.transaction({"a": 1})
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
        self, paper: PaperNetwork, chain: PaperChain, committer: BlockCommitter
    ) -> None:
        proposal = paper.proposal()
        bad = paper.transaction({"a": 1}, proposal=proposal, endorsers=["peer1"])
        committer.process([chain.next(bad)])
        assert committer.process([chain.next(paper.transaction({"a": 1}, proposal=proposal))])[0].codes == (
            Code.DUPLICATE_TXID,
        )

    def test_rubbish_of_a_stranger_does_not(
        self, paper: PaperNetwork, chain: PaperChain, committer: BlockCommitter, ledger: Ledger
    ) -> None:
        made = paper.transaction({"a": 1})
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
        self, paper: PaperNetwork, chain: PaperChain, committer: BlockCommitter
    ) -> None:
        client = paper.organisations["Org1MSP"].issue("brief", "client", not_after=NOW + 2 * DAY)
        before, after = (paper.transaction({"a": n}, client=client) for n in range(2))
        done = committer.process([chain.next(before), chain.next(after, after_us=3 * DAY_US)])
        assert [item.codes[0] for item in done] == [Code.VALID, Code.BAD_CREATOR_SIGNATURE]
        assert verify(committer.ledger).ok

    def test_a_peer_that_stands_twice_in_the_config_counts_once(self, tmp_path: Path) -> None:
        """Under another name and a certificate of the same subject, which another key has."""
        paper = PaperNetwork(policy="AND('Org1MSP.peer', 'Org1MSP.peer')")
        for name, subject in (("peer1b", "peer1"), ("peer3", "peer3")):
            signer = paper.peers[name] = paper.organisations["Org1MSP"].issue(subject, "peer")
            node = Node(name, "Org1MSP", f"https://{name}:1", signer.certificate)
            paper.config = replace(paper.config, peers={**paper.config.peers, name: node})
        peer = PaperPeer(tmp_path, paper)
        with peer.ledger:
            done = peer.commit(
                *(paper.transaction({"a": 1}, endorsers=["peer1", other]) for other in ("peer1b", "peer3"))
            )
        assert done.codes == (Code.ENDORSEMENT_POLICY_FAILURE, Code.VALID)

    def test_a_peer_whose_certificate_runs_out(self, tmp_path: object) -> None:
        paper = PaperNetwork(organisations=3, policy="OutOf(2, all)")
        brief = paper.organisations["Org2MSP"].issue("peer2", "peer", not_after=NOW + 2 * DAY)
        peers = dict(paper.config.peers)
        peers["peer2"] = replace(peers["peer2"], certificate=brief.certificate)
        paper.peers["peer2"], paper.config = brief, replace(paper.config, peers=peers)
        chain = PaperChain(paper)
        committer = BlockCommitter(Ledger.create(str(tmp_path), paper.genesis))
        blocks = [
            chain.next(paper.transaction({"a": 1})),
            chain.next(
                paper.transaction({"a": 2}),
                paper.transaction({"a": 3}, endorsers=["peer1", "peer3"]),
                after_us=3 * DAY_US,
            ),
        ]
        done = committer.process(blocks)
        assert [item.codes for item in done] == [(Code.VALID,), (Code.ENDORSEMENT_POLICY_FAILURE, Code.VALID)]
        committer.ledger.close()

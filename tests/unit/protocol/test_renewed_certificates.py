"""A node with two certificates in the config, for the time of a renewal."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridledger.errors import MalformedMessage
from gridledger.identity.signer import SigningIdentity
from gridledger.ledger.errors import BlockRejected
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.config import ChannelConfig
from gridledger.protocol.fields import to_base64
from tests.support.paper import PaperNetwork, PaperPeer
from tests.support.paper.chain import signed_block

PAPER = PaperNetwork()


def renewed(paper: PaperNetwork, part: str, name: str, new: SigningIdentity) -> ChannelConfig:
    """The paper's config, where one node has this second certificate."""
    nodes = getattr(paper.config, part)
    changed: dict[str, Any] = {part: {**nodes, name: replace(nodes[name], renewed=new.certificate)}}
    return replace(paper.config, **changed)


def new_certificate(paper: PaperNetwork, mspid: str, name: str, role: str) -> SigningIdentity:
    return paper.organisations[mspid].issue(name, role)


def test_both_certificates_are_read_and_name_the_node() -> None:
    new = new_certificate(PAPER, "Org1MSP", "peer1", "peer")
    config = renewed(PAPER, "peers", "peer1", new)
    read = ChannelConfig.parse(config.text)
    assert read == config
    old = PAPER.peers["peer1"]
    for fingerprint in (old.fingerprint, new.fingerprint):
        assert read.peers_by_fingerprint[fingerprint].name == "peer1"
    assert read.peers["peer1"].certificate_with(new.fingerprint) == new.certificate
    with pytest.raises(KeyError):
        read.peers["peer1"].certificate_with(PAPER.peers["peer2"].fingerprint)


def test_a_node_with_one_certificate_has_the_text_it_always_had() -> None:
    assert json.loads(PAPER.config.text)["peers"]["peer1"].keys() == {"mspid", "url", "certificate"}


def test_a_list_of_one_certificate_is_read() -> None:
    message = json.loads(PAPER.config.text)
    message["peers"]["peer1"]["certificates"] = [message["peers"]["peer1"].pop("certificate")]
    assert ChannelConfig.parse(json.dumps(message)) == PAPER.config


@pytest.mark.parametrize(
    ("certificates", "says"),
    [
        (lambda old, _: [], "has no certificate"),
        (lambda old, _: [old] * 3, "a list of at most 2"),
        (lambda old, _: [old, old], "one has it twice"),
        (lambda old, other: [old, other], "different subjects"),
    ],
)
def test_other_lists_of_certificates_are_refused(certificates: Callable[[str, str], list[str]], says: str) -> None:
    message = json.loads(PAPER.config.text)
    peer = message["peers"]["peer1"]
    other = to_base64(new_certificate(PAPER, "Org1MSP", "peer7", "peer").certificate.der)
    peer["certificates"] = certificates(peer.pop("certificate"), other)
    with pytest.raises(MalformedMessage, match=says):
        ChannelConfig.parse(json.dumps(message))


def test_a_peer_with_two_certificates_endorses_once(tmp_path: Path) -> None:
    paper = PaperNetwork(policy="OR(AND('Org1MSP.peer', 'Org1MSP.peer'), AND('Org1MSP.peer', 'Org2MSP.peer'))")
    paper.peers["renewed"] = new_certificate(paper, "Org1MSP", "peer1", "peer")
    paper.config = renewed(paper, "peers", "peer1", paper.peers["renewed"])
    peer = PaperPeer(tmp_path, paper)
    codes = peer.commit(
        paper.transaction({"a": 1}, endorsers=["peer1", "renewed"]),
        paper.transaction({"b": 1}, endorsers=["peer1", "peer2"]),
        paper.transaction({"c": 1}, endorsers=["renewed", "peer2"]),
    ).codes
    assert codes == (
        TxValidationCode.ENDORSEMENT_POLICY_FAILURE,
        TxValidationCode.VALID,
        TxValidationCode.VALID,
    )


def test_a_block_is_signed_by_either_certificate(tmp_path: Path) -> None:
    paper = PaperNetwork()
    new = new_certificate(paper, "OrdererMSP", "orderer1", "orderer")
    paper.config = renewed(paper, "orderers", "orderer1", new)
    peer = PaperPeer(tmp_path, paper)
    by_the_old = peer.chain.next(paper.transaction({"a": 1}))
    by_the_new = signed_block(peer.chain.next(paper.transaction({"b": 1})).block, new)
    stranger = new_certificate(paper, "OrdererMSP", "orderer1", "orderer")
    by_nobody = signed_block(peer.chain.next(paper.transaction({"c": 1})).block, stranger)
    assert len(peer.committer.process([by_the_old, by_the_new])) == 2
    with pytest.raises(BlockRejected, match="signed by no orderer"):
        peer.committer.process([by_nobody])

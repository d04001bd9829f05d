"""A transaction's proof, step by step: no step holds that validation would not find."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gridledger.protocol.block import Block
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.config import ChannelConfig
from gridledger.protocol.proof import ProvedTransaction
from gridledger.protocol.transaction import Transaction
from services.console.proof_steps import Step, proof_steps
from tests.support.paper import NOW_US, PaperNetwork

PAPER = PaperNetwork()
OF_ONE = PaperNetwork(policy="OutOf(2, 'Org1MSP.peer', 'Org1MSP.peer')")


def steps_of(transaction: Transaction, config: ChannelConfig) -> dict[str, Step]:
    envelope = transaction.to_bytes()
    block = Block.build(
        channel=config.channel, number=3, previous_hash="0" * 64, timestamp_us=NOW_US, envelopes=[envelope]
    )
    code = TxValidationCode.VALID
    proved = ProvedTransaction(transaction.tx_id, 3, 0, code, envelope, block.header, 1, (), None)
    return {step.title: step for step in proof_steps(proved, config, transaction)}


def test_what_is_sound_holds() -> None:
    found = steps_of(PAPER.transaction({"a": 1}), PAPER.config)
    assert {title for title, step in found.items() if step.holds is False} == {"header signed by an orderer"}
    assert found["endorsement policy"].holds is True
    assert found["client's signature"].holds is True
    assert found["validation code"].holds is None


def test_a_peer_that_endorses_twice_counts_once() -> None:
    found = steps_of(OF_ONE.transaction({"a": 1}, endorsers=["peer1", "peer1"]), OF_ONE.config)
    assert found["endorsement of peer1"].holds is True
    assert found["endorsement policy"].holds is False


@pytest.mark.parametrize(("endorsers", "holds"), [(["peer1", "peer2"], None), (["peer1"], False)])
def test_what_a_peer_that_has_left_would_add_is_not_told(endorsers: list[str], holds: bool | None) -> None:
    config = replace(PAPER.config, peers={"peer1": PAPER.config.peers["peer1"]})
    assert steps_of(PAPER.transaction({"a": 1}, endorsers=endorsers), config)["endorsement policy"].holds is holds

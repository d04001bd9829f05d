"""The SDK's gateway: proposals, a chaincode's sequence, conflicts that are tried again, root certificates."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridledger.client.connection import Timeouts
from gridledger.client.errors import CommitError, EndorseError
from gridledger.client.gateway import Contract, Gateway
from gridledger.client.profile import read_roots
from gridledger.client.retry import Retry
from gridledger.errors import GridLedgerError, SettingsError
from gridledger.protocol.codes import TxValidationCode as Code
from gridledger.transport.call_frames import ENDORSE, EVALUATE, SUBMIT
from tests.support.paper import NOW_US, PaperNetwork
from tests.unit.client.paper_gateway import PaperGateway

SEQUENCE = "/channels/shard1/chaincodes/kv"
TWICE = Retry(attempts=2, first_pause_s=0.0)
CHANGED = GridLedgerError("the sequence is 2", code="CHAINCODE_SEQUENCE", status=409, current=2)


@pytest.fixture
def peer() -> PaperGateway:
    return PaperGateway()


@pytest.fixture
async def gateway(peer: PaperGateway) -> Gateway:
    return peer.gateway(Timeouts())


@pytest.fixture
def kv(gateway: Gateway) -> Contract:
    return gateway.get_network("shard1").get_contract("kv")


async def test_a_proposal_names_the_present_and_a_fresh_nonce(peer: PaperGateway, kv: Contract) -> None:
    made = [(await kv.new_proposal("put", "k", {"v": 1}, transient={"secret": 1})) for _ in range(2)]
    first = made[0].proposal
    assert (first.channel, first.chaincode, first.function, first.args) == ("shard1", "kv", "put", ("k", {"v": 1}))
    assert (first.time_us, first.sequence) == (NOW_US, 1)
    assert first.certificate() == peer.paper.client.certificate
    assert [item.proposal.nonce for item in made] == [f"{number:032x}" for number in (1, 2)]
    assert b"secret" in made[0].to_bytes()
    assert "secret" not in first.text


async def test_a_chaincodes_sequence_is_asked_for_once(peer: PaperGateway, gateway: Gateway, kv: Contract) -> None:
    for _ in range(3):
        await kv.evaluate_transaction("get", "k")
    assert peer.asked == [SEQUENCE]
    peer.sequence = 5
    assert await gateway.sequence("shard1", "kv") == 1
    assert await gateway.sequence("shard1", "kv", refresh=True) == 5


@pytest.mark.parametrize("kind", [ENDORSE, EVALUATE])
async def test_a_changed_sequence_is_asked_for_again(peer: PaperGateway, kv: Contract, kind: int) -> None:
    await kv.new_proposal("get", "k")
    peer.sequence, peer.next[kind] = 2, [CHANGED]
    call = kv.submit_transaction if kind == ENDORSE else kv.evaluate_transaction
    await call("put", "k", 1)
    assert peer.asked == [SEQUENCE, SEQUENCE]
    assert [item.proposal.sequence for item in peer.proposals] == [2]


async def test_a_sequence_that_keeps_changing_is_told(peer: PaperGateway, kv: Contract) -> None:
    peer.next[ENDORSE] = [CHANGED, CHANGED]
    with pytest.raises(EndorseError) as caught:
        await kv.submit_transaction("put", "k", 1)
    assert (caught.value.code, caught.value.details["current"]) == ("CHAINCODE_SEQUENCE", 2)


async def test_another_refusal_is_not_tried_again(peer: PaperGateway, kv: Contract) -> None:
    peer.next[ENDORSE] = [GridLedgerError("no", code="CHAINCODE_REFUSED", status=400)]
    with pytest.raises(EndorseError):
        await kv.submit_transaction("put", "k", 1)
    assert (peer.proposals, peer.asked) == ([], [SEQUENCE])


@pytest.mark.parametrize("conflict", [Code.MVCC_READ_CONFLICT, Code.PHANTOM_READ_CONFLICT])
async def test_a_conflict_is_made_anew_once_if_wished(peer: PaperGateway, kv: Contract, conflict: Code) -> None:
    peer.next[SUBMIT] = [conflict]
    payload, status = await kv.submit_with_status("add", "k", 1, retry=TWICE)
    assert (payload, status.code) == (2, Code.VALID)
    assert len({item.proposal.tx_id for item in peer.proposals}) == 2
    peer.next[SUBMIT] = [conflict, conflict]
    with pytest.raises(CommitError) as caught:
        await kv.submit_transaction("add", "k", 1, retry=TWICE)
    assert caught.value.validation_code is conflict
    peer.next[SUBMIT] = [conflict]
    with pytest.raises(CommitError):
        await kv.submit_transaction("add", "k", 1)


async def test_what_is_invalid_for_another_reason_is_not_made_anew(peer: PaperGateway, kv: Contract) -> None:
    peer.next[SUBMIT] = [Code.ENDORSEMENT_POLICY_FAILURE]
    with pytest.raises(CommitError):
        await kv.submit_transaction("add", "k", 1, retry=TWICE)
    assert len(peer.submitted) == 1


def test_roots_are_a_text_or_the_path_of_a_bundle(tmp_path: Path) -> None:
    text = PaperNetwork().config.msps.roots_pem()
    path = tmp_path / "roots.pem"
    path.write_text(text)
    assert read_roots(text) == read_roots(f"\n{text}").lstrip() == read_roots(path) == read_roots(str(path)) == text
    with pytest.raises(SettingsError, match="cannot read the root certificates"):
        read_roots(tmp_path / "missing.pem")


async def test_endorsing_organisations_are_named_to_the_gateway(peer: PaperGateway, kv: Contract) -> None:
    await kv.submit_transaction("put", "k", 1, endorsing_organisations=["Org2MSP", "Org1MSP"])
    await kv.submit_transaction("put", "k", 1)
    assert peer.organisations == [("Org1MSP", "Org2MSP"), None]

"""What an orderer refuses, and by what name."""

from dataclasses import replace

import pytest

from gridledger.errors import GridLedgerError
from gridledger.protocol import ConfigUpdate, Limits
from services.orderer.submission import check_submission
from tests.support.paper_network import NOW_US, PaperNetwork, PaperOrganisation


@pytest.fixture(scope="module")
def network() -> PaperNetwork:
    return PaperNetwork()


def refused(network: PaperNetwork, envelope: bytes, now_us: int = NOW_US) -> str:
    with pytest.raises(GridLedgerError) as caught:
        check_submission(envelope, network.config(), now_us)
    return caught.value.code


def test_a_good_transaction_passes(network: PaperNetwork) -> None:
    check_submission(network.transaction().to_bytes(), network.config(), NOW_US)


def test_a_signed_config_update_passes(network: PaperNetwork) -> None:
    update = ConfigUpdate.build(replace(network.config(), sequence=1), list(network.admins.values()))
    check_submission(update.to_bytes(), network.config(), NOW_US)


def test_each_fault_has_its_code(network: PaperNetwork) -> None:
    good = network.transaction()
    stranger = PaperOrganisation("Org1MSP").issue("mallory", "client")
    small = replace(network.config(), limits=Limits(max_envelope_bytes=100))
    with pytest.raises(GridLedgerError) as caught:
        check_submission(good.to_bytes(), small, NOW_US)
    assert caught.value.code == "ENVELOPE_TOO_LARGE"
    assert refused(network, b"{}") == "MALFORMED_MESSAGE"
    assert refused(network, b"not json") == "MALFORMED_JSON"
    assert refused(network, good.to_bytes(), NOW_US + 301_000_000) == "PROPOSAL_STALE"
    assert refused(network, good.to_bytes(), NOW_US - 301_000_000) == "PROPOSAL_STALE"
    assert refused(network, replace(good, signature=good.signature[:-1] + b"\0").to_bytes()) == "BAD_CREATOR_SIGNATURE"
    assert refused(network, replace(good, endorsements_text="[ ]").to_bytes()) == "BAD_CREATOR_SIGNATURE"
    assert refused(network, network.transaction(network.proposal(channel="other")).to_bytes()) == "WRONG_CHANNEL"
    foreign = network.transaction(network.proposal(client=stranger), client=stranger)
    assert refused(network, foreign.to_bytes()) == "UNKNOWN_AUTHORITY"


def test_a_config_update_without_a_majority_is_refused(network: PaperNetwork) -> None:
    update = ConfigUpdate.build(replace(network.config(), sequence=1), [network.admins["Org1MSP"]])
    assert refused(network, update.to_bytes()) == "PERMISSION_DENIED"

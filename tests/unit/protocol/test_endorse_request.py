"""The body with which a client asks a gateway for endorsements."""

from __future__ import annotations

from typing import Any

import pytest

from gridledger import jsontext
from gridledger.errors import MalformedMessage
from gridledger.protocol.proposal import MAX_ORGANISATIONS, EndorseRequest, SignedProposal
from tests.support.paper import PaperNetwork


@pytest.fixture(scope="module")
def signed() -> SignedProposal:
    return PaperNetwork().signed_proposal("put", "k", 1, transient={"secret": 1})


def test_without_organisations_it_is_the_signed_proposal(signed: SignedProposal) -> None:
    assert EndorseRequest(signed).to_bytes() == signed.to_bytes()
    assert EndorseRequest.from_bytes(signed.to_bytes()) == EndorseRequest(signed)


def test_organisations_travel_beside_the_proposal(signed: SignedProposal) -> None:
    request = EndorseRequest(signed, ("Org2MSP", "Org1MSP", "Org2MSP"))
    assert EndorseRequest.from_bytes(request.to_bytes()) == EndorseRequest(signed, ("Org1MSP", "Org2MSP"))
    with pytest.raises(MalformedMessage, match="endorsing_organisations"):
        SignedProposal.from_bytes(request.to_bytes())


@pytest.mark.parametrize(
    "named", [[], "Org1MSP", [1], [""], ["x" * 257], {"Org1MSP": 1}, ["Org1MSP"] * (MAX_ORGANISATIONS + 1)]
)
def test_what_is_no_list_of_organisations_is_refused(signed: SignedProposal, named: Any) -> None:
    body = jsontext.dumps({**signed.members(), "endorsing_organisations": named})
    with pytest.raises(MalformedMessage, match="a list of 1 to 64 MSP ids"):
        EndorseRequest.from_bytes(body)

"""What a gateway answers to a proposal, and how a client reads it."""

from __future__ import annotations

from typing import Any

import pytest

from gridledger.errors import MalformedMessage
from gridledger.protocol import EndorsedResult, Endorsement

ENDORSED = EndorsedResult("the result", (Endorsement("a" * 64, b"1"), Endorsement("b" * 64, b"2")), ("peer1", "peer2"))


def test_json_form_is_read_back() -> None:
    form = ENDORSED.to_dict()
    assert form["result"] == "the result"
    assert form["endorsements"] == [
        {"endorser": "a" * 64, "signature": "MQ=="},
        {"endorser": "b" * 64, "signature": "Mg=="},
    ]
    assert list(form["endorsed_by"]) == ["peer1", "peer2"]
    assert EndorsedResult.from_dict({**form, "endorsed_by": list(form["endorsed_by"])}) == ENDORSED


@pytest.mark.parametrize(
    "changed", [{"result": None}, {"endorsements": []}, {"endorsements": [{}]}, {"endorsements": 5}, {"endorsed_by": 5}]
)
def test_malformed_answer_is_refused(changed: dict[str, Any]) -> None:
    form: dict[str, Any] = {**ENDORSED.to_dict(), "endorsed_by": ["peer1", "peer2"]}
    with pytest.raises(MalformedMessage):
        EndorsedResult.from_dict(form | changed)


def test_answer_that_is_no_object_is_refused() -> None:
    with pytest.raises(MalformedMessage, match="object"):
        EndorsedResult.from_dict([])

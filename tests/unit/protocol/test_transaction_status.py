"""A transaction's status and its JSON form."""

from __future__ import annotations

import pytest

from gridledger.errors import MalformedMessage
from gridledger.protocol import Status
from gridledger.protocol.codes import TxValidationCode as Code

CONFLICT = Status("a" * 64, Code.MVCC_READ_CONFLICT, 7, "b" * 64)


def test_json_form_has_number_and_name_of_the_code() -> None:
    assert CONFLICT.to_dict() == {
        "tx_id": "a" * 64,
        "code": 11,
        "code_name": "MVCC_READ_CONFLICT",
        "block": 7,
        "commit_hash": "b" * 64,
    }


@pytest.mark.parametrize("code", list(Code))
def test_status_survives_its_json_form(code: Code) -> None:
    status = Status("t", code, 3, "h")
    assert Status.from_dict(status.to_dict()) == status
    assert status.successful == (code is Code.VALID)


@pytest.mark.parametrize("changed", [{"code": 77}, {"code": True}, {"block": -1}, {"tx_id": None}, {"commit_hash": 5}])
def test_malformed_status_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(MalformedMessage):
        Status.from_dict(CONFLICT.to_dict() | changed)


def test_status_that_is_no_object_is_refused() -> None:
    with pytest.raises(MalformedMessage, match="JSON object"):
        Status.from_dict(["a"])

"""How a call that came to nothing is told: one line, and an exit code for what is known of its outcome."""

from __future__ import annotations

import pytest

from gridledger.cli import transactions
from gridledger.client import CommitError, CommitStatusError, EndorseError, SubmitError, TransactionError
from gridledger.errors import (
    BusyError,
    ConflictError,
    InputError,
    PermissionDeniedError,
    TimeoutExceeded,
    UnavailableError,
)
from gridledger.protocol.codes import TxValidationCode

TX_ID = "5f0c" * 16
REFUSED = InputError("no\nsuch\x1b[31m meter", code="CHAINCODE_REFUSED")


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (EndorseError(TX_ID, REFUSED), 3, "error: no such [31m meter\n"),
        (EndorseError(TX_ID, UnavailableError("no peers")), 1, "error: no peers\n"),
        (
            CommitError(TX_ID, TxValidationCode.MVCC_READ_CONFLICT, 7),
            4,
            f"error: transaction {TX_ID} has no effect: invalid: MVCC_READ_CONFLICT in block 7\n",
        ),
        (SubmitError(TX_ID, BusyError("too many")), 1, "error: too many\n"),
        (SubmitError(TX_ID, PermissionDeniedError("not you")), 1, "error: not you\n"),
        (SubmitError(TX_ID, BusyError("too many", outcome="unknown")), 5, "it is not known whether"),
        (SubmitError(TX_ID, UnavailableError("gone", outcome="not ordered")), 1, "error: gone\n"),
        (SubmitError(TX_ID, TimeoutExceeded("no answer")), 5, f"ask with: gridledger tx shard1 {TX_ID}\n"),
        (SubmitError(TX_ID, UnavailableError("gone")), 5, "it is not known whether"),
        (SubmitError(TX_ID, ConflictError("sent before", code="DUPLICATE_TXID")), 5, "it is not known whether"),
        (CommitStatusError(TX_ID, TimeoutExceeded("no answer")), 5, "it is not known whether"),
    ],
)
def test_each_outcome_has_its_exit_code(
    error: TransactionError, code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert transactions._tell(error, "shard1") == code
    out, told = capsys.readouterr()
    assert out == ""
    assert says in told
    assert told.startswith("error: ")
    assert told.count("\n") == 1

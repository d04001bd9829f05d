"""Errors of a transaction. Each carries the transaction's id and what the endorsers said."""

from __future__ import annotations

from gridledger.errors import GridLedgerError
from gridledger.protocol.codes import TxValidationCode


class TransactionError(GridLedgerError):
    """Base of the errors of one transaction.

    ``code`` and ``status`` are those of the cause (for example ``ENDORSERS_UNAVAILABLE``, 503); ``details`` holds what
    the gateway knows, such as every endorser's message under ``endorsers``.
    """

    code = "TRANSACTION_FAILED"

    def __init__(self, tx_id: str, cause: GridLedgerError) -> None:
        super().__init__(cause.message, code=cause.code, status=cause.status, **cause.details)
        self.tx_id = tx_id

    def __str__(self) -> str:
        return f"{self.code}: {self.message} (transaction {self.tx_id})"


class EndorseError(TransactionError):
    """The proposal was not endorsed. Nothing was ordered, nothing will change."""

    code = "ENDORSE_FAILED"


class SubmitError(TransactionError):
    """The transaction was not ordered, or it is not known whether it was.

    Ask for its status before you submit the same as a new transaction.
    """

    code = "SUBMIT_FAILED"


class CommitStatusError(TransactionError):
    """The transaction is ordered, but its status could not be learned in time."""

    code = "COMMIT_STATUS_UNKNOWN"


class CommitError(TransactionError):
    """The transaction is on the chain without effect; ``validation_code`` says why."""

    code = "COMMIT_FAILED"

    def __init__(self, tx_id: str, validation_code: TxValidationCode, block: int) -> None:
        name = validation_code.name
        cause = GridLedgerError(f"invalid: {name} in block {block}", code=name, status=409, block=block)
        super().__init__(tx_id, cause)
        self.validation_code = validation_code
        self.block = block

"""Errors of the contract API."""

from __future__ import annotations

from gridledger.errors import GridLedgerError


class ContractError(GridLedgerError):
    """A refusal: the transaction answers status 400 with this message, and nothing is written."""

    code = "CONTRACT_ERROR"
    status = 400

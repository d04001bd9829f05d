"""The contract API, which chaincode is written against: contracts, transactions, and a transaction's context.

A chaincode imports this module and nothing else of GridLedger; ``arguments``, ``paging``, ``crypto`` and ``policy`` in
it are imported by those that need them. The names are those of fabric-contract-api in snake_case.
"""

from __future__ import annotations

from gridledger.contract.api import Contract, transaction
from gridledger.contract.context import ClientIdentity, Context
from gridledger.contract.errors import ContractError
from gridledger.contract.stub import Stub
from gridledger.protocol.world_state import HistoryEntry

HistoricValue = HistoryEntry
"""The name that HistoryEntry had for chaincode before."""

__all__ = [
    "ClientIdentity",
    "Context",
    "Contract",
    "ContractError",
    "HistoricValue",
    "HistoryEntry",
    "Stub",
    "transaction",
]

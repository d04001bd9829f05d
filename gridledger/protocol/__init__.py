"""The protocol: what is signed, hashed, sent and stored (proposals, results, transactions, blocks, configs)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.proposal import Proposal, SignedProposal
from gridledger.protocol.result import (
    EndorsedResult,
    Endorsement,
    Event,
    RangeRead,
    Read,
    Response,
    Result,
    Version,
    Write,
    endorsement_text,
)
from gridledger.protocol.transaction import Transaction, endorsements_text, signing_text
from gridledger.protocol.transaction_status import Status

if TYPE_CHECKING:
    from gridledger.protocol.block import Block, BlockHeader, HeaderSignature, SignedBlock
    from gridledger.protocol.config import (
        ChaincodeDefinition,
        ChannelConfig,
        Node,
        Organisation,
    )
    from gridledger.protocol.config_update import ConfigUpdate, InvalidConfigUpdate, parse_envelope, verify_update
    from gridledger.protocol.limits import BatchLimits, TransactionLimits

# Imported when they are asked for: they bring the identity package and with it cryptography, which what runs a
# contract (the chaincode host, `gridledger simulate`) does without and does not wait for.
_LATER: Final = {
    "Block": "block",
    "BlockHeader": "block",
    "HeaderSignature": "block",
    "SignedBlock": "block",
    "BatchLimits": "limits",
    "ChaincodeDefinition": "config",
    "ChannelConfig": "config",
    "Node": "config",
    "Organisation": "config",
    "TransactionLimits": "limits",
    "ConfigUpdate": "config_update",
    "InvalidConfigUpdate": "config_update",
    "parse_envelope": "config_update",
    "verify_update": "config_update",
}

__all__ = [
    "BatchLimits",
    "Block",
    "BlockHeader",
    "ChaincodeDefinition",
    "ChannelConfig",
    "ConfigUpdate",
    "EndorsedResult",
    "Endorsement",
    "Event",
    "HeaderSignature",
    "InvalidConfigUpdate",
    "Node",
    "Organisation",
    "Proposal",
    "RangeRead",
    "Read",
    "Response",
    "Result",
    "SignedBlock",
    "SignedProposal",
    "Status",
    "Transaction",
    "TransactionLimits",
    "TxValidationCode",
    "Version",
    "Write",
    "endorsement_text",
    "endorsements_text",
    "parse_envelope",
    "signing_text",
    "verify_update",
]


def __getattr__(name: str) -> Any:
    module = _LATER.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{module}"), name)

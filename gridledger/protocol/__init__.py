"""What is signed, hashed, sent and stored: proposals, results, transactions, blocks, channel configurations."""

from gridledger.protocol.block import Block, BlockHeader, HeaderSignature
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.config import BatchLimits, ChaincodeDefinition, ChannelConfig, Limits, Node, Organisation
from gridledger.protocol.config_update import ConfigUpdate, InvalidConfigUpdate, parse_envelope, verify_update
from gridledger.protocol.proposal import Proposal, SignedProposal
from gridledger.protocol.result import (
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

__all__ = [
    "BatchLimits",
    "Block",
    "BlockHeader",
    "ChaincodeDefinition",
    "ChannelConfig",
    "ConfigUpdate",
    "Endorsement",
    "Event",
    "HeaderSignature",
    "InvalidConfigUpdate",
    "Limits",
    "Node",
    "Organisation",
    "Proposal",
    "RangeRead",
    "Read",
    "Response",
    "Result",
    "SignedProposal",
    "Transaction",
    "TxValidationCode",
    "Version",
    "Write",
    "endorsement_text",
    "endorsements_text",
    "parse_envelope",
    "signing_text",
    "verify_update",
]

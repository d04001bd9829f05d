"""What a block leaves in the world state, from its envelopes and their codes alone."""

from __future__ import annotations

from collections.abc import Sequence

from gridledger import jsontext
from gridledger.protocol.block import Block
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.config_update import parse_envelope
from gridledger.protocol.transaction import Transaction


def updates_of(block: Block, codes: Sequence[TxValidationCode]) -> dict[tuple[str, str], bytes | None]:
    """(namespace, key) -> the value's text, None for a deletion: what the commit hash covers.

    Raises what reading an envelope raises where a transaction that is said to be valid cannot be read.
    """
    updates: dict[tuple[str, str], bytes | None] = {}
    for envelope, code in zip(block.envelopes, codes, strict=True):
        if code is not TxValidationCode.VALID:
            continue
        message = parse_envelope(envelope)
        if isinstance(message, Transaction):
            result = message.result
            for key, value in result.writes:
                updates[(result.chaincode, key)] = None if value is None else jsontext.dumps_again(value)
    return updates

"""Who made a transaction, and that enough peers endorsed it, from its signatures."""

from __future__ import annotations

from dataclasses import dataclass

from gridledger.errors import GridLedgerError
from gridledger.evidence.chains import VerifiedBlock, VerifiedChannel
from gridledger.evidence.package import block_file, chain_file
from gridledger.evidence.report import Broken
from gridledger.identity.msp import Identity
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.config import ChannelConfig
from gridledger.protocol.config_update import parse_envelope
from gridledger.protocol.fields import hash_of
from gridledger.protocol.result import endorsement_text
from gridledger.protocol.transaction import Transaction, signing_text

STEP = "transactions"
_REFUSAL = 400


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """A transaction whose signatures hold: the caller's, and of enough endorsers for the chaincode's policy."""

    transaction: Transaction
    caller: Identity
    block: VerifiedBlock
    index: int


def signed_transaction(channel: VerifiedChannel, number: int, index: int, step: str = STEP) -> SignedTransaction:
    """The valid transaction at a place of a channel, its signatures verified; :class:`Broken`."""
    held = channel.blocks.get(number)
    if held is None:
        raise Broken(step, block_file(channel.name, number), "it is missing")
    what = f"its transaction {index}"
    if index >= len(held.block.envelopes):
        raise Broken(step, held.file, f"there is no transaction {index} in it")
    code = held.codes[index]
    if code is not TxValidationCode.VALID:
        raise Broken(step, chain_file(channel.name), f"transaction {index} of block {number} is {code.name}, not valid")
    try:
        message = parse_envelope(held.block.envelopes[index])
        if not isinstance(message, Transaction):
            raise Broken(step, held.file, f"{what} is a configuration")
        caller = _caller(message, held)
    except Broken:
        raise
    except GridLedgerError as error:
        raise Broken(step, held.file, f"{what}: {error.message}") from None
    if caller is None:
        raise Broken(step, held.file, f"the caller's signature under {what.removeprefix('its ')} is not genuine")
    if not _endorsed(message, held):
        raise Broken(step, held.file, f"{what} is not endorsed as its chaincode's policy asks")
    return SignedTransaction(message, caller, held, index)


def _caller(message: Transaction, held: VerifiedBlock) -> Identity | None:
    proposal, result = message.proposal, message.result
    signed = signing_text(message.tx_id, result.hash, hash_of(message.endorsements_text))
    certificate = proposal.certificate()
    caller = held.config.msps.identify(certificate, held.block.header.timestamp_us)
    return caller if certificate.verify(message.signature, signed) else None


def _endorsed(message: Transaction, held: VerifiedBlock) -> bool:
    proposal, result, config = message.proposal, message.result, held.config
    said = (result.tx_id, result.channel, result.chaincode, result.sequence)
    if said != (proposal.tx_id, config.channel, proposal.chaincode, proposal.sequence):
        return False
    definition = config.chaincodes.get(proposal.chaincode)
    if proposal.channel != config.channel or definition is None or definition.sequence != proposal.sequence:
        return False
    if result.response.status >= _REFUSAL:
        return False
    signers = _endorsers(message, config, held.block.header.timestamp_us)
    return config.endorsement_policy(proposal.chaincode).satisfied_by([(mspid, "peer") for mspid in signers.values()])


def _endorsers(message: Transaction, config: ChannelConfig, at_us: int) -> dict[tuple[str, str], str]:
    """MSP ids by signer, of the channel's peers whose endorsements are genuine."""
    signers: dict[tuple[str, str], str] = {}
    for item in message.endorsements:
        node = config.peers_by_fingerprint.get(item.endorser)
        if node is None:
            continue
        certificate = node.certificate_with(item.endorser)
        try:
            identity = config.msps.identify(certificate, at_us)
        except GridLedgerError:
            continue
        genuine = certificate.verify(item.signature, endorsement_text(item.endorser, message.result.hash))
        if genuine and (identity.mspid, identity.role) == (node.mspid, "peer"):
            signers[identity.signer] = node.mspid
    return signers

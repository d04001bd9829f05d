"""Signed messages: what a client and an endorser make with their keys. The parts need not fit: forgers use this too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from gridledger.identity.low_s import P256_ORDER
from gridledger.identity.signer import SigningIdentity
from gridledger.protocol.fields import hash_of
from gridledger.protocol.proposal import Proposal, SignedProposal
from gridledger.protocol.result import Endorsement, Result, endorsement_text
from gridledger.protocol.transaction import Transaction, endorsements_text, signing_text


def signed_proposal(
    proposal: Proposal, client: SigningIdentity, transient: Mapping[str, Any] | None = None
) -> SignedProposal:
    """The proposal under a signature of ``client``."""
    return SignedProposal(proposal, client.sign(proposal.text.encode()), transient)


def endorse(result: Result, signer: SigningIdentity, *, endorser: SigningIdentity | None = None) -> Endorsement:
    """An endorsement that names ``endorser`` (the signer, if nobody else) and that ``signer`` signed."""
    fingerprint = (endorser or signer).fingerprint
    return Endorsement(fingerprint, signer.sign(endorsement_text(fingerprint, result.hash)))


def signed_transaction(
    proposal: Proposal, result: Result, endorsements: Sequence[Endorsement], client: SigningIdentity
) -> Transaction:
    """These parts under a signature of ``client``."""
    text = endorsements_text(endorsements)
    signature = client.sign(signing_text(proposal.tx_id, result.hash, hash_of(text)))
    return Transaction(proposal, result, tuple(endorsements), text, signature)


def with_high_s(signature: bytes) -> bytes:
    """The other signature that the mathematics takes for the same text, and the protocol must not."""
    r, s = decode_dss_signature(signature)
    return encode_dss_signature(r, P256_ORDER - s)

"""Verification of other peers' endorsements, as they come: one that no peer would take is never put into a transaction.

It costs one verification of a signature for each endorsement of another peer, and spares this peer's committer the same
one. What this peer has signed itself needs none.
"""

from __future__ import annotations

from gridledger.errors import GridLedgerError
from gridledger.ledger.validation import SignatureCheck
from gridledger.protocol.config import Node
from gridledger.protocol.fields import hash_of
from gridledger.protocol.proposal import Proposal
from gridledger.protocol.result import Result, endorsement_text
from services.peer.endorser.endorser import FIRST_REFUSAL, ProposalResponse
from services.peer.errors import BadEndorsement


def verify_endorsement(
    response: ProposalResponse, peer: Node, proposal: Proposal, *, result_known: bool
) -> SignatureCheck:
    """The signature, which verifies. Raise :class:`BadEndorsement` unless ``peer`` itself has signed a result of
    ``proposal``.

    ``result_known``: the result's text is one that was found to be the proposal's before.
    """
    endorsement = response.endorsement
    if endorsement.endorser not in peer.fingerprints:
        raise BadEndorsement(f"the response of {peer.name} is no endorsement of its own")
    if not result_known:
        _check_result(response.result_text, peer, proposal)
    text = endorsement_text(endorsement.endorser, hash_of(response.result_text))
    check = SignatureCheck(peer.certificate_with(endorsement.endorser), endorsement.signature, text)
    if not check.certificate.verify(check.signature, check.data):
        raise BadEndorsement(f"the signature under the endorsement of {peer.name} does not verify")
    return check


def _check_result(text: str, peer: Node, proposal: Proposal) -> None:
    try:
        result = Result.parse(text)
    except GridLedgerError as error:
        raise BadEndorsement(f"{peer.name} has signed what is no result: {error.message}") from None
    if (result.tx_id, result.channel, result.chaincode, result.sequence) != (
        proposal.tx_id,
        proposal.channel,
        proposal.chaincode,
        proposal.sequence,
    ):
        raise BadEndorsement(f"{peer.name} has signed the result of another proposal")
    if result.response.status >= FIRST_REFUSAL:
        raise BadEndorsement(f"{peer.name} has signed a refusal")

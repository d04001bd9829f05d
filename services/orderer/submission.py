"""What an orderer looks at before it takes an envelope: who sends it, whether it is theirs, whether it is fresh.

Endorsements are not judged here, as in Fabric: the peers do, all of them the same way.
"""

from __future__ import annotations

from gridledger import jsontext
from gridledger.errors import InputError, MalformedMessage, PermissionDeniedError
from gridledger.protocol import ChannelConfig, ConfigUpdate, Proposal, verify_update
from gridledger.protocol.fields import from_base64, hash_of
from gridledger.protocol.transaction import signing_text
from services.orderer.block_cutter import CONFIG_PREFIX
from services.orderer.errors import BadClientSignature, EnvelopeTooLarge, ProposalStale, WrongChannel


def check_submission(envelope: bytes, config: ChannelConfig, now_us: int) -> None:
    """Raise what is wrong with an envelope under this configuration at this time (microseconds since 1970).

    Costs one parse of the envelope, one of the proposal and one signature verification; the result stays a text.
    """
    limit = config.limits.max_envelope_bytes
    if len(envelope) > min(limit, config.batch.absolute_max_bytes):
        raise EnvelopeTooLarge(f"the envelope has {len(envelope)} bytes, the channel allows {limit}", limit=limit)
    if envelope.startswith(CONFIG_PREFIX):
        verify_update(config, ConfigUpdate.parse(envelope), now_us)
    else:
        _check_transaction(envelope, config, now_us)


def _check_transaction(envelope: bytes, config: ChannelConfig, now_us: int) -> None:
    message = jsontext.loads(envelope)
    if not isinstance(message, dict):
        raise InputError("a transaction is a JSON object")
    texts = [message.get(name) for name in ("proposal", "result", "endorsements")]
    if not all(isinstance(text, str) for text in texts) or len(message) != 4:  # noqa: PLR2004 - and the signature
        raise MalformedMessage("a transaction has the members proposal, result, endorsements and signature, no others")
    proposal_text, result_text, endorsements_text = map(str, texts)
    proposal = Proposal.parse(proposal_text)
    if proposal.channel != config.channel:
        raise WrongChannel(f"the transaction is for the channel {proposal.channel!r}, not {config.channel!r}")
    window_s = config.limits.proposal_window_s
    if abs(now_us - proposal.time_us) > window_s * 1_000_000:
        raise ProposalStale(f"the proposal's time is more than {window_s} s from this orderer's clock")
    certificate = proposal.certificate()
    identity = config.msps.identify(certificate, now_us)
    if not config.policy("writers").satisfied_by([(identity.mspid, identity.role)]):
        raise PermissionDeniedError(f"{identity.role} of {identity.mspid} may not write to {config.channel}")
    signed = signing_text(proposal.tx_id, hash_of(result_text), hash_of(endorsements_text))
    if not certificate.verify(from_base64(message["signature"], "'signature'"), signed):
        raise BadClientSignature("the signature under the transaction is not its creator's")

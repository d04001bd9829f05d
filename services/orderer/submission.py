"""The checks before an orderer takes an envelope: who sends it, whether it is theirs, whether it is fresh.

Endorsements are not judged here, as in Fabric: the peers do, all of them the same way.
"""

from __future__ import annotations

import re

from gridledger import jsontext
from gridledger.errors import MalformedMessage
from gridledger.identity.certificate import Certificate
from gridledger.protocol import ChannelConfig, ConfigUpdate, Proposal, verify_update
from gridledger.protocol.acls import BROADCAST
from gridledger.protocol.config_update import CONFIG_PREFIX
from gridledger.protocol.errors import BadCreatorSignature, EnvelopeTooLarge, ProposalStale
from gridledger.protocol.fields import exactly, from_base64, hash_of
from gridledger.protocol.proposal import creator_certificate
from gridledger.protocol.transaction import signing_text
from services.orderer.errors import WrongChannel

_MEMBERS = frozenset(("proposal", "result", "endorsements", "signature"))
MAX_FREE_FORM = 64 * 1024
"""Characters of a proposal that is written in another way than ours, which an orderer must read as a whole."""

_BEFORE_ARGUMENTS = re.compile(
    r'\{"kind":"proposal","channel":"([\w.-]+)","chaincode":"[\w.-]+","sequence":[1-9][0-9]{0,17},"function":"[\w.:-]+",'
    r'"args":\[',
    re.ASCII,
)
_BEHIND_ARGUMENTS = '],"creator":"'
_AFTER_ARGUMENTS = re.compile(
    r'\],"creator":"([A-Za-z0-9+/]{1,8190}={0,2})","nonce":"[0-9a-f]{32,128}","time":(0|[1-9][0-9]{0,17}),'
    r'"transient":(?:null|"[0-9a-f]{64}")\}'
)


def check_submission(envelope: bytes, config: ChannelConfig, now_us: int) -> None:
    """Raise what is wrong with an envelope under this configuration at this time (microseconds since 1970).

    Costs one parse of the envelope and one signature verification; the proposal's arguments, the result and the
    endorsements stay texts. A config update that its admins have signed costs many: check that off the event loop.
    """
    limit = config.limits.max_envelope_bytes
    if len(envelope) > min(limit, config.batch.absolute_max_bytes):
        raise EnvelopeTooLarge(f"the envelope has {len(envelope)} bytes, the channel allows {limit}", limit=limit)
    if envelope.startswith(CONFIG_PREFIX):
        verify_update(config, ConfigUpdate.parse(envelope), now_us)
    else:
        _check_transaction(envelope, config, now_us)


def _check_transaction(envelope: bytes, config: ChannelConfig, now_us: int) -> None:
    message = exactly(jsontext.loads_texts(envelope), _MEMBERS, "a transaction")
    proposal_text, result_text, endorsements_text = message["proposal"], message["result"], message["endorsements"]
    channel, time_us, certificate = origin_of(proposal_text)
    if channel != config.channel:
        raise WrongChannel(f"the transaction is for the channel {channel!r}, not {config.channel!r}")
    window_s = config.limits.proposal_window_s
    if abs(now_us - time_us) > window_s * 1_000_000:
        raise ProposalStale(f"the proposal's time is more than {window_s} s from this orderer's clock")
    identity = config.msps.identify(certificate, now_us)
    config.admit(BROADCAST, identity)
    signed = signing_text(hash_of(proposal_text), hash_of(result_text), hash_of(endorsements_text))
    if not certificate.verify(from_base64(message["signature"], "'signature'"), signed):
        raise BadCreatorSignature("the signature under the transaction is not its creator's")


def origin_of(text: str) -> tuple[str, int, Certificate]:
    """The channel, the time and the creator's certificate in a proposal's text.

    Where the text is as proposals are written, the arguments, most of it, are not read: like result and endorsements
    they are the peers' to judge. Any other text is read as a whole, and refused if it is none.
    """
    end = text.rfind(_BEHIND_ARGUMENTS)
    before = _BEFORE_ARGUMENTS.match(text)
    behind = _AFTER_ARGUMENTS.fullmatch(text, end) if end > 0 else None
    if before is None or behind is None or before.end() > end:
        if len(text) > MAX_FREE_FORM:
            raise MalformedMessage(
                f"an orderer takes a proposal of {len(text)} characters only with its members in the order of "
                "docs/protocol.md, and no white space between them"
            )
        proposal = Proposal.parse(text)
        return proposal.channel, proposal.time_us, proposal.certificate()
    return before[1], int(behind[2]), creator_certificate(behind[1])

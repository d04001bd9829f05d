"""The endorser: checks a proposal, has the chaincode run on this peer's world state, signs the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gridledger.errors import GridLedgerError
from gridledger.identity.msp import Identity
from gridledger.identity.signer import SigningIdentity
from gridledger.ledger.validation import SignatureCheck
from gridledger.protocol.acls import PROPOSE
from gridledger.protocol.config import ChaincodeDefinition
from gridledger.protocol.errors import BadCreatorSignature, EnvelopeTooLarge, ProposalStale
from gridledger.protocol.proposal import SignedProposal
from gridledger.protocol.result import Endorsement, Result, endorsement_text
from services.peer.channel import Channel, Channels
from services.peer.errors import (
    ChaincodeFailed,
    ChaincodeRefused,
    ChaincodeSequence,
    DuplicateTransaction,
    NotInConfig,
    PeerBehind,
)

FIRST_REFUSAL = 400
"""Responses with this status or a higher one are refusals."""

Note = Callable[[str, SignatureCheck], None]
"""Is told of a signature that need not be verified again, and in which channel."""


@dataclass(frozen=True, slots=True)
class AdmittedProposal:
    """A proposal that passed every check on this peer, its signature included. Made by :meth:`Endorser.admit` alone."""

    signed: SignedProposal
    channel: Channel
    definition: ChaincodeDefinition
    creator: Identity


@dataclass(frozen=True, slots=True)
class ProposalResponse:
    """One peer's endorsement. ``height`` is how many blocks, at least, it had committed when the chaincode ran."""

    result_text: str
    endorsement: Endorsement
    height: int


class Hosts(Protocol):
    """Runs chaincode: the part of :class:`~services.peer.endorser.hosts.ChaincodeHosts` that an endorser needs."""

    async def run(self, proposal: AdmittedProposal) -> str:
        """The result's text. Raises ChaincodeNotInstalled, and what a HostPool raises."""


class Endorser:
    """This peer as an endorser. ``clock_us`` is the wall clock in microseconds since 1970."""

    def __init__(
        self,
        name: str,
        identity: SigningIdentity,
        channels: Channels,
        hosts: Hosts,
        *,
        clock_us: Callable[[], int],
        catch_up_s: float,
        note: Note | None = None,
    ) -> None:
        """``note`` is told of each endorsement's signature, by its channel."""
        self.name = name
        self._identity = identity
        self._channels = channels
        self._hosts = hosts
        self._clock_us = clock_us
        self._catch_up_s = catch_up_s
        self._note = note

    def admit(self, signed: SignedProposal, caller: Identity, *, resource: str = PROPOSE) -> AdmittedProposal:
        """Check a proposal; the cheap checks come first, the signature last.

        The creator must be admitted to the ``resource``, the caller be one who may bring what the creator has signed.
        """
        proposal = signed.proposal
        channel = self._channels[proposal.channel]
        limits, now_us = channel.config.limits, self._clock_us()
        if len(proposal.text) > limits.max_envelope_bytes:
            limit = limits.max_envelope_bytes
            raise EnvelopeTooLarge(f"the proposal is longer than the channel's limit of {limit} bytes", limit=limit)
        certificate = proposal.certificate()
        creator = channel.identify(certificate, now_us)
        if caller.fingerprint != certificate.fingerprint:
            channel.check_bearer(caller, certificate, now_us)
        channel.require(resource, creator)
        if abs(now_us - proposal.time_us) > limits.proposal_window_s * 1_000_000:
            raise ProposalStale(
                f"the proposal's time is more than {limits.proposal_window_s} s from this peer's clock: "
                "compare the clocks and make a new proposal",
                time_us=proposal.time_us,
                clock_us=now_us,
            )
        definition = channel.chaincode(proposal.chaincode)
        if definition.sequence != proposal.sequence:
            raise ChaincodeSequence(
                f"the proposal is for sequence {proposal.sequence} of {definition.name}, the channel has "
                f"{definition.sequence}: make a new proposal",
                current=definition.sequence,
            )
        if not certificate.verify(signed.signature, proposal.text.encode()):
            raise BadCreatorSignature("the signature under the proposal is not its creator's")
        return AdmittedProposal(signed, channel, definition, creator)

    async def endorse(self, proposal: AdmittedProposal, *, min_height: int = 0) -> ProposalResponse:
        """Run the chaincode and sign what it did.

        ``min_height`` is a height that the caller has seen on another peer: this peer waits for it, within bounds.
        Raises :class:`NotInConfig`, :class:`ChaincodeRefused`, :class:`DuplicateTransaction`, :class:`PeerBehind`, and
        what the hosts raise.
        """
        channel, tx_id = proposal.channel, proposal.signed.proposal.tx_id
        if self.name not in channel.config.peers:
            raise NotInConfig(
                f"{self.name} is no peer of {channel.name}, as configuration {channel.config.sequence} has it: its "
                "endorsements count for nothing there; ask a peer that the channel has"
            )
        if min_height > channel.height and not await channel.reach(min_height, self._catch_up_s):
            raise PeerBehind(
                f"this peer has {channel.height} blocks of {channel.name}, {min_height} are asked for",
                height=channel.height,
            )
        # The same proposal may be endorsed again as long as it is not on the ledger: a gateway asks again when peers
        # differ, a client when an answer was lost. It can be committed once only, whatever is signed here.
        status = channel.status(tx_id)
        if status is not None:
            raise DuplicateTransaction(
                f"this transaction is in block {status.block} already, {status.code.name}", outcome=status.to_dict()
            )
        height = channel.height
        result = await self.run(proposal)
        if result.response.status >= FIRST_REFUSAL:
            raise self._refusal(result, height)
        text = endorsement_text(self._identity.fingerprint, result.hash)
        signature = self._identity.sign(text)
        if self._note is not None:
            self._note(channel.name, SignatureCheck(self._identity.certificate, signature, text))
        return ProposalResponse(result.text, Endorsement(self._identity.fingerprint, signature), height)

    async def run(self, proposal: AdmittedProposal) -> Result:
        """What the chaincode did with the proposal; whatever its response, nothing is signed."""
        text = await self._hosts.run(proposal)
        try:
            result = Result.parse(text)
        except GridLedgerError as error:
            raise ChaincodeFailed(f"the chaincode's host answered with what is no result: {error.message}") from None
        proposed = proposal.signed.proposal
        if (result.tx_id, result.channel, result.chaincode, result.sequence) != (
            proposed.tx_id,
            proposed.channel,
            proposed.chaincode,
            proposed.sequence,
        ):
            raise ChaincodeFailed("the chaincode's host answered with the result of another proposal")
        return result

    def _refusal(self, result: Result, height: int) -> ChaincodeRefused:
        response = result.response
        return ChaincodeRefused(
            response.message or f"the chaincode answered with status {response.status}",
            peer=self.name,
            response={"status": response.status, "message": response.message},
            height=height,
        )

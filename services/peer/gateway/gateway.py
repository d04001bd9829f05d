"""The gateway: the one peer through which a client endorses, submits, evaluates and learns a transaction's status."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Protocol

from gridledger import jsontext
from gridledger.effort import LARGE_BYTES, Effort
from gridledger.errors import GridLedgerError
from gridledger.identity.msp import Identity
from gridledger.protocol.acls import COMMIT_STATUS, EVALUATE
from gridledger.protocol.config import Node
from gridledger.protocol.proposal import EndorseRequest, SignedProposal
from gridledger.protocol.transaction_status import Status
from gridledger.waiting import first_done
from services.peer.channel import Channels
from services.peer.endorser.endorser import FIRST_REFUSAL, AdmittedProposal, Endorser
from services.peer.errors import ChaincodeRefused
from services.peer.gateway.commit_notifier import CommitNotifier
from services.peer.gateway.endorsed_here import EndorsedHere
from services.peer.gateway.endorsement import Collector
from services.peer.gateway.submission import Submitter

_ELSEWHERE = frozenset(("CHAINCODE_NOT_INSTALLED", "CHAINCODE_UNAVAILABLE"))
"""Why this peer cannot evaluate a proposal that another one may."""


class Elsewhere(Protocol):
    """Evaluates on another peer: the part of OtherNodes that evaluation needs."""

    async def evaluate(self, peer: Node, proposal: AdmittedProposal, timeout_s: float) -> bytes: ...


class Gateway:
    """What clients ask of a peer's gateway. Bodies are what clients send, answers the JSON texts they get."""

    def __init__(
        self,
        name: str,
        channels: Channels,
        *,
        endorser: Endorser,
        collector: Collector,
        submitter: Submitter,
        notifier: CommitNotifier,
        endorsed_here: EndorsedHere,
        elsewhere: Elsewhere,
        clock_us: Callable[[], int],
        random: Random,
        evaluate_timeout_s: float,
        effort: Effort | None = None,
    ) -> None:
        self._effort = effort or Effort()
        self._name = name
        self._channels = channels
        self._endorser = endorser
        self._collector = collector
        self._submitter = submitter
        self._notifier = notifier
        self._endorsed_here = endorsed_here
        self._elsewhere = elsewhere
        self._clock_us = clock_us
        self._random = random
        self._evaluate_timeout_s = evaluate_timeout_s

    async def endorse(self, body: bytes, caller: Identity) -> bytes:
        """Collect endorsements of a signed proposal: {"result", "endorsements", "endorsed_by"}."""
        if len(body) > LARGE_BYTES:
            request = await self._effort.in_thread(caller.signer, EndorseRequest.from_bytes, body)
        with self._effort.spent_by(caller.signer):
            if len(body) <= LARGE_BYTES:
                request = EndorseRequest.from_bytes(body)
            proposal = self._endorser.admit(request.signed, caller)
        endorsed = await self._collector.collect(proposal, request.organisations)
        proposed = request.signed.proposal
        self._endorsed_here.note(proposed.tx_id, proposed.channel, proposed.certificate(), endorsed.result_text)
        return jsontext.dumps(endorsed.to_dict())

    async def submit(self, envelope: bytes, caller: Identity) -> bytes:
        """Have a transaction ordered and committed: its status."""
        status = await self._submitter.submit(envelope, caller)
        return jsontext.dumps(status.to_dict())

    async def order(self, envelope: bytes, caller: Identity) -> bytes:
        """Have a transaction ordered: {"tx_id"}."""
        return jsontext.dumps({"tx_id": await self._submitter.order(envelope, caller)})

    async def evaluate(self, body: bytes, caller: Identity, *, forward: bool = True) -> bytes:
        """Run a proposal on one peer: {"status", "message", "payload"}. Nothing is signed, nothing ordered.

        Runs here, or on another peer where the chaincode is not to be had here. A refusal is ChaincodeRefused.
        """
        if len(body) > LARGE_BYTES:
            signed = await self._effort.in_thread(caller.signer, SignedProposal.from_bytes, body)
        with self._effort.spent_by(caller.signer):
            if len(body) <= LARGE_BYTES:
                signed = SignedProposal.from_bytes(body)
            proposal = self._endorser.admit(signed, caller, resource=EVALUATE)
        try:
            response = (await self._endorser.run(proposal)).response
        except GridLedgerError as error:
            if not forward or error.code not in _ELSEWHERE:
                raise
            return await self._evaluate_elsewhere(proposal, error)
        if response.status >= FIRST_REFUSAL:
            raise ChaincodeRefused(
                response.message,
                tx_id=proposal.signed.proposal.tx_id,
                response={"status": response.status, "message": response.message},
                endorsers={self._name: response.message},
            )
        return jsontext.dumps(response._asdict())

    async def _evaluate_elsewhere(self, proposal: AdmittedProposal, first: GridLedgerError) -> bytes:
        others = [node for node in proposal.channel.config.peers.values() if node.name != self._name]
        self._random.shuffle(others)
        # The healthy ones first; the sort keeps the shuffled order among equals.
        chaincode = proposal.definition.name
        others.sort(key=lambda node: self._collector.health.rank(node.name, chaincode))
        for node in others:
            try:
                return await self._elsewhere.evaluate(node, proposal, self._evaluate_timeout_s)
            except GridLedgerError as error:
                if error.status < 500:  # noqa: PLR2004 - what the client did wrong is wrong everywhere
                    raise
                self._collector.health.failed(node, chaincode, error)
        raise first

    async def status(self, channel_name: str, tx_id: str, caller: Identity, wait_s: float) -> Status | None:
        """A transaction's status; waits up to ``wait_s`` for its commit, None if it is not on the ledger by then."""
        channel = self._channels[channel_name]
        channel.require(COMMIT_STATUS, channel.identify(caller.certificate, self._clock_us()))
        if wait_s <= 0:
            return channel.status(tx_id)
        with self._notifier.waiting(channel_name, tx_id, caller.signer) as committed:
            await first_done((committed,), wait_s)
            return committed.result() if committed.done() else None

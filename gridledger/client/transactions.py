"""The steps of a transaction, as in fabric-gateway: proposal, endorsed transaction, submitted transaction, status."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gridledger import jsontext
from gridledger.client.errors import CommitError, CommitStatusError, EndorseError, SubmitError
from gridledger.client.queries import read_status
from gridledger.client.retry import Attempts, Retry
from gridledger.client.session import Session
from gridledger.errors import GridLedgerError, MalformedMessage, TimeoutExceeded
from gridledger.protocol.fields import hash_of
from gridledger.protocol.proposal import EndorseRequest, Proposal, SignedProposal
from gridledger.protocol.result import EndorsedResult, Endorsement, Result
from gridledger.protocol.transaction import Transaction, endorsements_text, signing_text
from gridledger.protocol.transaction_status import Status
from gridledger.transport import call_frames
from gridledger.transport.node_client import ConnectionFailed

UNKNOWN_OUTCOME_S = 5.0
"""How long, after an answer was lost and a later one is a refusal, the ledger is asked for the transaction."""


class ClientProposal:
    """A signed proposal that was not sent yet."""

    def __init__(self, session: Session, signed: SignedProposal, organisations: Sequence[str] | None = None) -> None:
        self._session = session
        self._signed = signed
        self._request = EndorseRequest(signed, None if organisations is None else tuple(organisations))

    @property
    def tx_id(self) -> str:
        """The transaction's id."""
        return self._signed.proposal.tx_id

    @property
    def proposal(self) -> Proposal:
        """The proposal itself."""
        return self._signed.proposal

    def to_bytes(self) -> bytes:
        """The body that a client posts to the gateway, to have the proposal endorsed."""
        return self._request.to_bytes()

    async def endorse(
        self, *, timeout_s: float | None = None, retry: Retry | Attempts | None = None
    ) -> ClientTransaction:
        """Have the proposal endorsed, and sign the transaction. Raises :class:`EndorseError`."""
        answer = await self._call(
            call_frames.ENDORSE, self.to_bytes(), timeout_s or self._session.timeouts.endorse_s, retry
        )
        try:
            result, endorsements = _read_endorsed(answer, self.proposal)
        except GridLedgerError as error:
            raise EndorseError(self.tx_id, error) from error
        endorsed = endorsements_text(endorsements)
        signed = signing_text(self.tx_id, result.hash, hash_of(endorsed))
        signature = self._session.identity.sign(signed)
        return ClientTransaction(self._session, Transaction(self.proposal, result, endorsements, endorsed, signature))

    async def evaluate(self, *, timeout_s: float | None = None, retry: Retry | Attempts | None = None) -> Any:
        """Run the proposal on one peer and return the payload. Nothing is ordered. Raises :class:`EndorseError`."""
        answer = await self._call(
            call_frames.EVALUATE, self._signed.to_bytes(), timeout_s or self._session.timeouts.evaluate_s, retry
        )
        return jsontext.loads(answer)["payload"]

    async def _call(self, kind: int, body: bytes, timeout_s: float, retry: Retry | Attempts | None) -> bytes:
        session = self._session
        try:
            return await session.gateways.call(self.proposal.channel, kind, body, timeout_s, session.attempts(retry))
        except GridLedgerError as error:
            raise EndorseError(self.tx_id, error) from error


class ClientTransaction:
    """An endorsed, signed transaction that was not submitted yet. Any gateway of the channel takes it."""

    def __init__(self, session: Session, transaction: Transaction) -> None:
        self._session = session
        self.transaction = transaction

    @property
    def tx_id(self) -> str:
        """The transaction's id."""
        return self.transaction.tx_id

    @property
    def result(self) -> Any:
        """The payload that the chaincode answered. It holds only if the transaction commits."""
        return self.transaction.result.response.payload

    def to_bytes(self) -> bytes:
        """The envelope."""
        return self.transaction.to_bytes()

    async def submit(
        self, *, timeout_s: float | None = None, retry: Retry | Attempts | None = None
    ) -> SubmittedTransaction:
        """Have the transaction ordered. Returns when it is in the replicated log. Raises :class:`SubmitError`."""
        await self._submit(call_frames.ORDER, timeout_s or self._session.timeouts.submit_s, retry)
        return SubmittedTransaction(self._session, self.transaction.proposal.channel, self.tx_id, self.result)

    async def submit_and_wait(self, *, timeout_s: float | None = None, retry: Retry | Attempts | None = None) -> Status:
        """Submit and wait for the commit, in one request; the status. Raises :class:`SubmitError`."""
        found = await self._submit(call_frames.SUBMIT, timeout_s or self._session.timeouts.commit_status_s, retry)
        if isinstance(found, Status):
            return found
        try:
            return Status.from_dict(jsontext.loads(found))
        except GridLedgerError as error:
            raise SubmitError(self.tx_id, error) from error

    async def _submit(self, kind: int, timeout_s: float, retry: Retry | Attempts | None) -> bytes | Status:
        """The gateway's answer; or the status, where an earlier attempt turns out to have been carried out."""
        session = self._session
        attempts = session.attempts(retry)
        attempts.uncertain = False
        try:
            return await session.gateways.call(
                self.transaction.proposal.channel, kind, self.to_bytes(), timeout_s, attempts
            )
        except GridLedgerError as error:
            if attempts.uncertain or error.code == "DUPLICATE_TXID":
                known = await self._known()
                if known is not None:
                    return known
            failed = SubmitError(self.tx_id, error)
            if attempts.uncertain or isinstance(error, ConnectionFailed | TimeoutExceeded):
                failed.details.setdefault("outcome", "unknown")
            raise failed from error

    async def _known(self) -> Status | None:
        """The status, if the transaction is on the ledger or comes there soon."""
        submitted = SubmittedTransaction(self._session, self.transaction.proposal.channel, self.tx_id, self.result)
        try:
            return await submitted.get_status(timeout_s=UNKNOWN_OUTCOME_S)
        except CommitStatusError:
            return None


class SubmittedTransaction:
    """A transaction that is ordered."""

    def __init__(self, session: Session, channel: str, tx_id: str, result: Any) -> None:
        self._session = session
        self._channel = channel
        self.tx_id = tx_id
        self.result = result

    async def get_status(self, *, timeout_s: float | None = None) -> Status:
        """Wait for the commit; the status. :class:`CommitStatusError` when it cannot be learned in time."""
        session, tx_id = self._session, self.tx_id
        wait_s = timeout_s or session.timeouts.commit_status_s
        try:
            return await session.read(self._channel, read_status, tx_id, wait_s=wait_s, timeout_s=wait_s + 1)
        except GridLedgerError as error:
            raise CommitStatusError(tx_id, error) from error


def check_committed(status: Status) -> None:
    """Raise :class:`CommitError` unless the transaction took effect."""
    if not status.successful:
        raise CommitError(status.tx_id, status.code, status.block)


def _read_endorsed(answer: bytes, proposal: Proposal) -> tuple[Result, tuple[Endorsement, ...]]:
    endorsed = EndorsedResult.from_dict(jsontext.loads(answer))
    result = Result.parse(endorsed.result_text)
    if (result.tx_id, result.channel, result.chaincode) != (proposal.tx_id, proposal.channel, proposal.chaincode):
        raise MalformedMessage("the gateway's answer belongs to another proposal")
    return result, endorsed.endorsements

"""The steps of a transaction, as in fabric-gateway: proposal, endorsed transaction, submitted transaction, status."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

from gridledger import jsontext
from gridledger.client.errors import CommitError, CommitStatusError, EndorseError, SubmitError
from gridledger.client.queries import read_status
from gridledger.client.retry import Attempts, Retry
from gridledger.client.session import Session
from gridledger.client.signers import checked
from gridledger.errors import GridLedgerError, MalformedMessage, SettingsError, TimeoutExceeded
from gridledger.protocol.fields import hash_of, object_of, value_of
from gridledger.protocol.proposal import EndorseRequest, Proposal, SignedProposal
from gridledger.protocol.result import EndorsedResult, Endorsement, Result
from gridledger.protocol.transaction import Transaction, endorsements_text, signing_text
from gridledger.protocol.transaction_status import Status
from gridledger.transport import call_frames
from gridledger.transport.node_client import ConnectionFailed

UNKNOWN_OUTCOME_S = 5.0
"""How long, after an answer was lost and a later one is a refusal, the ledger is asked for the transaction."""


class ClientProposal:
    """A proposal that was not sent yet. Where its signature comes from elsewhere: sign :attr:`bytes` or :attr:`digest`
    there, and go on with what :meth:`with_signature` gives."""

    def __init__(
        self,
        session: Session,
        proposal: Proposal,
        signature: bytes | None,
        *,
        transient: Mapping[str, Any] | None = None,
        organisations: Sequence[str] | None = None,
    ) -> None:
        self._session = session
        self._signature = signature
        self._transient = transient
        self._organisations = None if organisations is None else tuple(organisations)
        self.proposal = proposal

    @property
    def tx_id(self) -> str:
        """The transaction's id."""
        return self.proposal.tx_id

    @property
    def bytes(self) -> bytes:
        """What the client signs."""
        return self.proposal.text.encode()

    @property
    def digest(self) -> builtins.bytes:
        """SHA-256 of :attr:`bytes`, for those who sign digests (P-256)."""
        return sha256(self.bytes).digest()

    def with_signature(self, signature: builtins.bytes) -> ClientProposal:
        """The same proposal under this signature. :class:`BadCreatorSignature` where that is not its creator's."""
        signed = checked(self._session.signer.certificate, signature, self.bytes)
        return ClientProposal(
            self._session, self.proposal, signed, transient=self._transient, organisations=self._organisations
        )

    def to_bytes(self) -> builtins.bytes:
        """The body that a client posts to the gateway, to have the proposal endorsed."""
        return EndorseRequest(self._signed(), self._organisations).to_bytes()

    def _signed(self) -> SignedProposal:
        if self._signature is None:
            raise SettingsError("the proposal is not signed: sign its bytes or digest, and use with_signature")
        return SignedProposal(self.proposal, self._signature, self._transient)

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
        signature = await self._session.signature(signed)
        transaction = Transaction(self.proposal, result, endorsements, endorsed, signature or b"")
        return ClientTransaction(self._session, transaction)

    async def evaluate(self, *, timeout_s: float | None = None, retry: Retry | Attempts | None = None) -> Any:
        """Run the proposal on one peer and return the payload. Nothing is ordered. Raises :class:`EndorseError`."""
        answer = await self._call(
            call_frames.EVALUATE, self._signed().to_bytes(), timeout_s or self._session.timeouts.evaluate_s, retry
        )
        return value_of(object_of(jsontext.loads(answer), "an evaluation"), "payload")

    async def _call(
        self, kind: int, body: builtins.bytes, timeout_s: float, retry: Retry | Attempts | None
    ) -> builtins.bytes:
        session = self._session
        try:
            return await session.gateways.call(self.proposal.channel, kind, body, timeout_s, session.attempts(retry))
        except GridLedgerError as error:
            raise EndorseError(self.tx_id, error) from error


class ClientTransaction:
    """An endorsed transaction that was not submitted yet. Any gateway of the channel takes it.

    Where its signature comes from elsewhere: as for a :class:`ClientProposal`.
    """

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

    @property
    def bytes(self) -> bytes:
        """What the client signs."""
        transaction = self.transaction
        return signing_text(self.tx_id, transaction.result.hash, hash_of(transaction.endorsements_text))

    @property
    def digest(self) -> builtins.bytes:
        """SHA-256 of :attr:`bytes`, for those who sign digests (P-256)."""
        return sha256(self.bytes).digest()

    def with_signature(self, signature: builtins.bytes) -> ClientTransaction:
        """The same transaction under this signature. :class:`BadCreatorSignature` where that is not its creator's."""
        signed = checked(self._session.signer.certificate, signature, self.bytes)
        return ClientTransaction(self._session, replace(self.transaction, signature=signed))

    def to_bytes(self) -> builtins.bytes:
        """The envelope."""
        if not self.transaction.signature:
            raise SettingsError("the transaction is not signed: sign its bytes or digest, and use with_signature")
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

    async def _submit(self, kind: int, timeout_s: float, retry: Retry | Attempts | None) -> builtins.bytes | Status:
        """The gateway's answer; or the status, where an earlier attempt turns out to have been carried out."""
        session, envelope = self._session, self.to_bytes()
        attempts = session.attempts(retry)
        attempts.uncertain = False
        try:
            return await session.gateways.call(self.transaction.proposal.channel, kind, envelope, timeout_s, attempts)
        except GridLedgerError as error:
            if attempts.uncertain or error.code == "DUPLICATE_TXID":
                known = await self._known()
                if known is not None:
                    return known
            failed = SubmitError(self.tx_id, error)
            if attempts.uncertain or isinstance(error, ConnectionFailed | TimeoutExceeded):
                # Whatever the last gateway says of its own attempt: an earlier one may have been carried out.
                failed.details["outcome"] = "unknown"
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

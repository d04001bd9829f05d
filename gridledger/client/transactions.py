"""The steps of a transaction, as in fabric-gateway: proposal, endorsed transaction, submitted transaction, status."""

from __future__ import annotations

from typing import Any

from gridledger import jsontext
from gridledger.client.connection import GatewayConnection
from gridledger.client.errors import CommitError, CommitStatusError, EndorseError, SubmitError
from gridledger.client.queries import read_status
from gridledger.errors import GridLedgerError, MalformedMessage
from gridledger.protocol.fields import hash_of
from gridledger.protocol.proposal import Proposal, SignedProposal
from gridledger.protocol.result import EndorsedResult, Endorsement, Result
from gridledger.protocol.transaction import Transaction, endorsements_text, signing_text
from gridledger.protocol.transaction_status import Status
from gridledger.transport import call_frames


class ClientProposal:
    """A signed proposal that was not sent yet."""

    def __init__(self, connection: GatewayConnection, signed: SignedProposal) -> None:
        self._connection = connection
        self._signed = signed

    @property
    def tx_id(self) -> str:
        """The transaction's id."""
        return self._signed.proposal.tx_id

    @property
    def proposal(self) -> Proposal:
        """The proposal itself."""
        return self._signed.proposal

    def to_bytes(self) -> bytes:
        """The body that a client posts to the gateway."""
        return self._signed.to_bytes()

    async def endorse(self) -> ClientTransaction:
        """Have the proposal endorsed, and sign the transaction. Raises :class:`EndorseError`."""
        connection = self._connection
        try:
            answer = await connection.call(call_frames.ENDORSE, self.to_bytes(), connection.timeouts.endorse_s)
            result, endorsements = _read_endorsed(answer, self.proposal)
        except GridLedgerError as error:
            raise EndorseError(self.tx_id, error) from error
        endorsed = endorsements_text(endorsements)
        signed = signing_text(self.tx_id, result.hash, hash_of(endorsed))
        transaction = Transaction(self.proposal, result, endorsements, endorsed, connection.identity.sign(signed))
        return ClientTransaction(connection, transaction)

    async def evaluate(self) -> Any:
        """Run the proposal on one peer and return the payload. Nothing is ordered. Raises :class:`EndorseError`."""
        connection = self._connection
        try:
            answer = await connection.call(call_frames.EVALUATE, self.to_bytes(), connection.timeouts.evaluate_s)
        except GridLedgerError as error:
            raise EndorseError(self.tx_id, error) from error
        return jsontext.loads(answer)["payload"]


class ClientTransaction:
    """An endorsed, signed transaction that was not submitted yet."""

    def __init__(self, connection: GatewayConnection, transaction: Transaction) -> None:
        self._connection = connection
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

    async def submit(self) -> SubmittedTransaction:
        """Have the transaction ordered. Returns when it is in the replicated log. Raises :class:`SubmitError`."""
        connection = self._connection
        try:
            await connection.call(call_frames.ORDER, self.to_bytes(), connection.timeouts.submit_s)
        except GridLedgerError as error:
            raise SubmitError(self.tx_id, error) from error
        return SubmittedTransaction(connection, self.transaction.proposal.channel, self.tx_id, self.result)

    async def submit_and_wait(self) -> Status:
        """Submit and wait for the commit, in one request; the status. Raises :class:`SubmitError`."""
        connection = self._connection
        try:
            answer = await connection.call(call_frames.SUBMIT, self.to_bytes(), connection.timeouts.commit_status_s)
            return Status.from_dict(jsontext.loads(answer))
        except GridLedgerError as error:
            raise SubmitError(self.tx_id, error) from error


class SubmittedTransaction:
    """A transaction that is ordered."""

    def __init__(self, connection: GatewayConnection, channel: str, tx_id: str, result: Any) -> None:
        self._connection = connection
        self._channel = channel
        self.tx_id = tx_id
        self.result = result

    async def get_status(self) -> Status:
        """Wait for the commit; the status. :class:`CommitStatusError` when it cannot be learned in time."""
        node, wait_s = self._connection.node, self._connection.timeouts.commit_status_s
        try:
            return await read_status(node, self._channel, self.tx_id, wait_s=wait_s, timeout_s=wait_s + 1)
        except GridLedgerError as error:
            raise CommitStatusError(self.tx_id, error) from error


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

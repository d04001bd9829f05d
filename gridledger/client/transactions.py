"""The steps of a transaction, after fabric-gateway: proposal, endorsed transaction, submitted transaction, status."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gridledger import jsontext
from gridledger.client.connection import GatewayConnection
from gridledger.client.errors import CommitError, CommitStatusError, EndorseError, SubmitError
from gridledger.errors import GridLedgerError, MalformedMessage
from gridledger.protocol.fields import exactly, hash_of
from gridledger.protocol.proposal import Proposal, SignedProposal
from gridledger.protocol.result import Endorsement, Result
from gridledger.protocol.status import Status
from gridledger.protocol.transaction import Transaction, endorsements_text, signing_text
from gridledger.transport import call_frames


class ClientProposal:
    """A signed proposal, not sent yet."""

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
        """The body that is posted."""
        return self._signed.to_bytes()

    async def endorse(self) -> ClientTransaction:
        """Have the proposal endorsed and sign the transaction; :class:`EndorseError` where that fails."""
        connection = self._connection
        try:
            answer = await connection.call(call_frames.ENDORSE, self.to_bytes(), connection.timeouts.endorse_s)
            result, endorsements = _read_endorsed(answer, self.proposal)
        except GridLedgerError as error:
            raise EndorseError(self.tx_id, error) from error
        endorsed = endorsements_text(endorsements)
        signed = signing_text(self.tx_id, result.hash, hash_of(endorsed))
        transaction = Transaction(
            self.proposal, result, tuple(endorsements), endorsed, connection.identity.sign(signed)
        )
        return ClientTransaction(connection, transaction)

    async def evaluate(self) -> Any:
        """Run the proposal on one peer and return the payload; nothing is ordered."""
        connection = self._connection
        try:
            answer = await connection.call(call_frames.EVALUATE, self.to_bytes(), connection.timeouts.evaluate_s)
        except GridLedgerError as error:
            raise EndorseError(self.tx_id, error) from error
        return jsontext.loads(answer)["payload"]


class ClientTransaction:
    """An endorsed, signed transaction, not submitted yet."""

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
        """Have the transaction ordered; returns when it is in the replicated, durable log."""
        connection = self._connection
        try:
            await connection.call(call_frames.ORDER, self.to_bytes(), connection.timeouts.submit_s)
        except GridLedgerError as error:
            raise SubmitError(self.tx_id, error) from error
        return SubmittedTransaction(connection, self.transaction.proposal.channel, self.tx_id, self.result)

    async def submit_and_wait(self) -> Status:
        """Submit and learn the verdict in one request: one hop less than :meth:`submit` and then the status."""
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
        """Wait for the verdict; :class:`CommitStatusError` when it cannot be learned in time."""
        connection = self._connection
        wait_s = connection.timeouts.commit_status_s
        path = f"/channels/{self._channel}/transactions/{self.tx_id}/status"
        try:
            answer = await connection.get(path, wait_s + 1, wait_s=str(wait_s))
            return Status.from_dict(jsontext.loads(answer))
        except GridLedgerError as error:
            raise CommitStatusError(self.tx_id, error) from error


def check_committed(status: Status) -> None:
    """Raise :class:`CommitError` unless the transaction took effect."""
    if not status.successful:
        raise CommitError(status.tx_id, status.code, status.block)


def _read_endorsed(answer: bytes, proposal: Proposal) -> tuple[Result, Sequence[Endorsement]]:
    message = jsontext.loads(answer)
    if not isinstance(message, dict) or not isinstance(message.get("result"), str):
        raise MalformedMessage("the gateway's answer has no result")
    result = Result.parse(message["result"])
    if (result.tx_id, result.channel, result.chaincode) != (proposal.tx_id, proposal.channel, proposal.chaincode):
        raise MalformedMessage("the gateway's answer belongs to another proposal")
    endorsements = message.get("endorsements")
    if not isinstance(endorsements, list) or not endorsements:
        raise MalformedMessage("the gateway's answer has no endorsements")
    return result, [
        Endorsement.from_dict(exactly(item, frozenset(("endorser", "signature")), "an endorsement"))
        for item in endorsements
    ]

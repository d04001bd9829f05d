"""The steps of a transaction in blocking form: see :mod:`gridledger.client.transactions`."""

from __future__ import annotations

import builtins
from typing import Any

from gridledger.client import transactions as aio
from gridledger.client.blocking_loop import run
from gridledger.client.retry import Attempts, Retry
from gridledger.protocol.proposal import Proposal
from gridledger.protocol.transaction import Transaction
from gridledger.protocol.transaction_status import Status


class ClientProposal:
    """Blocking form of :class:`gridledger.client.ClientProposal`."""

    def __init__(self, inner: aio.ClientProposal) -> None:
        self._inner = inner

    @property
    def tx_id(self) -> str:
        """The transaction's id."""
        return self._inner.tx_id

    @property
    def proposal(self) -> Proposal:
        """The proposal itself."""
        return self._inner.proposal

    @property
    def bytes(self) -> builtins.bytes:
        """What the client signs."""
        return self._inner.bytes

    @property
    def digest(self) -> builtins.bytes:
        """SHA-256 of :attr:`bytes`."""
        return self._inner.digest

    def with_signature(self, signature: builtins.bytes) -> ClientProposal:
        """See :meth:`gridledger.client.ClientProposal.with_signature`."""
        return ClientProposal(self._inner.with_signature(signature))

    def to_bytes(self) -> builtins.bytes:
        """The body that a client posts to the gateway, to have the proposal endorsed."""
        return self._inner.to_bytes()

    def endorse(self, *, timeout_s: float | None = None, retry: Retry | Attempts | None = None) -> ClientTransaction:
        """See :meth:`gridledger.client.ClientProposal.endorse`."""
        return ClientTransaction(run(self._inner.endorse(timeout_s=timeout_s, retry=retry)))

    def evaluate(self, *, timeout_s: float | None = None, retry: Retry | Attempts | None = None) -> Any:
        """See :meth:`gridledger.client.ClientProposal.evaluate`."""
        return run(self._inner.evaluate(timeout_s=timeout_s, retry=retry))


class ClientTransaction:
    """Blocking form of :class:`gridledger.client.ClientTransaction`."""

    def __init__(self, inner: aio.ClientTransaction) -> None:
        self._inner = inner

    @property
    def tx_id(self) -> str:
        """The transaction's id."""
        return self._inner.tx_id

    @property
    def transaction(self) -> Transaction:
        """The transaction itself."""
        return self._inner.transaction

    @property
    def result(self) -> Any:
        """The payload that the chaincode answered. It holds only if the transaction commits."""
        return self._inner.result

    @property
    def bytes(self) -> builtins.bytes:
        """What the client signs."""
        return self._inner.bytes

    @property
    def digest(self) -> builtins.bytes:
        """SHA-256 of :attr:`bytes`."""
        return self._inner.digest

    def with_signature(self, signature: builtins.bytes) -> ClientTransaction:
        """See :meth:`gridledger.client.ClientTransaction.with_signature`."""
        return ClientTransaction(self._inner.with_signature(signature))

    def to_bytes(self) -> builtins.bytes:
        """The envelope."""
        return self._inner.to_bytes()

    def submit(self, *, timeout_s: float | None = None, retry: Retry | Attempts | None = None) -> SubmittedTransaction:
        """See :meth:`gridledger.client.ClientTransaction.submit`."""
        return SubmittedTransaction(run(self._inner.submit(timeout_s=timeout_s, retry=retry)))

    def submit_and_wait(self, *, timeout_s: float | None = None, retry: Retry | Attempts | None = None) -> Status:
        """See :meth:`gridledger.client.ClientTransaction.submit_and_wait`."""
        return run(self._inner.submit_and_wait(timeout_s=timeout_s, retry=retry))


class SubmittedTransaction:
    """Blocking form of :class:`gridledger.client.SubmittedTransaction`."""

    def __init__(self, inner: aio.SubmittedTransaction) -> None:
        self._inner = inner

    @property
    def tx_id(self) -> str:
        """The transaction's id."""
        return self._inner.tx_id

    @property
    def result(self) -> Any:
        """The payload that the chaincode answered. It holds only if the transaction commits."""
        return self._inner.result

    def get_status(self, *, timeout_s: float | None = None) -> Status:
        """See :meth:`gridledger.client.SubmittedTransaction.get_status`."""
        return run(self._inner.get_status(timeout_s=timeout_s))

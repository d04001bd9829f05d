"""Telling clients the status of their transactions, once the commit is durable on this peer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gridledger.errors import BusyError
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.status import Status
from services.peer.committer.messages import Committed

Lookup = Callable[[str, str], Status | None]
"""What the ledger says about (channel, tx_id): the status of the first copy, None if there is none."""

Tell = Callable[[Status], None]
"""Is called with a transaction's status, once."""


class CommitNotifier:
    """Who waits for which transaction, bounded; each is gone when it has been told, or removed."""

    def __init__(self, lookup: Lookup, *, max_waiters: int) -> None:
        self._lookup = lookup
        self._max_waiters = max_waiters
        self._waiters: dict[str, dict[str, list[Tell]]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, channel: str, tx_id: str, tell: Tell) -> Status | None:
        """Have ``tell`` called when the transaction is committed; its status if it is on the ledger already, and then
        ``tell`` is not called.

        Raises :class:`BusyError` when there are too many waiters.
        """
        if self._count >= self._max_waiters:
            raise BusyError(f"{self._count} callers wait for commits already; try again later", retry_after_s=1.0)
        self._waiters.setdefault(channel, {}).setdefault(tx_id, []).append(tell)
        self._count += 1
        # Registered first, looked up second: a commit in between is seen by one of the two.
        try:
            known = self._lookup(channel, tx_id)
        except BaseException:
            self.remove(channel, tx_id, tell)
            raise
        if known is not None:
            self.remove(channel, tx_id, tell)
        return known

    def remove(self, channel: str, tx_id: str, tell: Tell) -> None:
        """Forget a waiter; nothing to do if it has been told."""
        waiting = self._waiters.get(channel, {})
        tellers = waiting.get(tx_id, [])
        if tell in tellers:
            self._count -= 1
            tellers.remove(tell)
            if not tellers:
                del waiting[tx_id]

    @contextmanager
    def waiting(self, channel: str, tx_id: str) -> Iterator[asyncio.Future[Status]]:
        """A future that gets the status; it has it already if the transaction is on the ledger.

        Raises :class:`BusyError` when there are too many waiters.
        """
        future: asyncio.Future[Status] = asyncio.get_running_loop().create_future()

        def tell(status: Status) -> None:
            if not future.done():
                future.set_result(status)

        known = self.add(channel, tx_id, tell)
        if known is not None:
            future.set_result(known)
        try:
            yield future
        finally:
            self.remove(channel, tx_id, tell)
            future.cancel()

    def committed(self, report: Committed) -> None:
        """A block is durable: tell those who wait for its transactions."""
        waiting = self._waiters.get(report.channel)
        if not waiting:
            return
        for tx_id, code in zip(report.tx_ids, report.codes, strict=True):
            # Gone once told: of two copies in one block the first one is the transaction.
            tellers = waiting.pop(tx_id, None)
            if tellers is None:
                continue
            self._count -= len(tellers)
            status: Status | None = None
            if code == TxValidationCode.DUPLICATE_TXID:
                # A retry's second copy. The client asks about its transaction, and that is the first copy.
                status = self._lookup(report.channel, tx_id)
            if status is None:
                status = Status(tx_id, TxValidationCode(code), report.number, report.commit_hash)
            for tell in tellers:
                tell(status)

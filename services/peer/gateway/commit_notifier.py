"""Commit notifier: tells callers the status of their transactions once the commit is durable on this peer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.events import CommittedBlock
from gridledger.protocol.transaction_status import Status
from gridledger.shares import NOBODY, Caller, Pool

Lookup = Callable[[str, str], Status | None]
"""What the ledger says about (channel, tx_id): the status of the first copy, None if there is none."""


class CommitNotifier:
    """Keeps who waits for which transaction, within a bound that callers share."""

    def __init__(self, lookup: Lookup, *, max_waiters: int) -> None:
        self._lookup = lookup
        self._places = Pool("waits for commits", max_waiters, retry_after_s=1.0)
        self._waiters: dict[str, dict[str, list[asyncio.Future[Status]]]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @contextmanager
    def waiting(self, channel: str, tx_id: str, caller: Caller = NOBODY) -> Iterator[asyncio.Future[Status]]:
        """A future that gets the status; it has it already if the transaction is on the ledger.

        Raises :class:`BusyError` when there are too many waiters.
        """
        place = self._places.take(caller)
        committed: asyncio.Future[Status] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(channel, {}).setdefault(tx_id, []).append(committed)
        self._count += 1
        try:
            # Registered first, looked up second: a commit in between is seen by one of the two.
            known = self._lookup(channel, tx_id)
            if known is not None:
                committed.set_result(known)
            yield committed
        finally:
            place.give()
            self._remove(channel, tx_id, committed)
            committed.cancel()

    def _remove(self, channel: str, tx_id: str, committed: asyncio.Future[Status]) -> None:
        """Forget a waiter; nothing to do if it has been told."""
        waiting = self._waiters[channel]
        futures = waiting.get(tx_id, [])
        if committed in futures:
            self._count -= 1
            futures.remove(committed)
            if not futures:
                del waiting[tx_id]

    def committed(self, block: CommittedBlock) -> None:
        """A block is durable: tell those who wait for its transactions."""
        waiting = self._waiters.get(block.channel)
        if not waiting:
            return
        for tx_id, code in zip(block.tx_ids, block.codes, strict=True):
            # Gone once told: of two copies in one block the first one is the transaction.
            futures = waiting.pop(tx_id, None)
            if futures is None:
                continue
            self._count -= len(futures)
            status: Status | None = None
            if code == TxValidationCode.DUPLICATE_TXID:
                # A retry's second copy. The client asks about its transaction, and that is the first copy.
                status = self._lookup(block.channel, tx_id)
            if status is None:
                status = Status(tx_id, code, block.number, block.commit_hash)
            for future in futures:
                if not future.done():
                    future.set_result(status)

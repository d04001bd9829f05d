"""Telling clients what became of their transactions, once the commit is durable on this peer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from gridledger.errors import BusyError
from gridledger.protocol.codes import TxValidationCode
from services.peer.committer.messages import Committed


class Outcome(NamedTuple):
    """What became of a transaction: its TxValidationCode, its block, and this peer's commit hash of that block."""

    tx_id: str
    code: int
    block: int
    commit_hash: str

    @property
    def code_name(self) -> str:
        """Fabric's name of the code."""
        return TxValidationCode(self.code).name

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "tx_id": self.tx_id,
            "code": self.code,
            "code_name": self.code_name,
            "block": self.block,
            "commit_hash": self.commit_hash,
        }


Lookup = Callable[[str, str], Outcome | None]
"""What the ledger says about (channel, tx_id): the outcome of the first copy, None if there is none."""


Tell = Callable[[Outcome], None]
"""Is called with what became of a transaction, once."""


class CommitNotifier:
    """Who waits for which transaction, bounded; each is gone when it has been told, or removed."""

    def __init__(self, lookup: Lookup, *, max_waiters: int) -> None:
        self._lookup = lookup
        self._max_waiters = max_waiters
        self._waiters: dict[str, dict[str, list[Tell]]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, channel: str, tx_id: str, tell: Tell) -> Outcome | None:
        """Have ``tell`` called when the transaction is committed; its outcome if it is on the ledger already, and then
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
    def waiting(self, channel: str, tx_id: str) -> Iterator[asyncio.Future[Outcome]]:
        """A future that gets the outcome; it has it already if the transaction is on the ledger.

        Raises :class:`BusyError` when there are too many waiters.
        """
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def tell(outcome: Outcome) -> None:
            if not future.done():
                future.set_result(outcome)

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
            outcome: Outcome | None = None
            if code == TxValidationCode.DUPLICATE_TXID:
                # A retry's second copy. The client asks about its transaction, and that is the first copy.
                outcome = self._lookup(report.channel, tx_id)
            if outcome is None:
                outcome = Outcome(tx_id, code, report.number, report.commit_hash)
            for tell in tellers:
                tell(outcome)

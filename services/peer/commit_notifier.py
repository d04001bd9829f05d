"""Telling clients what became of their transactions, once the commit is durable on this peer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from gridledger.errors import BusyError
from gridledger.protocol.codes import TxValidationCode
from services.peer.reports import Committed


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


class CommitNotifier:
    """Waiters by transaction id, bounded; each is gone when its ``with`` block is left, however it is left."""

    def __init__(self, lookup: Lookup, *, max_waiters: int) -> None:
        self._lookup = lookup
        self._max_waiters = max_waiters
        self._waiters: dict[tuple[str, str], list[asyncio.Future[Outcome]]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @contextmanager
    def waiting(self, channel: str, tx_id: str) -> Iterator[asyncio.Future[Outcome]]:
        """A future that gets the outcome; it has it already if the transaction is on the ledger.

        Raises :class:`BusyError` when there are too many waiters.
        """
        if self._count >= self._max_waiters:
            raise BusyError(f"{self._count} callers wait for commits already; try again later", retry_after_s=1.0)
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        key = (channel, tx_id)
        self._waiters.setdefault(key, []).append(future)
        self._count += 1
        try:
            # Registered first, looked up second: a commit in between is seen by one of the two.
            known = self._lookup(channel, tx_id)
            if known is not None:
                future.set_result(known)
            yield future
        finally:
            self._count -= 1
            futures = self._waiters.get(key)
            if futures is not None:
                futures.remove(future)
                if not futures:
                    del self._waiters[key]
            future.cancel()

    def committed(self, report: Committed) -> None:
        """A block is durable: tell those who wait for its transactions."""
        if not self._waiters:
            return
        told: set[str] = set()
        for tx_id, code in zip(report.tx_ids, report.codes, strict=True):
            futures = self._waiters.get((report.channel, tx_id))
            if futures is None or tx_id in told:
                continue
            told.add(tx_id)
            outcome: Outcome | None = None
            if code == TxValidationCode.DUPLICATE_TXID:
                # A retry's second copy. The client asks about its transaction, and that is the first copy.
                outcome = self._lookup(report.channel, tx_id)
            if outcome is None:
                outcome = Outcome(tx_id, code, report.number, report.commit_hash)
            for future in futures:
                if not future.done():
                    future.set_result(outcome)

"""Waiters for commits: told once, told the first copy's code, bounded, and never left behind."""

from __future__ import annotations

import asyncio

import pytest

from gridledger.errors import BusyError
from gridledger.protocol.codes import TxValidationCode as Code
from gridledger.protocol.events import CommittedBlock
from gridledger.protocol.transaction_status import Status
from services.peer.gateway.commit_notifier import CommitNotifier


def block(number: int, *transactions: tuple[str, Code]) -> CommittedBlock:
    return CommittedBlock(
        channel="c",
        number=number,
        hash="h",
        timestamp_us=0,
        commit_hash=f"commit-{number}",
        tx_ids=tuple(tx_id for tx_id, _ in transactions),
        codes=tuple(code for _, code in transactions),
    )


class Ledger:
    def __init__(self) -> None:
        self.statuses: dict[tuple[str, str], Status] = {}

    def lookup(self, channel: str, tx_id: str) -> Status | None:
        return self.statuses.get((channel, tx_id))


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def notifier(ledger: Ledger) -> CommitNotifier:
    return CommitNotifier(ledger.lookup, max_waiters=3)


async def test_waiter_learns_code_block_and_commit_hash(notifier: CommitNotifier) -> None:
    with notifier.waiting("c", "t1") as future:
        notifier.committed(block(7, ("t0", Code.VALID), ("t1", Code.MVCC_READ_CONFLICT)))
        assert await future == Status("t1", Code.MVCC_READ_CONFLICT, 7, "commit-7")
    assert len(notifier) == 0


async def test_every_waiter_for_the_same_transaction_is_told(notifier: CommitNotifier) -> None:
    with notifier.waiting("c", "t") as first, notifier.waiting("c", "t") as second:
        notifier.committed(block(1, ("t", Code.VALID)))
        assert (await first) == (await second)


async def test_transaction_that_is_on_the_ledger_already_is_told_at_once(
    notifier: CommitNotifier, ledger: Ledger
) -> None:
    ledger.statuses["c", "t"] = Status("t", Code.VALID, 3, "x")
    with notifier.waiting("c", "t") as future:
        assert future.done()
        assert (await future).block == 3


async def test_other_channels_transaction_of_the_same_id_is_another(notifier: CommitNotifier) -> None:
    with notifier.waiting("other", "t") as future:
        notifier.committed(block(1, ("t", Code.VALID)))
        assert not future.done()


async def test_second_copy_tells_the_code_of_the_first(notifier: CommitNotifier, ledger: Ledger) -> None:
    with notifier.waiting("c", "t") as future:
        # The first copy was committed between the block before and this waiter's registration.
        ledger.statuses["c", "t"] = Status("t", Code.VALID, 3, "first")
        notifier.committed(block(4, ("t", Code.DUPLICATE_TXID)))
        assert await future == Status("t", Code.VALID, 3, "first")


async def test_two_copies_in_one_block_tell_the_code_of_the_first(notifier: CommitNotifier) -> None:
    with notifier.waiting("c", "t") as future:
        notifier.committed(block(4, ("t", Code.VALID), ("t", Code.DUPLICATE_TXID)))
        assert (await future).code == Code.VALID


async def test_waiters_are_bounded(notifier: CommitNotifier) -> None:
    with notifier.waiting("c", "1"), notifier.waiting("c", "2"), notifier.waiting("c", "3"):
        with pytest.raises(BusyError) as caught, notifier.waiting("c", "4"):
            pass
        assert caught.value.retry_after_s > 0
    assert len(notifier) == 0


async def test_cancelled_waiter_leaves_nothing_behind(notifier: CommitNotifier) -> None:
    registered = asyncio.Event()

    async def wait() -> None:
        with notifier.waiting("c", "t") as future:
            registered.set()
            await future

    task = asyncio.create_task(wait())
    await registered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(notifier) == 0
    assert not any(notifier._waiters.values())
    notifier.committed(block(1, ("t", Code.VALID)))

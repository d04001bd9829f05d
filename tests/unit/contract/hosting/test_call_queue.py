"""The queue of calls before a pool's hosts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridledger.contract.hosting.call_queue import MAX_BATCH_BYTES, CallQueue, ChaincodeBusy
from gridledger.contract.hosting.wire import MAX_BATCH, Request
from gridledger.errors import GridLedgerError, UnavailableError


def request(name: str, size: int = 10) -> Request:
    return Request(b"caller", name.encode(), b"x" * size, b"")


def queue_of(waiting: int = 100, wait_s: float = 5.0) -> CallQueue:
    return CallQueue("test", waiting, lambda: wait_s, lambda: UnavailableError("too late"))


def names(calls: list[Any]) -> list[str]:
    return [call.request.tx_id.decode() for call in calls]


async def test_calls_are_taken_in_order_in_batches() -> None:
    queue = queue_of()
    results = [queue.add("c", request(str(number))) for number in range(5)]
    first, second = queue.take(3), queue.take(MAX_BATCH)
    assert (names(first), names(second)) == (["0", "1", "2"], ["3", "4"])
    second[0].settle("done")
    assert await results[3] == "done"
    assert len(queue) == 0


async def test_large_calls_do_not_share_a_batch() -> None:
    queue = queue_of()
    for name in ("a", "b", "c"):
        queue.add("c", request(name, MAX_BATCH_BYTES // 2))
    assert names(queue.take(MAX_BATCH)) == ["a"]


async def test_what_was_cancelled_is_not_taken() -> None:
    queue = queue_of()
    results = [queue.add("c", request(str(number))) for number in range(3)]
    results[1].cancel()
    assert names(queue.take(MAX_BATCH)) == ["0", "2"]


async def test_calls_come_back_before_all_others() -> None:
    queue = queue_of()
    for name in ("a", "b", "c"):
        queue.add("c", request(name))
    first, second = queue.take(2)
    first.settle("done")
    second.alone = True
    queue.add_again([first, second])
    assert second.attempts == 1
    # One that may have killed its host gets a batch of its own; what is settled does not come back.
    assert names(queue.take(MAX_BATCH)) == ["b"]
    assert names(queue.take(MAX_BATCH)) == ["c"]


async def test_the_queue_is_bounded_and_counts_no_cancelled() -> None:
    queue = queue_of(waiting=2)
    results = [queue.add("c", request(str(number))) for number in range(2)]
    with pytest.raises(ChaincodeBusy):
        queue.add("c", request("2"))
    results[0].cancel()
    queue.add("c", request("3"))
    assert names(queue.take(MAX_BATCH)) == ["1", "3"]


async def test_idle_hosts_share_what_came_in_one_turn() -> None:
    queue = queue_of(waiting=0)
    taken: list[int] = []

    async def host() -> None:
        await queue.wait()
        taken.append(len(queue.take(MAX_BATCH)))

    hosts = [asyncio.create_task(host()) for _ in range(2)]
    await asyncio.sleep(0)
    assert queue.idle == 2
    for number in range(40):
        queue.add("c", request(str(number)))
    await asyncio.gather(*hosts)
    assert taken == [20, 20]


async def test_calls_that_wait_too_long_are_told() -> None:
    queue = queue_of(wait_s=0.01)
    with pytest.raises(GridLedgerError, match="too late"):
        await queue.add("c", request("a"))
    assert len(queue) == 0


async def test_closing_ends_all_that_wait() -> None:
    queue = queue_of()
    result = queue.add("c", request("a"))
    queue.close(lambda: UnavailableError("stopped"))
    with pytest.raises(UnavailableError, match="stopped"):
        await result


ALICE, BOB, CAROL = ("Org1MSP", "alice"), ("Org1MSP", "bob"), ("Org2MSP", "carol")


async def test_hosts_take_one_call_of_each_caller_in_turn() -> None:
    """One caller's many calls, however slow, hold another one's up by one call only."""
    queue = queue_of()
    for number in range(6):
        queue.add("c", request(f"a{number}"), ALICE)
    for caller, name in ((BOB, "b0"), (CAROL, "c0"), (BOB, "b1")):
        queue.add("c", request(name), caller)
    assert names(queue.take(1)) == ["a0"]
    assert names(queue.take(5)) == ["b0", "c0", "a1", "b1", "a2"]
    assert names(queue.take(MAX_BATCH)) == ["a3", "a4", "a5"]
    assert len(queue) == 0


async def test_a_full_queue_has_room_for_callers_with_few_calls() -> None:
    queue = queue_of(waiting=14)
    for number in range(14):
        queue.add("c", request(f"a{number}"), ALICE)
    with pytest.raises(ChaincodeBusy, match="14 of them yours"):
        queue.add("c", request("a"), ALICE)
    queue.add("c", request("b0"), BOB)
    queue.add("c", request("c0"), CAROL)
    with pytest.raises(ChaincodeBusy):
        queue.add("c", request("b1"), BOB)
    assert names(queue.take(3)) == ["a0", "b0", "c0"]
    queue.add("c", request("b2"), BOB)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from((ALICE, BOB, CAROL)), st.integers(0, 5), st.booleans()), max_size=60))
def test_no_call_is_lost_or_run_twice(steps: list[tuple[tuple[str, str], int, bool]]) -> None:
    """Whatever is added, taken, cancelled and given back; each caller's calls stay in their order."""

    async def run() -> None:
        queue, added, taken = queue_of(waiting=1000), dict[str, asyncio.Future[str]](), list[str]()
        for number, (caller, count, again) in enumerate(steps):
            name = f"{caller[1]}-{number:03}"
            added[name] = queue.add("c", request(name), caller)
            calls = queue.take(count) if count else []
            if again:
                queue.add_again(calls)
            else:
                taken += names(calls)
        while calls := queue.take(MAX_BATCH):
            taken += names(calls)
        assert sorted(taken) == sorted(added)
        assert len(queue) == 0
        queue.close(lambda: UnavailableError("closed"))

    asyncio.run(run())

"""Many calls together: in batches, on one view of the ledger, and each answered by itself whatever the others do."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from gridledger.contract.hosting import pool as pool_module
from gridledger.contract.hosting.call_queue import ChaincodeBusy
from gridledger.contract.hosting.host_process import (
    ChaincodeCrashed,
    ChaincodeTimeout,
    ChaincodeUnavailable,
    HostProcess,
)
from gridledger.contract.hosting.pool import HostPool
from gridledger.contract.hosting.wire import MAX_BATCH
from gridledger.errors import GridLedgerError
from gridledger.protocol.result import Result, Version
from tests.support.waiting import until
from tests.support.wild_chaincode import CALLER, Pools, payload, proposal

pytestmark = pytest.mark.timeout(60)


class Asked:
    """Calls made in one turn of the event loop, and what came back."""

    def __init__(self, pool: HostPool, *functions: tuple[Any, ...], channel: str = "c1") -> None:
        proposals = [proposal(name, *args, channel=channel) for name, *args in functions]
        self.tasks = [asyncio.create_task(pool.call(each, CALLER)) for each in proposals]

    async def all(self) -> list[Any]:
        """Payloads and errors, in the order asked."""
        return [
            outcome if isinstance(outcome, BaseException) else Result.parse(outcome).response.payload
            for outcome in await self.outcomes()
        ]

    async def outcomes(self) -> list[str | BaseException]:
        """Results' texts and errors, in the order asked."""
        return await asyncio.gather(*self.tasks, return_exceptions=True)

    def done(self) -> int:
        return sum(task.done() for task in self.tasks)

    def cancel(self) -> None:
        for task in self.tasks:
            task.cancel()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Full batches from the first on, and a call is soon taken to be stuck."""
    monkeypatch.setattr(pool_module, "_FIRST_CALL_S", 1e-6)
    monkeypatch.setattr(pool_module, "STUCK_S", 0.1)


@pytest.mark.usefixtures("quick")
async def test_calls_go_together_and_are_answered_in_their_places(pools: Pools) -> None:
    async with pools() as pool:
        assert await Asked(pool, *(("add", "a", number) for number in range(8))).all() == list(range(1, 9))


@pytest.mark.usefixtures("quick")
async def test_a_batch_sees_what_was_committed_before_it_was_asked_for(
    pools: Pools, make_ledger: Callable[..., Any]
) -> None:
    async with pools() as pool:
        for height in range(2, 6):
            make_ledger("c1", height=height, a=height)
            asked = Asked(pool, *[("add", "a", 0)] * 4)
            assert await asked.all() == [height] * 4
            results = [Result.parse(str(outcome)) for outcome in await asked.outcomes()]
            assert {read.version for result in results for read in result.reads} == {Version(height - 1, 0)}


@pytest.mark.usefixtures("quick")
async def test_refusals_and_failures_are_each_its_own(pools: Pools) -> None:
    async with pools() as pool:
        asked = Asked(pool, ("add", "a", 1), ("refuse",), ("fail",), ("nowhere",), ("add", "b", 1))
        statuses = [Result.parse(str(outcome)).response.status for outcome in await asked.outcomes()]
        assert statuses == [200, 400, 500, 400, 200]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("function", "position"), [("die", 0), ("crash", 3), ("die", 7)])
async def test_a_death_costs_its_own_call_and_one_host(pools: Pools, function: str, position: int) -> None:
    async with pools(size=2) as pool:
        hosts = {await payload(pool, "pid") for _ in range(8)}
        functions: list[tuple[Any, ...]] = [("add", "a", number) for number in range(8)]
        functions[position] = (function,)
        outcomes = await Asked(pool, *functions).all()
        assert isinstance(outcomes[position], ChaincodeCrashed)
        assert [value for place, value in enumerate(outcomes) if place != position] == [
            number + 1 for number in range(8) if number != position
        ]
        await until(lambda: pool.status()["idle"] == 2)
        assert len(hosts - {await payload(pool, "pid") for _ in range(8)}) <= 1


@pytest.mark.usefixtures("quick")
async def test_a_hang_costs_its_own_call_and_no_other_waits_for_it(pools: Pools) -> None:
    async with pools(size=2, call_timeout_s=4.0) as pool:
        asked = Asked(pool, ("add", "a", 1), ("stubborn",), *[("add", "b", 1)] * 6)
        await until(lambda: asked.done() >= 7)
        # The hang has not ended: its call would be answered.
        assert asked.done() == 7
        outcomes = await asked.all()
        assert isinstance(outcomes[1], ChaincodeTimeout)
        assert [outcomes[0], *outcomes[2:]] == [2] + [3] * 6
        await until(lambda: pool.status()["idle"] == 2)


@pytest.mark.usefixtures("quick")
async def test_a_slow_call_is_answered_after_those_behind_it(pools: Pools) -> None:
    async with pools(size=2) as pool:
        asked = Asked(pool, ("nap", 0.5), *[("add", "a", 1)] * 5)
        await until(lambda: asked.done() == 5)
        assert not asked.tasks[0].done()
        assert await asked.all() == ["rested", *[2] * 5]


@pytest.mark.usefixtures("quick")
async def test_a_call_that_eats_memory_costs_its_host_alone(pools: Pools) -> None:
    async with pools(memory_bytes=128 * 1024 * 1024) as pool:
        pid = await payload(pool, "pid")
        asked = Asked(pool, ("add", "a", 1), ("eat",), ("add", "a", 2), ("pid",))
        outcomes = await asked.all()
        assert (outcomes[0], outcomes[2]) == (2, 3)
        assert Result.parse(str((await asked.outcomes())[1])).response.message.startswith("MemoryError")
        assert outcomes[3] != pid


@pytest.mark.usefixtures("quick")
async def test_a_forged_answer_costs_its_own_call(pools: Pools) -> None:
    async with pools() as pool:
        pid = await payload(pool, "pid")
        outcomes = await Asked(pool, ("add", "a", 1), ("forge", "{}"), ("add", "a", 2), ("pid",)).all()
        assert isinstance(outcomes[1], ChaincodeCrashed)
        assert (outcomes[0], outcomes[2]) == (2, 3)
        assert outcomes[3] != pid


@pytest.mark.usefixtures("quick")
async def test_channels_that_came_later_are_found_by_a_batch(pools: Pools, make_ledger: Callable[..., Any]) -> None:
    async with pools(size=2) as pool:
        assert await payload(pool, "add", "a", 1) == 2
        missing = await Asked(pool, *[("add", "a", 1)] * 3, channel="c2").all()
        assert all(isinstance(outcome, ChaincodeUnavailable) for outcome in missing)
        make_ledger("c2", a=7)
        assert await Asked(pool, *[("add", "a", 1)] * 3, channel="c2").all() == [8] * 3


@pytest.mark.usefixtures("quick")
async def test_more_than_may_wait_are_refused_each(pools: Pools) -> None:
    async with pools(waiting=4) as pool:
        outcomes = await Asked(pool, *[("add", "a", 1)] * (MAX_BATCH + 6)).all()
        assert outcomes[: MAX_BATCH + 4] == [2] * (MAX_BATCH + 4)
        assert all(isinstance(outcome, ChaincodeBusy) for outcome in outcomes[MAX_BATCH + 4 :])


@pytest.mark.usefixtures("quick")
async def test_cancelled_calls_that_wait_are_not_run(pools: Pools) -> None:
    async with pools() as pool:
        slow = Asked(pool, ("nap", 0.2))
        await until(lambda: pool.status()["idle"] == 0)
        dropped = Asked(pool, *[("die",)] * 3)
        await until(lambda: pool.status()["waiting"] == 3)
        dropped.cancel()
        assert await Asked(pool, ("add", "a", 1)).all() == [2]
        assert await slow.all() == ["rested"]


@pytest.mark.usefixtures("quick")
async def test_closing_answers_all_that_wait_or_run(pools: Pools) -> None:
    async with pools() as pool:
        running = Asked(pool, ("hang",), ("add", "a", 1))
        await until(lambda: pool.status()["idle"] == 0)
        waiting = Asked(pool, ("add", "a", 1))
        await until(lambda: pool.status()["waiting"] >= 1)
        await pool.close()
        outcomes = [*await running.all(), *await waiting.all(), *await Asked(pool, ("pid",)).all()]
        assert all(isinstance(outcome, ChaincodeUnavailable) for outcome in outcomes)


async def test_slow_calls_go_one_by_one(pools: Pools) -> None:
    async with pools(size=2) as pool:
        assert await Asked(pool, *[("nap", 0.1)] * 4).all() == ["rested"] * 4
        pids = await Asked(pool, *[("nap", 0.1, True)] * 4).all()
        assert len(set(pids)) == 2
        assert os.getpid() not in pids


async def test_calls_of_one_turn_of_the_loop_share_batches(pools: Pools, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def send(host: HostProcess, calls: Sequence[Any], timeout_s: float) -> None:
        sizes.append(len(calls))
        real(host, calls, timeout_s)

    real = HostProcess.send
    async with pools() as pool:
        monkeypatch.setattr(HostProcess, "send", send)
        assert await payload(pool, "add", "a", 1) == 2
        assert sizes == [1]
        assert await asyncio.gather(*(payload(pool, "add", "a", 1) for _ in range(16))) == [2] * 16
        assert sum(sizes) == 17
        assert len(sizes) <= 6


@pytest.mark.parametrize("reply", [b"\x03{}", b"\x03rubbish", b"\x01\xff"])
async def test_a_reply_that_cannot_be_read_costs_its_call_and_host(
    pools: Pools, reply: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a chaincode could send one that found the host's socket."""
    async with pools() as pool:
        pid = await payload(pool, "pid")

        def read(host: HostProcess) -> list[tuple[int, bytes]]:
            monkeypatch.undo()
            host._expected.clear()
            return [(reply[0], reply[1:])]

        monkeypatch.setattr(HostProcess, "_read", read)
        with pytest.raises(GridLedgerError):
            await payload(pool, "add", "a", 1)
        assert await payload(pool, "pid") != pid


async def test_a_defect_of_the_pool_leaves_no_call_waiting(pools: Pools, monkeypatch: pytest.MonkeyPatch) -> None:
    async with pools() as pool:
        with monkeypatch.context() as broken:
            broken.setattr("gridledger.contract.hosting.wire.read_result", lambda _: 1 / 0)
            with pytest.raises(ChaincodeCrashed, match="log says why"):
                await asyncio.wait_for(payload(pool, "add", "a", 1), 10)
        assert await payload(pool, "add", "a", 1) == 2

"""The engine's rounds: open and closed loop, bounds, users that come and go, being told to come later."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from benchmarks.load.engine import Engine, RoundRun, Tally, rounded
from benchmarks.load.plan import BenchFile, ControllerSpec, LoadStream, Round
from benchmarks.load.transaction_log import TransactionLog
from gridledger.client import CommitError
from gridledger.errors import BusyError
from gridledger.protocol.codes import TxValidationCode
from tests.support.waiting import eventually


class Ledger:
    """Stands where a workload's streams lead: answers after a while, and knows how many were there at once."""

    readonly = False

    def __init__(self, lasts_s: float = 0.005, *, at_once: int = 10_000, fails: Any = None) -> None:
        self._lasts_s, self._fails = lasts_s, fails
        self._room = asyncio.Semaphore(at_once)
        self.numbers: list[int] = []
        self.present = self.most = 0

    async def send(self, number: int) -> None:
        self.numbers.append(number)
        self.present += 1
        self.most = max(self.most, self.present)
        try:
            async with self._room:
                await asyncio.sleep(self._lasts_s)
            if self._fails is not None and (error := self._fails(len(self.numbers))) is not None:
                raise error
        finally:
            self.present -= 1


def running(ledger: Ledger, kind: str, opts: dict[str, Any], **changes: Any) -> RoundRun:
    begins = time.time()
    plan = Round(workloads=["x"], controller=ControllerSpec(type=kind, opts=opts), start_at=begins, first=7, **changes)
    return RoundRun(plan, [("x", ledger)], Tally())  # type: ignore[list-item]


def codes(log: TransactionLog) -> list[str]:
    return [code for *_, code in log.rows()]


async def test_open_loop_counts_latency_from_the_intended_time() -> None:
    ledger = Ledger(0.02, at_once=1)
    run = running(ledger, "fixed-rate", {"tps": 100}, duration_s=0.4)
    await run.run()
    rows = list(run.log.rows())
    assert len(rows) == 40
    intended = sorted(row[0] for row in rows)
    assert intended == pytest.approx([number / 100 for number in range(40)])
    # Twice as much on offer as is done: each waits longer than the one before, and none is left out.
    latencies = [ended - intended for intended, _, ended, _ in sorted(rows)]
    assert all(0 <= sent - intended < 0.2 for intended, sent, _, _ in rows)
    assert latencies[-1] > 0.35
    assert latencies[-1] > latencies[20] > latencies[0]


async def test_closed_loop_has_as_many_under_way_as_users() -> None:
    ledger = Ledger()
    run = running(ledger, "closed-loop", {"users": 5}, duration_s=0.2)
    await run.run()
    assert ledger.most == 5
    assert len(run.log.code) > 20


async def test_users_come_and_go_by_order() -> None:
    ledger = Ledger()
    plan = Round(workloads=["x"], start_at=time.time(), first=1)
    run = RoundRun(plan, [("x", ledger)], Tally())  # type: ignore[list-item]
    under_way = asyncio.create_task(run.run())

    async def present() -> bool:
        return ledger.present == users

    for users in (4, 1, 3):
        run.set_users({"x": users})
        await eventually(present, within_s=5, what=f"{users} users")
    run.stop()
    await asyncio.wait_for(under_way, 2)
    assert ledger.present == 0


@pytest.mark.parametrize(("kind", "opts"), [("fixed-rate", {"tps": 2000}), ("closed-loop", {"users": 9})])
async def test_engines_share_the_number_asked_for_and_repeat_none(kind: str, opts: dict[str, Any]) -> None:
    ledgers = [Ledger(), Ledger(), Ledger()]
    for index, ledger in enumerate(ledgers):
        await running(ledger, kind, opts, index=index, count=3, transactions=100).run()
    assert [len(ledger.numbers) for ledger in ledgers] == [34, 33, 33]
    assert len({number for ledger in ledgers for number in ledger.numbers}) == 100


async def test_what_is_sent_in_the_warm_up_is_no_part_of_the_number() -> None:
    run = running(Ledger(), "fixed-rate", {"tps": 500}, warmup_s=0.1, transactions=50)
    await run.run()
    assert sum(intended >= 0.1 for intended, *_ in run.log.rows()) == 50
    assert sum(intended < 0.1 for intended, *_ in run.log.rows()) == 50


async def test_a_user_waits_as_told_and_a_schedule_does_not() -> None:
    def busy(_: int) -> BusyError:
        return BusyError("full", retry_after_s=0.08)

    closed = running(Ledger(0.001, fails=busy), "closed-loop", {"users": 1}, duration_s=0.3)
    await closed.run()
    assert 2 <= len(closed.log.code) <= 5
    opened = running(Ledger(0.001, fails=busy), "fixed-rate", {"tps": 100}, duration_s=0.3)
    await opened.run()
    assert codes(opened.log) == ["BUSY"] * 30
    assert opened.log.committed == set()


async def test_invalid_and_refused_transactions_are_told_apart() -> None:
    def conflict(number: int) -> CommitError | None:
        return CommitError("tx", TxValidationCode.MVCC_READ_CONFLICT, 1) if number % 2 else None

    run = running(Ledger(fails=conflict), "closed-loop", {"users": 1}, transactions=10)
    await run.run()
    assert sorted(codes(run.log)) == ["MVCC_READ_CONFLICT"] * 5 + ["VALID"] * 5
    assert run.log.committed == {"MVCC_READ_CONFLICT", "VALID"}
    assert (run.progress.finished, run.progress.succeeded) == (10, 5)


@pytest.mark.parametrize(("latency", "shown"), [(0.4, 0), (99.4, 99), (147, 150), (3432, 3400), (58760, 59000)])
def test_latencies_are_rounded_as_locust_does(latency: float, shown: int) -> None:
    assert rounded(latency) == shown


def test_a_tally_is_empty_once_it_was_taken() -> None:
    tally = Tally()
    tally.add("x", 0.0123, None)
    tally.add("x", 0.2, "BUSY")
    taken = tally.take()["x"]
    assert (dict(taken["times"]), dict(taken["errors"])) == ({"12": 1, "200": 1}, {"BUSY": 1})
    assert (taken["min_ms"], taken["max_ms"]) == (pytest.approx(12.3), pytest.approx(200))
    assert tally.take() == {}


class Answering:
    """Stands where a gateway does: answers each transaction at once."""

    def get_network(self, _channel: str) -> Answering:
        return self

    get_contract = get_network

    async def submit_transaction(self, *_: Any) -> None:
        await asyncio.sleep(0.001)


def engine() -> tuple[Engine, asyncio.Queue[dict[str, Any]]]:
    """An engine of one workload, and its reports of rounds that are over."""
    stream = LoadStream(url="a", channel="c", chaincode="kv", identity="me", function="put", argument={"bytes": 1})
    done: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def report(given: dict[str, Any]) -> None:
        if "done" in given:
            done.put_nowait(given)

    made = Engine(BenchFile(roots="r", workloads={"put": [stream]}), report)
    made._gateway = lambda _: Answering()  # type: ignore[assignment,method-assign,return-value]
    return made, done


def round_order(**changes: Any) -> dict[str, Any]:
    return {"round": Round(workloads=["put"], start_at=time.time(), first=1, **changes).model_dump()}


async def test_users_that_arrive_with_their_round_take_part() -> None:
    made, done = engine()
    made.order(round_order(transactions=20))
    made.order({"users": {"put": 2}})
    report = await asyncio.wait_for(done.get(), 10)
    assert report == {"done": {"sent": 20}}


async def test_a_round_that_is_stopped_before_it_begins_sends_nothing() -> None:
    made, done = engine()
    made.order(round_order(controller=ControllerSpec(type="fixed-rate", opts={"tps": 100})))
    made.order(round_order(transactions=5))
    made.order({"users": {"put": 1}})
    reports = [await asyncio.wait_for(done.get(), 10) for _ in range(2)]
    assert reports == [{"done": {"sent": 0}}, {"done": {"sent": 5}}]

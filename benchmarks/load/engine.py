"""The engine, the process that sends: ``python -m benchmarks.load.engine BENCH_JSON``. Each Locust worker has one.

It runs the SDK on uvloop, either by an open-loop schedule (a transaction's latency counts from its intended time, even
if earlier transactions are late) or as a closed loop of users (each waits for its answer, and after a 429 for as long
as it says). Orders arrive as lines of JSON on standard input: ``{"round": ...}`` (:class:`.plan.Round`), ``{"users":
{workload: number}}``, ``{"stop": true}``. Reports go to standard output: ``{"ready": true}``; every 100 ms the
transactions that ended since, as counts by milliseconds, so that Locust's work does not grow with the rate; and
``{"done": ...}`` after a round.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.load.plan import CLOSED_LOOP, DRAIN_S, BenchFile, LoadStream, Round
from benchmarks.load.rates import (
    ClosedLoop,
    Controller,
    LoadProgress,
    Share,
    build_controller,
    recorder,
    validated_options,
)
from benchmarks.load.traces import encode
from benchmarks.load.transaction_log import ANSWERED, GOOD, VALID, TransactionLog
from benchmarks.load.workloads import Workload
from gridledger import jsontext
from gridledger.client import CommitError, Gateway, SigningIdentity
from gridledger.errors import GridLedgerError

MAX_CONNECTIONS = 256
MAX_UNDER_WAY = 20_000
MAX_LINE_BYTES = 1024 * 1024
REPORT_EVERY_S = 0.1
POLL_S = 0.01
GENERATOR_FULL, UNFINISHED = "GENERATOR_FULL", "UNFINISHED"
"""Codes of transactions that were not sent as too many were under way, and of those that had no answer at the end."""
SendReport = Callable[[dict[str, Any]], None]


class Tally:
    """What ended since the last report, by workload: counts by rounded milliseconds, and errors by code."""

    def __init__(self) -> None:
        self._by_workload: dict[str, dict[str, Any]] = {}

    def add(self, workload: str, latency_s: float, error: str | None) -> None:
        """Count one transaction."""
        counts = self._by_workload.get(workload)
        if counts is None:
            counts = {"times": Counter(), "errors": Counter(), "sum_ms": 0.0, "min_ms": 1e9, "max_ms": 0.0}
            self._by_workload[workload] = counts
        latency_ms = latency_s * 1000
        counts["times"][str(rounded(latency_ms))] += 1
        counts["sum_ms"] += latency_ms
        counts["min_ms"] = min(counts["min_ms"], latency_ms)
        counts["max_ms"] = max(counts["max_ms"], latency_ms)
        if error is not None:
            counts["errors"][error] += 1

    def take(self) -> dict[str, dict[str, Any]]:
        """Return all counts and begin anew."""
        taken, self._by_workload = self._by_workload, {}
        return taken


def rounded(latency_ms: float) -> int:
    """Two significant digits, as in Locust's own statistics."""
    return int(round(latency_ms, 2 - max(2, len(str(int(latency_ms))))))


class RoundRun:
    """Carries out one round."""

    def __init__(self, plan: Round, workloads: list[tuple[str, Workload]], tally: Tally) -> None:
        self._plan, self._workloads, self._tally = plan, dict(workloads), tally
        self._turns: Iterator[tuple[str, Workload]] = itertools.cycle(workloads)
        self.log, self.progress = TransactionLog(), LoadProgress()
        self._lasts_s = None if plan.duration_s is None else plan.warmup_s + plan.duration_s
        self._share = Share(plan.index, plan.count, self._lasts_s, plan.transactions)
        self._numbers = itertools.count(plan.first + plan.index, plan.count)
        # Not the loop's clock, as uvloop's ticks in milliseconds. Bounded, as another machine's clock may be wrong.
        self.begin = time.perf_counter() + min(5.0, max(0.0, plan.start_at - time.time()))
        self._counted = 0
        self._progressed = asyncio.Event()
        self._over = asyncio.Event()
        self._sending: asyncio.Task[Any] | None = None
        self._under_way: set[asyncio.Task[Any]] = set()
        self._users: dict[str, int] = {}
        self._present: set[tuple[str, int]] = set()

    async def run(self) -> Controller | None:
        """Send until the round is over and wait for the answers. Returns the controller that was used."""
        await self._until_begin()
        spec = self._plan.controller
        controller = None
        if spec is not None and spec.type == CLOSED_LOOP:
            users = self._share.of(validated_options(ClosedLoop, spec).users)
            self.set_users({self._plan.workloads[0]: users})
        elif spec is not None:
            controller = build_controller(spec, self._share)
        self._sending = asyncio.create_task(self._over.wait() if controller is None else self._open_loop(controller))
        if not self._over.is_set():
            await asyncio.wait({self._sending}, timeout=self._lasts_s)
        self.stop()
        with suppress(asyncio.CancelledError):
            await self._sending
        await self._drain()
        return controller

    def stop(self) -> None:
        """Send nothing more."""
        self._over.set()
        if self._sending is not None:
            self._sending.cancel()

    def set_users(self, users: dict[str, int]) -> None:
        """Set the number of users of each workload; surplus users leave when they have their answer. Without effect
        under a schedule, which has no users."""
        if self._plan.controller is not None and self._plan.controller.type != CLOSED_LOOP:
            return
        self._users |= users
        for workload, number in users.items():
            for place in range(number):
                if (workload, place) not in self._present and not self._over.is_set():
                    self._present.add((workload, place))
                    self._spawn(self._user(workload, place))

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _user(self, workload: str, place: int) -> None:
        await self._until_begin()
        turn = (workload, self._workloads[workload])
        while not self._over.is_set() and place < self._users[workload] and self._may_send(self._now()):
            pause_s = await self._send_one(turn, self._now())
            if pause_s:
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await self._over.wait()
        self._present.discard((workload, place))

    async def _open_loop(self, controller: Controller) -> None:
        lasts_s = self._lasts_s or float("inf")
        while True:
            at = controller.next(self._now(), self.progress)
            if at is None:
                await self._until_progress()
                continue
            if at >= lasts_s:
                return
            await self._until(at)
            if not self._may_send(at):
                return
            if len(self._under_way) < MAX_UNDER_WAY:
                self._spawn(self._send_one(next(self._turns), at))
                self.progress.sent += 1
            else:
                self.log.add(at, self._now(), self._now(), GENERATOR_FULL, committed=False)

    async def _until_progress(self) -> None:
        """Wait until a transaction has ended or ``POLL_S`` has passed."""
        self._progressed.clear()
        later = asyncio.get_running_loop().call_later(POLL_S, self._progressed.set)
        await self._progressed.wait()
        later.cancel()

    def _may_send(self, intended: float) -> bool:
        """Whether one more transaction fits into the number asked for; if so it is counted."""
        if self._plan.transactions is None or intended < self._plan.warmup_s:
            return True
        if self._counted >= self._share.of(self._plan.transactions):
            self._over.set()
            return False
        self._counted += 1
        return True

    async def _send_one(self, turn: tuple[str, Workload], intended: float) -> float:
        """Send a transaction and log its outcome. Returns the seconds that a user must wait before its next one."""
        name, workload = turn
        pause_s, sent = 0.0, self._now()
        code, committed = (ANSWERED, False) if workload.readonly else (VALID, True)
        try:
            await workload.send(next(self._numbers))
        except CommitError as error:
            code = error.code
        except GridLedgerError as error:
            code, committed = error.code, False
            if error.status == HTTPStatus.TOO_MANY_REQUESTS:
                pause_s = float(error.details.get("retry_after_s", 0.1))
        except asyncio.CancelledError:
            code, committed = UNFINISHED, False
        ended = self._now()
        self.log.add(intended, sent, ended, code, committed=committed)
        good = code in GOOD
        self._tally.add(name, ended - intended, None if good else code)
        self.progress.finished += 1
        self.progress.succeeded += good
        self._progressed.set()
        return pause_s

    async def _drain(self) -> None:
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=DRAIN_S)
        left = set(self._under_way)
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)

    async def _until_begin(self) -> None:
        await self._until(0.0)

    async def _until(self, at: float) -> None:
        await asyncio.sleep(max(0.0, at - self._now()))

    def _now(self) -> float:
        """Seconds since the round's begin."""
        return time.perf_counter() - self.begin


class Engine:
    """Carries out rounds one after another. It opens one gateway for each peer and identity."""

    def __init__(self, bench_file: BenchFile, report: SendReport) -> None:
        self._bench_file, self._report = bench_file, report
        self._gateways: dict[tuple[str, str], Gateway] = {}
        self._tally = Tally()
        self._round: RoundRun | None = None
        self._early: list[dict[str, Any]] | None = None
        self._running: asyncio.Task[None] | None = None

    def order(self, order: dict[str, Any]) -> None:
        """Carry out an order. A new round begins when the one before it is over; orders that arrive earlier wait."""
        if "round" in order:
            self.order({"stop": True})
            self._early = []
            plan = Round.model_validate(order["round"])
            self._running = asyncio.create_task(self._after(self._running, plan, self._early))
        elif self._early is not None:
            self._early.append(order)
        elif self._round is not None:
            _pass_on(order, self._round)

    async def close(self) -> None:
        """Stop, and wait for the answers to what is under way."""
        self.order({"stop": True})
        if self._running is not None:
            await self._running
        for gateway in self._gateways.values():
            await gateway.close()

    async def _after(self, before: asyncio.Task[None] | None, plan: Round, early: list[dict[str, Any]]) -> None:
        if before is not None:
            await before
        try:
            await self._carry_out(plan, early)
        except GridLedgerError as error:
            self._report({"done": {"error": f"{error.code}: {error.message}"}})
        except Exception as error:
            # Whoever waits for the end of the round must learn of it.
            self._report({"done": {"error": f"{type(error).__name__}: {error}"}})
            raise

    async def _carry_out(self, plan: Round, early: list[dict[str, Any]]) -> None:
        workloads = [
            (name, Workload(self._bench_file.workloads[name], self._gateway, index=plan.index, count=plan.count))
            for name in plan.workloads
        ]
        gc.collect()
        gc.freeze()
        self._round = RoundRun(plan, workloads, self._tally)
        for order in early:
            _pass_on(order, self._round)
        if self._early is early:
            self._early = None
        reporting = asyncio.create_task(self._report_often())
        try:
            controller = await self._round.run()
        finally:
            reporting.cancel()
            self._report_ended()
        log = self._round.log
        if plan.results is not None:
            log.write(Path(plan.results), begin_at=time.time() - time.perf_counter() + self._round.begin)
        recording = None if controller is None else recorder(controller)
        if recording is not None:
            recording.path.parent.mkdir(parents=True, exist_ok=True)
            recording.path.write_bytes(encode(recording.times_s, recording.format))
        self._round = None
        self._report({"done": {"sent": len(log.code)}})

    async def _report_often(self) -> None:
        while True:
            await asyncio.sleep(REPORT_EVERY_S)
            self._report_ended()

    def _report_ended(self) -> None:
        """Report what ended since the last report, and the processor time of this process so far."""
        self._report({"ended": self._tally.take(), "cpu_s": time.process_time()})

    def _gateway(self, stream: LoadStream) -> Gateway:
        key = (stream.url, stream.identity)
        if key not in self._gateways:
            identity, roots = SigningIdentity.load(stream.identity), Path(self._bench_file.roots)
            self._gateways[key] = Gateway.connect(stream.url, identity, roots=roots, max_connections=MAX_CONNECTIONS)
        return self._gateways[key]


def _pass_on(order: dict[str, Any], running: RoundRun) -> None:
    if "users" in order:
        running.set_users(order["users"])
    elif "stop" in order:
        running.stop()


async def serve(bench_file: BenchFile) -> None:
    """Read orders from standard input until it ends, write reports to standard output."""
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader(limit=MAX_LINE_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin.buffer)
    transport, _ = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, sys.stdout.buffer)
    engine = Engine(bench_file, lambda report: transport.write(jsontext.dumps(report) + b"\n"))
    transport.write(b'{"ready":true}\n')
    while line := await orders.readline():
        engine.order(jsontext.loads(line))
    await engine.close()


if __name__ == "__main__":
    given = BenchFile.model_validate_json(Path(sys.argv[1]).read_bytes())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(given))

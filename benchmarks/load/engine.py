"""The process that sends: ``python -m benchmarks.load.engine WORKLOADS_JSON``. One for each Locust worker.

It runs our SDK on uvloop, by an open-loop schedule (a transaction's latency counts from its intended time, whatever
became of those before it) or a closed loop of users (each waits for its answer; told to come later, it does). Orders
come as lines of JSON on standard input: ``{"round": ...}`` (:class:`.plan.Round`), ``{"users": {workload:
number}}``, ``{"stop": true}``. Reports go to standard output: ``{"ready": true}``; every 100 ms what ended since, as
counts by milliseconds, so that Locust pays for a report and not for a transaction; ``{"done": ...}`` after a round.
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
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.load.plan import CLOSED_LOOP, DRAIN_S, Round, Target, Workloads
from benchmarks.load.rates import ClosedLoop, Controller, Progress, Share, build, options, recorder
from benchmarks.load.traces import encode
from benchmarks.load.transaction_log import ANSWERED, VALID, Records
from benchmarks.load.workloads import Workload
from gridledger import jsontext
from gridledger.client import CommitError, Gateway, SigningIdentity
from gridledger.errors import GridLedgerError

CONNECTIONS = 256
MAX_OPEN = 20_000
MAX_LINE = 1024 * 1024
REPORT_EVERY_S = 0.1
POLL_S = 0.01
FULL, UNFINISHED = "GENERATOR_FULL", "UNFINISHED"
_TOLD_TO_COME_LATER = 429
Report = Callable[[dict[str, Any]], None]


class Tally:
    """What ended since the last report, by workload: milliseconds as Locust rounds them, errors by code."""

    def __init__(self) -> None:
        self._of: dict[str, dict[str, Any]] = {}

    def add(self, workload: str, latency_s: float, error: str | None) -> None:
        """One more."""
        mine = self._of.get(workload)
        if mine is None:
            mine = {"times": Counter(), "errors": Counter(), "sum_ms": 0.0, "min_ms": 1e9, "max_ms": 0.0}
            self._of[workload] = mine
        latency = latency_s * 1000
        mine["times"][str(rounded(latency))] += 1
        mine["sum_ms"] += latency
        mine["min_ms"] = min(mine["min_ms"], latency)
        mine["max_ms"] = max(mine["max_ms"], latency)
        if error is not None:
            mine["errors"][error] += 1

    def take(self) -> dict[str, dict[str, Any]]:
        """All of it; the tally is empty again."""
        taken, self._of = self._of, {}
        return taken


def rounded(latency_ms: float) -> int:
    """Two significant digits, as in Locust's own statistics."""
    return int(round(latency_ms, 2 - max(2, len(str(int(latency_ms))))))


class RoundRun:
    """One round under way."""

    def __init__(self, plan: Round, workloads: list[tuple[str, Workload]], tally: Tally) -> None:
        self._plan, self._workloads, self._tally = plan, dict(workloads), tally
        self._turns: Iterator[tuple[str, Workload]] = itertools.cycle(workloads)
        self.records, self.progress = Records(), Progress()
        self._share = Share(plan.index, plan.count, self._lasts(), plan.transactions)
        self._numbers = itertools.count(plan.first + plan.index, plan.count)
        # Not the loop's clock: uvloop's ticks in milliseconds. A clock of another machine is not relied on.
        self.begin = time.perf_counter() + min(5.0, max(0.0, plan.start_at - time.time()))
        self._counted = 0
        self._moved = asyncio.Event()
        self._over = asyncio.Event()
        self._under_way: set[asyncio.Task[Any]] = set()
        self._users: dict[str, int] = {}
        self._present: set[tuple[str, int]] = set()

    def _lasts(self) -> float | None:
        return None if self._plan.duration_s is None else self._plan.warmup_s + self._plan.duration_s

    async def run(self) -> Controller | None:
        """Send until the round is over, wait for what is under way; the controller that was used."""
        await asyncio.sleep(max(0.0, self.begin - time.perf_counter()))
        spec = self._plan.controller
        controller = None
        if spec is not None and spec.type == CLOSED_LOOP:
            users = self._share.of(options(ClosedLoop, spec).users)
            self.set_users({self._plan.workloads[0]: users})
        elif spec is not None:
            controller = build(spec, self._share)
        sending = None if controller is None else asyncio.create_task(self._open_loop(controller))
        try:
            async with asyncio.timeout(self._lasts()):
                await (self._over.wait() if sending is None else _either(sending, self._over))
        except TimeoutError:
            pass
        self._over.set()
        if sending is not None:
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending
        await self._drain()
        return controller

    def stop(self) -> None:
        """Send nothing more."""
        self._over.set()

    def set_users(self, users: dict[str, int]) -> None:
        """So many users of each workload from now on; those too many leave when they have their answer. A schedule has
        no users."""
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
        await asyncio.sleep(max(0.0, self.begin - time.perf_counter()))
        turn = (workload, self._workloads[workload])
        while not self._over.is_set() and place < self._users[workload] and self._may_send():
            pause_s = await self._one(turn, self._now())
            if pause_s:
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await self._over.wait()
        self._present.discard((workload, place))

    async def _open_loop(self, controller: Controller) -> None:
        lasts = self._lasts() or float("inf")
        loop = asyncio.get_running_loop()
        while True:
            at = controller.next(self._now(), self.progress)
            if at is None:
                self._moved.clear()
                later = loop.call_later(POLL_S, self._moved.set)
                await self._moved.wait()
                later.cancel()
                continue
            if at >= lasts:
                return
            await asyncio.sleep(max(0.0, at - self._now()))
            if not self._may_send(at):
                return
            if len(self._under_way) < MAX_OPEN:
                self._spawn(self._one(next(self._turns), at))
                self.progress.sent += 1
            else:
                self.records.add(at, self._now(), self._now(), FULL, committed=False)

    def _may_send(self, intended: float | None = None) -> bool:
        """Whether the number of transactions that was asked for allows one more; counts it."""
        if self._plan.transactions is None or (self._now() if intended is None else intended) < self._plan.warmup_s:
            return True
        if self._counted >= self._share.of(self._plan.transactions):
            self._over.set()
            return False
        self._counted += 1
        return True

    async def _one(self, turn: tuple[str, Workload], intended: float) -> float:
        """Send one; the seconds that a user is told to wait. A schedule does not wait."""
        name, workload = turn
        pause_s, sent = 0.0, self._now()
        code, committed = (ANSWERED, False) if workload.readonly else (VALID, True)
        try:
            await workload.send(next(self._numbers))
        except CommitError as error:
            code = error.code
        except GridLedgerError as error:
            code, committed = error.code, False
            if error.status == _TOLD_TO_COME_LATER:
                pause_s = float(error.details.get("retry_after_s", 0.1))
        except asyncio.CancelledError:
            code, committed = UNFINISHED, False
        ended = self._now()
        self.records.add(intended, sent, ended, code, committed=committed)
        good = code in (VALID, ANSWERED)
        self._tally.add(name, ended - intended, None if good else code)
        self.progress.finished += 1
        self.progress.succeeded += good
        self._moved.set()
        return pause_s

    async def _drain(self) -> None:
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=DRAIN_S)
        left = set(self._under_way)
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)

    def _now(self) -> float:
        return time.perf_counter() - self.begin


class Engine:
    """Carries out rounds one after another, on gateways that are opened once per peer and identity."""

    def __init__(self, workloads: Workloads, report: Report) -> None:
        self._workloads, self._report = workloads, report
        self._gateways: dict[tuple[str, str], Gateway] = {}
        self._tally = Tally()
        self._round: RoundRun | None = None
        self._running: asyncio.Task[None] | None = None

    def order(self, order: dict[str, Any]) -> None:
        """Do as a line of the input says."""
        if "round" in order:
            if self._round is not None:
                self._round.stop()
            plan = Round.model_validate(order["round"])
            self._running = asyncio.create_task(self._carry_out(plan, self._running))
        elif self._round is not None and "users" in order:
            self._round.set_users(order["users"])
        elif self._round is not None and "stop" in order:
            self._round.stop()

    async def close(self) -> None:
        """Stop, and let what is under way end."""
        if self._round is not None:
            self._round.stop()
        if self._running is not None:
            await self._running
        for gateway in self._gateways.values():
            await gateway.close()

    async def _carry_out(self, plan: Round, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await before
        try:
            await self._one_round(plan)
        except GridLedgerError as error:
            self._report({"done": {"error": f"{error.code}: {error.message}"}})
        except Exception as error:
            # Whoever waits for the end of the round must hear of it.
            self._report({"done": {"error": f"{type(error).__name__}: {error}"}})
            raise

    async def _one_round(self, plan: Round) -> None:
        chosen = []
        for name in plan.workloads:
            targets = self._workloads.workloads[name]
            chosen.append((name, Workload(targets, self._gateway, index=plan.index, count=plan.count)))
        gc.collect()
        gc.freeze()
        self._round = RoundRun(plan, chosen, self._tally)
        reporting = asyncio.create_task(self._report_often())
        try:
            controller = await self._round.run()
        finally:
            reporting.cancel()
            self.report()
        records = self._round.records
        if plan.results is not None:
            records.write(Path(plan.results), begin_at=time.time() - time.perf_counter() + self._round.begin)
        recorded = None if controller is None else recorder(controller)
        if recorded is not None:
            recorded.path.parent.mkdir(parents=True, exist_ok=True)
            recorded.path.write_bytes(encode(recorded.times_s, recorded.format))
        self._round = None
        self._report({"done": {"sent": len(records.code)}})

    async def _report_often(self) -> None:
        while True:
            await asyncio.sleep(REPORT_EVERY_S)
            self.report()

    def report(self) -> None:
        """Tell what ended since the last time, and what this process has used of a core so far."""
        self._report({"ended": self._tally.take(), "cpu_s": time.process_time()})

    def _gateway(self, target: Target) -> Gateway:
        key = (target.url, target.identity)
        if key not in self._gateways:
            who, roots = SigningIdentity.load(target.identity), Path(self._workloads.roots)
            self._gateways[key] = Gateway.connect(target.url, who, roots=roots, max_connections=CONNECTIONS)
        return self._gateways[key]


async def _either(task: asyncio.Task[None], event: asyncio.Event) -> None:
    waiting = asyncio.create_task(event.wait())
    try:
        done, _ = await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    if task in done:
        await task


async def serve(workloads: Workloads) -> None:
    """Read orders from standard input until it ends, write reports to standard output."""
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader(limit=MAX_LINE)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin.buffer)
    transport, _ = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, sys.stdout.buffer)
    engine = Engine(workloads, lambda report: transport.write(jsontext.dumps(report) + b"\n"))
    transport.write(b'{"ready":true}\n')
    while line := await orders.readline():
        engine.order(jsontext.loads(line))
    await engine.close()


if __name__ == "__main__":
    given = Workloads.model_validate_json(Path(sys.argv[1]).read_bytes())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(given))

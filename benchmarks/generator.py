"""One generator process: ``python -m benchmarks.generator`` reads a plan on standard input and writes its outcome."""

from __future__ import annotations

import asyncio
import gc
import itertools
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.plan import Outcome, Plan, Target
from gridledger.client import Contract, Gateway, SigningIdentity
from gridledger.errors import GridLedgerError

_MAX_OPEN = 20_000
_CONNECTIONS = 256


class Generator:
    """Carries out one plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._latencies: list[float] = []
        self._refused: Counter[str] = Counter()
        self._number = itertools.count(plan.first, plan.stride)
        self._measure_from = 0.0
        self._measure_until = 0.0

    async def run(self) -> Outcome:
        """The load, and what became of it."""
        plan = self._plan
        gateways: dict[tuple[str, str], Gateway] = {}
        for target in plan.targets:
            key = (target.url, target.identity)
            if key not in gateways:
                identity = SigningIdentity.load(target.identity)
                gateways[key] = Gateway.connect(
                    target.url, identity, roots=Path(plan.roots), max_connections=_CONNECTIONS
                )
        calls = [call_of(gateways[target.url, target.identity], target) for target in plan.targets]
        await asyncio.sleep(max(0.0, plan.start_at - time.time()))
        gc.collect()
        gc.freeze()
        # Not the loop's clock: uvloop's ticks in milliseconds.
        self._measure_from = time.perf_counter() + plan.warmup_s
        self._measure_until = self._measure_from + plan.duration_s
        begun = resource.getrusage(resource.RUSAGE_SELF)
        if plan.rate is None:
            await self._closed_loop(itertools.cycle(calls))
        else:
            await self._open_loop(itertools.cycle(calls), plan.rate)
        used = resource.getrusage(resource.RUSAGE_SELF)
        for gateway in gateways.values():
            await gateway.close()
        return Outcome(
            latencies_s=self._latencies,
            refused=dict(self._refused),
            measured_s=plan.duration_s,
            cpu_s=used.ru_utime + used.ru_stime - begun.ru_utime - begun.ru_stime,
        )

    async def _closed_loop(self, calls: Iterator[Any]) -> None:
        async def work() -> None:
            while (now := time.perf_counter()) < self._measure_until:
                await self._one(next(calls), now)

        await asyncio.gather(*(work() for _ in range(self._plan.concurrency)))

    async def _open_loop(self, calls: Iterator[Any], rate: float) -> None:
        under_way: set[asyncio.Task[None]] = set()
        intended = time.perf_counter()
        while intended < self._measure_until:
            await asyncio.sleep(max(0.0, intended - time.perf_counter()))
            if len(under_way) < _MAX_OPEN:
                task = asyncio.create_task(self._one(next(calls), intended))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
            else:
                self._refused["GENERATOR_FULL"] += 1
            intended += 1 / rate
        await asyncio.gather(*under_way)

    async def _one(self, call: Callable[[int], Any], intended: float) -> None:
        measured = self._measure_from <= intended < self._measure_until
        try:
            await call(next(self._number))
        except GridLedgerError as error:
            if measured:
                self._refused[error.code] += 1
            if error.status == 429:  # noqa: PLR2004 - told to come later
                await asyncio.sleep(float(error.details.get("retry_after_s", 0.1)))
            return
        now = time.perf_counter()
        # Closed loop: what ends after the last second does not count, or the last second would count twice.
        if measured and (self._plan.rate is not None or (now < self._measure_until)):
            self._latencies.append(now - intended)


def call_of(gateway: Gateway, target: Target) -> Callable[[int], Any]:
    """What submits a target's transaction of a number, which no other has that is sent."""
    contract: Contract = gateway.get_network(target.channel).get_contract(target.chaincode)
    if target.function == "put":
        value = "x" * int(target.argument["bytes"])
        return lambda number: contract.submit_transaction("put", f"bench/{number}", value)
    frame = dict(target.argument)
    begin = int(frame["time"])
    return lambda number: contract.submit_transaction(target.function, {**frame, "time": begin + number})


def main() -> int:
    """Read the plan, carry it out, write the outcome."""
    plan = Plan.model_validate_json(sys.stdin.buffer.read())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        outcome = runner.run(Generator(plan).run())
    sys.stdout.write(outcome.model_dump_json())
    return 0


if __name__ == "__main__":
    sys.exit(main())

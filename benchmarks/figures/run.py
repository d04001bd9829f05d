"""Measures the points that are not measured yet: a network for each sweep and topology."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from benchmarks.figures.store import Basis, Measured, Store
from benchmarks.figures.sweeps import Point, network_warmup
from benchmarks.load.bench_network import Bench
from benchmarks.load.plan import LoadSpec
from benchmarks.measure.results import Load
from gridledger.errors import GridLedgerError

Measure = Callable[[Bench, LoadSpec], Awaitable[Load]]
Start = Callable[[str], AbstractAsyncContextManager[Bench]]
Say = Callable[[str], Any]

NETWORK_S = 22.0
"""First guess of what starting, warming up and stopping a network takes."""
BETWEEN_S = 6.0
"""First guess of what a point takes beside the time that its load is on offer."""
_LONGEST_S = 180.0
"""What a point may take beside its load before it counts as hung: longer than the generators wait for answers."""
_FAILURES = (GridLedgerError, OSError, RuntimeError, ValueError, TimeoutError)
_MINUTE = 60.0


class Estimate:
    """The time left: loads last as long as they last; what comes on top is the mean of what it has been so far."""

    def __init__(self, points: Sequence[Point]) -> None:
        self._left = list(points)
        self._networks: list[float] = []
        self._between: list[float] = []

    def network(self, took_s: float) -> None:
        """A network was started."""
        self._networks.append(took_s)

    def finished(self, point: Point, took_s: float) -> None:
        """A point is done."""
        self._left.remove(point)
        self._between.append(max(0.0, took_s - point.seconds))

    def seconds(self) -> float:
        """Time left. A network that is running is not counted, those of the sweeps to come are."""
        groups = len({(point.sweep, point.topology) for point in self._left})
        starts = max(0, groups - 1) if self._networks else groups
        on_top = len(self._left) * _mean(self._between, BETWEEN_S) + starts * _mean(self._networks, NETWORK_S)
        return on_top + sum(point.seconds for point in self._left)


class Run:
    """Measures the points of a figure, each once; those that the store has already are left as they are."""

    def __init__(
        self, points: Sequence[Point], store: Store, basis: Basis, *, start: Start, measure: Measure, say: Say
    ) -> None:
        self._points, self._store, self._basis = list(points), store, basis
        self._start, self._measure, self._say = start, measure, say
        done = store.done(self._points)
        self._waiting = [point for point in self._points if point not in done]
        self._estimate = Estimate(self._waiting)
        self._count = len(done)
        self._failed = 0

    async def run(self) -> int:
        """Measure; the number of points that failed.

        A point that fails is kept with its reason. Those behind it get a network of their own, as the failure may have
        been the network's.
        """
        left = f"about {_time(self._estimate.seconds())}"
        self._say(f"{len(self._waiting)} of {len(self._points)} points to measure, {left}")
        for (_, topology), group in itertools.groupby(self._waiting, key=lambda point: (point.sweep, point.topology)):
            left_over = deque(group)
            while left_over:
                await self._until_failure(topology, left_over)
        return self._failed

    async def _until_failure(self, topology: str, points: deque[Point]) -> None:
        """Start a network, measure and take off points up to the first that fails, that one included; at least one."""
        begun, first = time.monotonic(), points[0]
        try:
            async with self._start(topology) as bench:
                await self._measure(bench, network_warmup(first.workload))
                self._estimate.network(time.monotonic() - begun)
                while points and await self._point(bench, points.popleft()):
                    pass
        except (*_FAILURES, ExceptionGroup) as error:
            # At the start or at the end: what is measured is measured.
            if points and points[0] is first:
                points.popleft()
                self._keep(first, time.monotonic() - begun, f"the network did not come up: {_reason(error)}")
            else:
                self._say(f"while stopping the network of {topology}: {_reason(error)}")

    async def _point(self, bench: Bench, point: Point) -> bool:
        """Measure and keep one; whether it succeeded."""
        begun = time.monotonic()
        try:
            async with asyncio.timeout(point.seconds + _LONGEST_S):
                load = await self._measure(bench, point.spec())
        except _FAILURES as error:
            return self._keep(point, time.monotonic() - begun, _reason(error))
        outcome = load if load.valid else f"nothing became VALID, refused: {load.refused}"
        return self._keep(point, time.monotonic() - begun, outcome)

    def _keep(self, point: Point, took_s: float, outcome: Load | str) -> bool:
        load, failure = (None, outcome) if isinstance(outcome, str) else (outcome, None)
        self._store.save(Measured.of(point, self._basis, took_s=took_s, load=load, failure=failure))
        self._estimate.finished(point, took_s)
        self._count += 1
        self._failed += load is None
        words = f"FAILED: {failure}" if load is None else _outcome(load)
        self._say(
            f"point {self._count} of {len(self._points)}: {point.sweep}, {point.topology}, x = {point.x}: {words}; "
            f"{_time(self._estimate.seconds())} left"
        )
        return load is not None


def _outcome(load: Load) -> str:
    latency = f", mean {load.latency.mean_ms:.0f} ms" if load.latency else ""
    return f"{load.tx_s:.0f} tx/s{latency}, {load.valid} of {load.sent} VALID"


def _reason(error: BaseException) -> str:
    if isinstance(error, ExceptionGroup):
        return "; ".join(_reason(inner) for inner in error.exceptions)
    text = error.message if isinstance(error, GridLedgerError) else str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _time(seconds: float) -> str:
    return f"{seconds / _MINUTE:.0f} min" if seconds >= _MINUTE * 1.5 else f"{seconds:.0f} s"


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise

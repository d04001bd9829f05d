"""Measures the points that are missing, on one network for each sweep and topology."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from benchmarks.figures.point_store import Basis, MeasuredPoint, PointStore
from benchmarks.figures.sweeps import Point, network_warmup
from benchmarks.load.bench_network import BenchNetwork
from benchmarks.load.plan import LoadSpec
from benchmarks.measure.results import Load
from gridledger.errors import GridLedgerError

Measure = Callable[[BenchNetwork, LoadSpec], Awaitable[Load]]
Start = Callable[[str], AbstractAsyncContextManager[BenchNetwork]]
Tell = Callable[[str], Any]

NETWORK_S = 22.0
"""First guess of what starting, warming up and stopping a network takes."""
BETWEEN_S = 6.0
"""First guess of what a point takes beside the time that its load is on offer."""
_MARGIN_S = 180.0
"""What a point may take beside its load before it counts as a failure: longer than generators wait for answers."""
_FAILURES = (GridLedgerError, OSError, RuntimeError, ValueError, TimeoutError)
_MINUTE = 60.0


class Estimate:
    """The time left: the loads' own time, and for the rest the mean of what it has taken so far."""

    def __init__(self, points: Sequence[Point]) -> None:
        self._left = list(points)
        self._networks: list[float] = []
        self._between: list[float] = []

    def network(self, took_s: float) -> None:
        """Note how long a network took to start."""
        self._networks.append(took_s)

    def finished(self, point: Point, took_s: float) -> None:
        """Note how long a point took."""
        self._left.remove(point)
        self._between.append(max(0.0, took_s - point.seconds))

    def seconds(self) -> float:
        """The time left, with the starts of the networks that are not running yet."""
        groups = len({(point.sweep, point.topology) for point in self._left})
        starts = max(0, groups - 1) if self._networks else groups
        on_top = len(self._left) * _mean(self._between, BETWEEN_S) + starts * _mean(self._networks, NETWORK_S)
        return on_top + sum(point.seconds for point in self._left)


class PointRunner:
    """Measures those of the points that the store does not have."""

    def __init__(
        self, points: Sequence[Point], store: PointStore, basis: Basis, *, start: Start, measure: Measure, tell: Tell
    ) -> None:
        self._points, self._store, self._basis = list(points), store, basis
        self._start, self._measure, self._tell = start, measure, tell
        done = store.done(self._points)
        self._waiting = [point for point in self._points if point not in done]
        self._estimate = Estimate(self._waiting)
        self._count = len(done)
        self._failed = 0

    async def run(self) -> int:
        """Measure all missing points; the number of those that failed.

        A point that fails is stored with the reason. The points after it get a new network, as the old one may have
        caused the failure.
        """
        self._tell(
            f"{len(self._waiting)} of {len(self._points)} points to measure, about {_time(self._estimate.seconds())}"
        )
        for (_, topology), group in itertools.groupby(self._waiting, key=lambda point: (point.sweep, point.topology)):
            left = deque(group)
            while left:
                await self._until_failure(topology, left)
        return self._failed

    async def _until_failure(self, topology: str, points: deque[Point]) -> None:
        """Start a network and measure points, removing them, up to the first that fails, that one included."""
        begun, first = time.monotonic(), points[0]
        try:
            async with self._start(topology) as network:
                await self._measure(network, network_warmup(first.workload))
                self._estimate.network(time.monotonic() - begun)
                while points and await self._point(network, points.popleft()):
                    pass
        except (*_FAILURES, ExceptionGroup) as error:
            # A network that does not start fails its first point; one that does not stop cleanly fails none.
            if points and points[0] is first:
                points.popleft()
                self._store_outcome(first, time.monotonic() - begun, f"the network did not start: {_reason(error)}")
            else:
                self._tell(f"while stopping the network of {topology}: {_reason(error)}")

    async def _point(self, network: BenchNetwork, point: Point) -> bool:
        """Measure and store one point; whether it succeeded."""
        begun = time.monotonic()
        try:
            async with asyncio.timeout(point.seconds + _MARGIN_S):
                load = await self._measure(network, point.spec())
        except _FAILURES as error:
            return self._store_outcome(point, time.monotonic() - begun, _reason(error))
        outcome = load if load.valid else f"nothing became VALID, refused: {load.refused}"
        return self._store_outcome(point, time.monotonic() - begun, outcome)

    def _store_outcome(self, point: Point, took_s: float, outcome: Load | str) -> bool:
        load, failure = (None, outcome) if isinstance(outcome, str) else (outcome, None)
        self._store.save(MeasuredPoint.of(point, self._basis, took_s=took_s, load=load, failure=failure))
        self._estimate.finished(point, took_s)
        self._count += 1
        self._failed += load is None
        text = f"FAILED: {failure}" if load is None else _summary(load)
        self._tell(
            f"point {self._count} of {len(self._points)}: {point.sweep}, {point.topology}, x = {point.x}: {text}; "
            f"{_time(self._estimate.seconds())} left"
        )
        return load is not None


def _summary(load: Load) -> str:
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

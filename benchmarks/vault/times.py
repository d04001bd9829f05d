"""How long puts and gets take, and what each costs: packets and bytes on the loopback, CPU of all processes."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks.measure.results import percentile
from benchmarks.vault.network import Measured
from services.vault.dealer import Dealer
from services.vault.reader import Reader

CLUSTER: Final = "M3"
"""Nine holders."""
_WARM_UP: Final = 5
_IDLE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Counts:
    """What the machine has used so far: packets and bytes on the loopback, CPU seconds of this process and those below
    it."""

    at_s: float
    packets: int
    wire_bytes: int
    cpu_s: float

    def since(self, before: Counts) -> Counts:
        """The difference."""
        return Counts(
            self.at_s - before.at_s,
            self.packets - before.packets,
            self.wire_bytes - before.wire_bytes,
            self.cpu_s - before.cpu_s,
        )


def counts() -> Counts:
    """Now."""
    line = next(each for each in Path("/proc/net/dev").read_text().splitlines() if each.strip().startswith("lo:"))
    fields = line.partition(":")[2].split()
    return Counts(time.perf_counter(), int(fields[1]), int(fields[0]), _cpu_s())


def _cpu_s() -> float:
    root, total = psutil.Process(), 0.0
    for process in (root, *root.children(recursive=True)):
        with suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total


async def measure_times(network: Measured, count: int, size: int, tell: Any) -> dict[str, Any]:
    """Puts of ``size`` bytes one after another, then gets of the same: each with its percentiles and what it cost."""
    session, data = network.dealers[CLUSTER], os.urandom(size)
    names = [f"time-{number}" for number in range(count + _WARM_UP)]
    async with Dealer(session) as dealer:
        reader = Reader(session)

        async def put(name: str) -> None:
            await dealer.put(name, data, CLUSTER)

        async def get(name: str) -> None:
            if (await reader.get(name, "measure")).data != data:
                raise AssertionError(f"{name} came back as other data")

        for name in names[:_WARM_UP]:
            await put(name)
            await dealer.finish()
            await get(name)
        before = counts()
        await asyncio.sleep(_IDLE_S)
        idle = counts().since(before)
        puts = await _series(names[_WARM_UP:], put, dealer.finish, idle)
        tell(f"times: {count} puts of {size} bytes, p50 {puts['p50_ms']} ms")
        gets = await _series(names[_WARM_UP:], get, _nothing, idle)
        tell(f"times: {count} gets of {size} bytes, p50 {gets['p50_ms']} ms")
    return {"size": size, "count": count, "t": 5, "n": 9, "put": puts, "get": gets}


async def _series(
    names: list[str], work: Callable[[str], Awaitable[None]], behind: Callable[[], Awaitable[None]], idle: Counts
) -> dict[str, Any]:
    """Each piece of work timed; what goes on behind it is waited for, and counts as cost, not as time."""
    before, took = counts(), []
    for name in names:
        began = time.perf_counter()
        await work(name)
        took.append(time.perf_counter() - began)
        await behind()
    used, ordered = counts().since(before), sorted(took)
    part = used.at_s / idle.at_s
    return {
        "p50_ms": round(1000 * percentile(ordered, 0.5), 1),
        "p90_ms": round(1000 * percentile(ordered, 0.9), 1),
        "p99_ms": round(1000 * percentile(ordered, 0.99), 1),
        "most_ms": round(1000 * ordered[-1], 1),
        "packets": round((used.packets - part * idle.packets) / len(names), 1),
        "wire_bytes": round((used.wire_bytes - part * idle.wire_bytes) / len(names)),
        "cpu_ms": round(1000 * (used.cpu_s - part * idle.cpu_s) / len(names), 1),
    }


async def _nothing() -> None:
    """Gets leave nothing behind."""

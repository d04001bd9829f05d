"""Members change under load: a holder joins and another is revoked while objects are put and read; none may be lost."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from benchmarks import PROJECT
from benchmarks.measure.results import percentile
from benchmarks.vault.network import Measured
from gridledger.errors import GridLedgerError
from services.vault.cycling import begin_next
from services.vault.dealer import Dealer
from services.vault.reader import Reader
from services.vault.session import Session

CLUSTER: Final = "M1"
JOINS: Final = "m1-infrared-3"
REVOKED: Final = "m1-visible-2"
_ID: Final = 106
_PORT: Final = 5211
_WANTED_A_SECOND: Final = 20.0
_OF_SATURATION: Final = 0.6
_WORKERS: Final = 16
_AT_ONCE: Final = 256
_STEP_WITHIN_S: Final = 90.0


@dataclass(slots=True)
class Load:
    """Puts and gets as they come: those acknowledged by name, those that failed with why, and how long they took."""

    dealer: Dealer
    reader: Reader
    size: int
    word: str
    stored: dict[str, bytes] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    puts_s: list[float] = field(default_factory=list)
    gets_s: list[float] = field(default_factory=list)
    begun: int = 0

    async def put(self) -> None:
        """Put an object of random data."""
        self.begun += 1
        name, data, began = f"{self.word}-{self.begun}", os.urandom(self.size), time.perf_counter()
        try:
            await self.dealer.put(name, data, CLUSTER)
        except GridLedgerError as error:
            self.failed.append(f"put {name}: {error.message}")
        else:
            self.stored[name] = data
            self.puts_s.append(time.perf_counter() - began)

    async def get(self, draw: random.Random) -> None:
        """Read one of those that were put."""
        if not self.stored:
            return
        name, began = draw.choice(list(self.stored)), time.perf_counter()
        try:
            right = (await self.reader.get(name, "measure")).data == self.stored[name]
        except GridLedgerError as error:
            self.failed.append(f"get {name}: {error.message}")
        else:
            if not right:
                self.failed.append(f"get {name}: other data")
            self.gets_s.append(time.perf_counter() - began)


async def measure_members(network: Measured, seconds: float, size: int, tell: Any) -> dict[str, Any]:
    """Saturation first, then the load with a join, a revocation and two cycles in its midst; then all is read back."""
    session = network.dealers[CLUSTER]
    async with Dealer(session) as dealer:
        saturation = await _saturation(dealer, Reader(session), size, min(seconds, 20.0))
        rate = min(_WANTED_A_SECOND, _OF_SATURATION * saturation)
        tell(f"members: saturation {saturation:.1f} puts and gets a second; the load is {rate:.1f}")
        load = Load(dealer, Reader(session), size, "member")
        async with _joining_process(network):
            changes = asyncio.create_task(_change(network, seconds, tell))
            lasted_s = await _offer(load, rate, seconds, changes)
            steps = await changes
            await dealer.finish()
            lost = await _lost(session, load)
    return {
        "size": size,
        "saturation_a_second": round(saturation, 2),
        "offered_a_second": round(rate, 2),
        "is_below_twenty": rate < _WANTED_A_SECOND,
        "seconds": round(lasted_s, 1),
        "puts": len(load.puts_s),
        "gets": len(load.gets_s),
        "put_ms": _percentiles(load.puts_s),
        "get_ms": _percentiles(load.gets_s),
        "failed": load.failed,
        "lost": lost,
        "changes": steps,
    }


async def _saturation(dealer: Dealer, reader: Reader, size: int, seconds: float) -> float:
    """Puts and gets a second, as many of the one as of the other, of workers that never pause."""
    load, until = Load(dealer, reader, size, "saturate"), time.perf_counter() + seconds

    async def worker(number: int) -> None:
        draw = random.Random(number)  # noqa: S311
        while time.perf_counter() < until:
            await load.put()
            await load.get(draw)

    began = time.perf_counter()
    await asyncio.gather(*(worker(number) for number in range(_WORKERS)))
    await dealer.finish()
    return (len(load.puts_s) + len(load.gets_s)) / (time.perf_counter() - began)


async def _offer(load: Load, rate: float, seconds: float, changes: asyncio.Task[Any]) -> float:
    """Begin puts and gets in turn at a rate, whatever those before are at, until the changes are done."""
    draw, tasks, began, count = random.Random(1), set[asyncio.Task[None]](), time.perf_counter(), 0  # noqa: S311
    while time.perf_counter() - began < seconds or not changes.done():
        if len(tasks) < _AT_ONCE:
            task = asyncio.create_task(load.get(draw) if count % 2 else load.put())
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        else:
            load.failed.append(f"{_AT_ONCE} were under way: one was not begun")
        count += 1
        await asyncio.sleep(max(0.0, began + count / rate - time.perf_counter()))
    lasted_s = time.perf_counter() - began
    await asyncio.gather(*tasks)
    return lasted_s


async def _change(network: Measured, seconds: float, tell: Any) -> list[dict[str, Any]]:
    """The steps, each at a fifth of the time: admit, cycle, revoke, cycle."""
    ledger, began, steps = network.base.ledger, time.perf_counter(), []

    async def joined() -> bool:
        return JOINS in [item["holder"] async for item in ledger.joins()]

    async def admit() -> Any:
        await _until(joined)
        return await ledger.admit(JOINS)

    work: list[tuple[str, Callable[[], Any]]] = [
        ("admit", admit),
        ("cycle", lambda: begin_next(ledger)),
        ("revoke", lambda: ledger.revoke("under load", holder=REVOKED)),
        ("cycle", lambda: begin_next(ledger)),
    ]
    for number, (what, do) in enumerate(work, 1):
        await asyncio.sleep(max(0.0, began + number * seconds / 5 - time.perf_counter()))
        at = time.perf_counter()
        await do()
        steps.append({"what": what, "at_s": round(at - began, 2), "took_ms": round(1000 * (time.perf_counter() - at))})
        tell(f"members: {what} after {at - began:.1f} s")
    return steps


async def _lost(session: Session, load: Load) -> list[str]:
    """What was acknowledged and does not come back."""
    reader, lost = Reader(session), []
    for name, data in load.stored.items():
        try:
            if (await reader.get(name, "measure")).data != data:
                lost.append(f"{name}: other data")
        except GridLedgerError as error:
            lost.append(f"{name}: {error.message}")
    return lost


@asynccontextmanager
async def _joining_process(network: Measured) -> AsyncIterator[None]:
    """A process with the holder that joins."""
    base = next(spec.port for spec in network.config.companions if spec.name == "base") or 0
    port, root = _PORT + base - 5200, network.folder.root
    arguments = ("serve", "holders", f"{JOINS}={_ID}", "--cluster", CLUSTER, "--as", "Security")
    where = ("--listen", f"127.0.0.1:{port}", "--dir", str(root), "--data", str(root / "vault" / JOINS))
    with (network.folder.logs / f"{JOINS}.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.vault", *arguments, *where), cwd=PROJECT, stdout=log, stderr=log
        )
    try:
        yield
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def _until(check: Callable[[], Any]) -> None:
    async with asyncio.timeout(_STEP_WITHIN_S):
        while True:
            if await check():
                return
            await asyncio.sleep(0.2)


def _percentiles(took_s: list[float]) -> dict[str, float]:
    ordered = sorted(took_s)
    return {f"p{share}": round(1000 * percentile(ordered, share / 100), 1) for share in (50, 90, 99) if ordered}

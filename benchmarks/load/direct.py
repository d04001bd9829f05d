"""Load from engine processes that nobody but us tells what to do: Locust left out, for quick comparisons."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load.bench_network import PROJECT, Bench
from benchmarks.load.plan import CLOSED_LOOP, DRAIN_S, ControllerSpec, Round, Target, Workloads, first_number
from benchmarks.load.transaction_log import GOOD, Records

ENGINES = 2
_START_DELAY_S = 1.5
_NAME = "load"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Latencies in seconds, ascending, of what became VALID in the measured time, from the intended send time; what did
    not, by code; seconds measured and seconds of processor time that the engines took in all."""

    latencies_s: list[float]
    refused: dict[str, int]
    measured_s: float
    cpu_s: float


async def run_load(
    bench: Bench,
    targets: list[Target],
    *,
    rate: float | None,
    concurrency: int,
    warmup_s: float,
    duration_s: float,
    start_at: float | None = None,
) -> Outcome:
    """Load on streams: open loop at ``rate``, or so many users in a closed loop."""
    spec = {"users": concurrency} if rate is None else {"tps": rate}
    kind = CLOSED_LOOP if rate is None else "fixed-rate"
    with tempfile.TemporaryDirectory(prefix="gridledger-load-") as made:
        folder = Path(made)
        plan = Round(
            workloads=[_NAME],
            controller=ControllerSpec(type=kind, opts=spec),
            count=ENGINES,
            warmup_s=warmup_s,
            duration_s=duration_s,
            start_at=time.time() + _START_DELAY_S if start_at is None else start_at,
            first=first_number(),
        )
        workloads = Workloads(roots=str(bench.profile.roots), workloads={_NAME: targets})
        (folder / "workloads.json").write_text(workloads.model_dump_json())
        done = await asyncio.gather(*(_engine(folder, plan, index) for index in range(ENGINES)))
    latencies: list[float] = []
    refused: Counter[str] = Counter()
    for records, _ in done:
        for intended, _, ended, code in records.rows():
            if code in GOOD and warmup_s <= ended < warmup_s + duration_s:
                latencies.append(ended - intended)
            elif code not in GOOD and warmup_s <= intended < warmup_s + duration_s:
                refused[code] += 1
    return Outcome(sorted(latencies), dict(refused), duration_s, sum(cpu_s for _, cpu_s in done))


async def _engine(folder: Path, plan: Round, index: int) -> tuple[Records, float]:
    path = folder / f"engine-{index}"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.load.engine", str(folder / "workloads.json")),
        cwd=PROJECT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
        limit=1024 * 1024,
    )
    assert process.stdin is not None  # noqa: S101 - asked for
    assert process.stdout is not None  # noqa: S101 - asked for
    order = {"round": plan.model_copy(update={"index": index, "results": str(path)}).model_dump()}
    process.stdin.write(json.dumps(order).encode() + b"\n")
    cpu_s, done = 0.0, None
    try:
        async with asyncio.timeout(plan.warmup_s + (plan.duration_s or 0.0) + DRAIN_S + 30):
            while done is None and (line := await process.stdout.readline()):
                report = json.loads(line)
                cpu_s, done = report.get("cpu_s", cpu_s), report.get("done")
            process.stdin.close()
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if done is None or "error" in done:
        raise RuntimeError(f"a load engine failed: {(done or {}).get('error', f'exit code {process.returncode}')}")
    return Records.read(path)[0], cpu_s

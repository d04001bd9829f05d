"""A load offered by engines without Locust, and measured: for comparisons that shall not wait for Locust to start."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import PROJECT
from benchmarks.load.bench_network import BenchNetwork
from benchmarks.load.plan import DRAIN_S, BenchFile, LoadSpec, LoadStream, Round, engine_command, first_number
from benchmarks.measure.window import EngineLogs, LoadOutcome
from gridledger.errors import UnavailableError

_START_DELAY_S = 1.5
_MARGIN_S = 30.0


@dataclass(frozen=True, slots=True)
class EngineRun:
    """What happened in the measured time, its length, and the processor time that the engines took in all."""

    outcome: LoadOutcome
    measured_s: float
    engines_cpu_s: float

    @property
    def tx_s(self) -> float:
        """VALID transactions per second."""
        return self.outcome.valid / self.measured_s


async def run_load(
    network: BenchNetwork, streams: list[LoadStream], spec: LoadSpec, *, start_at: float | None = None
) -> EngineRun:
    """Offer a load that is bounded by seconds on ``streams``, from ``spec.workers`` engines. ``start_at`` (seconds
    since 1970) is when it begins. Raises :class:`UnavailableError` where an engine fails."""
    with tempfile.TemporaryDirectory(prefix="gridledger-load-") as made:
        folder = Path(made)
        BenchFile(roots=str(network.profile.roots), workloads={spec.workload: streams}).write(folder / "bench.json")
        plan = Round(
            workloads=[spec.workload],
            controller=spec.controller,
            count=spec.workers,
            warmup_s=spec.warmup_s,
            duration_s=spec.duration_s,
            start_at=time.time() + _START_DELAY_S if start_at is None else start_at,
            first=first_number(),
        )
        results = [folder / f"engine-{index}" for index in range(spec.workers)]
        parts = [plan.model_copy(update={"index": index, "results": str(path)}) for index, path in enumerate(results)]
        cpu_s = await asyncio.gather(*(_run_engine(folder / "bench.json", part) for part in parts))
        logs = EngineLogs.read(results)
    window = logs.window(spec)
    return EngineRun(logs.outcome(window), window.lasts_s, sum(cpu_s))


async def _run_engine(bench_file: Path, plan: Round) -> float:
    """Have an engine carry out a round; the processor time that it took."""
    process = await asyncio.create_subprocess_exec(
        *engine_command(bench_file),
        cwd=PROJECT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
        limit=1024 * 1024,
    )
    assert process.stdin is not None  # noqa: S101 - asked for
    assert process.stdout is not None  # noqa: S101 - asked for
    process.stdin.write(json.dumps({"round": plan.model_dump()}).encode() + b"\n")
    cpu_s, done = 0.0, None
    try:
        async with asyncio.timeout(plan.warmup_s + (plan.duration_s or 0.0) + DRAIN_S + _MARGIN_S):
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
        reason = (done or {}).get("error", f"exit code {process.returncode}")
        raise UnavailableError(f"a load engine failed: {reason}")
    return cpu_s

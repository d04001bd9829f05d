"""The benchmark itself: Locust with its workers and engines against a network, and what is measured of it."""

from __future__ import annotations

import asyncio
import json
import sys
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from benchmarks import PROJECT
from benchmarks.load.bench_network import BenchNetwork, prepare
from benchmarks.load.plan import BenchFile, ControllerSpec, LoadSpec
from benchmarks.measure.locust_run import measure_load
from tests.support.local_network import LocalNetwork
from tests.support.processes import free_ports
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture
async def bench(network: LocalNetwork) -> BenchNetwork:
    made = BenchNetwork(network.config, network.profile)
    await prepare(made)
    return made


async def test_an_open_loop_of_frames_is_measured(bench: BenchNetwork) -> None:
    rate = ControllerSpec(type="fixed-rate", opts={"tps": 40})
    load = await measure_load(bench, LoadSpec(workload="ComputeVSI", controller=rate, duration_s=2, warmup_s=0.5))
    assert (load.sent, load.refused) == (80, {})
    assert set(load.codes) == {"VALID"}
    assert load.valid == pytest.approx(80, abs=20)
    assert load.latency is not None
    assert load.latency.p50_ms > 1
    assert sum(second.sent for second in load.seconds) == 80
    assert {block.channel for block in load.blocks} == {"shard1", "shard2", "shard3"}
    assert {"edge", "committer", "orderer", "engine", "locust"} <= {process.kind for process in load.processes}
    assert {"peer1", "orderer3"} <= {process.name for process in load.processes}
    assert load.disk_bytes_per_tx is not None
    assert load.disk_bytes_per_tx > load.payload_bytes / 2
    assert load.generator_cores > 0


async def test_users_conflict_and_every_verdict_is_counted(
    bench: BenchNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.load.bench_network.COUNTERS", 3)
    users = ControllerSpec(type="closed-loop", opts={"users": 6})
    load = await measure_load(bench, LoadSpec(workload="read-write", controller=users, transactions=60))
    assert sum(load.codes.values()) + sum(load.refused.values()) == load.sent == 60
    assert load.codes["VALID"] == load.valid
    assert load.valid < 60


async def test_locusts_page_runs_an_open_loop_until_it_is_stopped(bench: BenchNetwork, tmp_path: Path) -> None:
    workloads = {"query": await bench.streams("query")}
    BenchFile(roots=str(bench.profile.roots), workloads=workloads).write(tmp_path / "bench.json")
    port, master_port = free_ports(2)
    ports = ["--web-host", "127.0.0.1", "--web-port", str(port), "--master-bind-port", str(master_port)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "locust", "--locustfile", "benchmarks/load/locustfile.py", "--class-picker"),
        *("--processes", "2", *ports, "--master-port", str(master_port), "--bench", str(tmp_path / "bench.json")),
        cwd=PROJECT,
        stderr=asyncio.subprocess.PIPE,
    )
    page = f"http://127.0.0.1:{port}"

    async def asked(path: str, form: dict[str, Any] | None = None) -> dict[str, Any]:
        return await asyncio.to_thread(_ask, page + path, form)

    try:
        await eventually(
            lambda: asked("/stats/requests"), within_s=30, what="Locust's page", ignore=(OSError, ValueError)
        )
        form = {"user_count": 2, "spawn_rate": 2, "host": "", "user_classes": "Query", "rate": 50}
        assert (await asked("/swarm", form))["success"]

        async def answered() -> bool:
            total = (await asked("/stats/requests"))["stats"][-1]
            assert total["num_failures"] == 0
            return bool(total["num_requests"] >= 60)

        await eventually(answered, within_s=20, what="60 queries in Locust's statistics")
        await asked("/stop", {})
    finally:
        process.terminate()
        async with asyncio.timeout(20):
            _, said = await process.communicate()
    assert b"Traceback" not in said, said.decode()


def _ask(url: str, form: dict[str, Any] | None) -> dict[str, Any]:
    body = None if form is None else urllib.parse.urlencode(form).encode()
    with urllib.request.urlopen(url, data=body, timeout=10) as answer:
        return dict(json.loads(answer.read()))

"""The figures: the thesis's data, the points, a run that is stopped and goes on, failures, what is drawn."""

from __future__ import annotations

import asyncio
import csv
import json
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from benchmarks.commands.figures import parse, wanted
from benchmarks.figures.output import write_figures
from benchmarks.figures.run import Estimate, Run
from benchmarks.figures.store import Basis, Measured, Store
from benchmarks.figures.sweeps import TOPOLOGIES, WARMUP_S, load_sweeps, network_warmup, read_thesis
from benchmarks.load.bench_network import PROJECT
from gridledger.errors import ConflictError, InputError, UnavailableError
from tests.support.loads import made_load

BASIS = Basis(commit="0123", processor="p", cores=4, python="3.11", seconds_per_point=20.0, quick=False)
SWEEP = load_sweeps()[0]


def points_of(*topologies):
    return [point for name in topologies for point in SWEEP.points(name, most_seconds=20.0, quick=True)]


class World:
    """Networks that start at once, loads that are measured at once; ``trouble`` by (topology, rate)."""

    def __init__(self, store, points, trouble=None):
        self.store, self.points, self.trouble = store, points, trouble or {}
        self.started, self.warmed, self.measured, self.said = [], [], [], []

    @asynccontextmanager
    async def start(self, topology):
        self.started.append(topology)
        if error := self.trouble.get((topology, None)):
            raise error
        yield topology

    async def measure(self, topology, spec):
        if spec == network_warmup("ComputeVSI"):
            self.warmed.append(topology)
            return made_load()
        self.measured.append((topology, spec.controller.opts["tps"]))
        if error := self.trouble.get(self.measured[-1]):
            raise error
        return made_load(topology=topology, tps=spec.controller.opts["tps"])

    async def run(self):
        run = Run(self.points, self.store, BASIS, start=self.start, measure=self.measure, say=self.said.append)
        return await run.run()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "points")


def test_thesis_data_is_whole():
    curves, note = read_thesis()
    assert "thesis" in note
    assert set(curves) == {"send_rate_compute_vsi", "send_rate_local_controller", "transactions", "workers"}
    for sweep in curves.values():
        assert sweep.x == sorted(set(sweep.x))
        for quantity in (sweep.tps, sweep.latency_s):
            assert set(quantity) == {name.replace("-", "_") for name in TOPOLOGIES}
            assert {len(values) for values in quantity.values()} == {len(sweep.x)}
            assert all(value > 0 for values in quantity.values() for value in values)


def test_points_are_the_thesis_s():
    by_name = {sweep.name: sweep.points("no-shard", most_seconds=1000.0, quick=False) for sweep in load_sweeps()}
    assert [(p.rate, p.transactions, p.workers) for p in by_name["send-rate"]][::12] == [(50, 8000, 3), (1200, 8000, 3)]
    assert {p.workload for p in by_name["send-rate-local-controller"]} == {"LocalController"}
    assert next((p.rate, p.transactions, p.workers) for p in by_name["transactions"]) == (800, 1000, 3)
    assert [(p.rate, p.transactions, p.workers) for p in by_name["workers"]][9] == (800, 8000, 10)


def test_points_are_bounded_in_time():
    points = SWEEP.points("no-shard", most_seconds=20.0, quick=False)
    assert [point.transactions for point in points[:2]] == [1000, 2000]
    assert points[-1].transactions == points[-1].asked == 8000
    assert max(point.seconds for point in points) == 20.0 + WARMUP_S


def test_every_point_is_a_valid_load():
    _, points = wanted(parse([]))
    assert len(points) == 3 * (13 + 13 + 15 + 10)
    assert len(set(points)) == len(points)
    for point in points:
        assert point.spec().transactions == point.transactions


async def test_a_network_is_kept_for_a_sweep_s_points(store):
    world = World(store, points_of("no-shard", "two-shards"))
    assert await world.run() == 0
    assert world.started == ["no-shard", "two-shards"]
    assert world.warmed == world.started
    assert len(world.measured) == 6
    assert "point 6 of 6" in world.said[-1]
    assert "0 s left" in world.said[-1]


async def test_a_run_that_was_stopped_goes_on(store):
    points = points_of("no-shard", "two-shards")
    stopped = World(store, points, {("two-shards", 600.0): asyncio.CancelledError()})
    with pytest.raises(asyncio.CancelledError):
        await stopped.run()
    resumed = World(store, points)
    assert await resumed.run() == 0
    assert resumed.started == ["two-shards"]
    assert resumed.measured == [("two-shards", 600.0), ("two-shards", 1200.0)]
    again = World(store, points)
    assert await again.run() == 0
    assert again.started == []


async def test_a_half_written_point_is_not_taken_for_one(store):
    [point, *_] = points_of("no-shard")
    path = store.folder / "send-rate" / "no-shard-50.part"
    path.parent.mkdir(parents=True)
    path.write_text('{"half":')
    assert store.read(point) is None
    path.with_suffix(".json").write_text('{"half":')
    with pytest.raises(InputError, match="--fresh"):
        store.read(point)


async def test_a_failure_is_kept_and_the_rest_gets_a_new_network(store):
    points = points_of("no-shard")
    world = World(store, points, {("no-shard", 50.0): UnavailableError("no leader")})
    assert await world.run() == 1
    assert world.started == ["no-shard", "no-shard"]
    assert "no leader" in store.read(points[0]).failure
    assert [store.read(point).load is not None for point in points] == [False, True, True]
    retried = World(store, points)
    assert await retried.run() == 0
    assert retried.measured == [("no-shard", 50.0)]
    assert store.read(points[0]).failure is None


async def test_a_network_that_does_not_start_fails_each_point_once(store):
    points = points_of("no-shard", "two-shards")
    world = World(store, points, {("no-shard", None): UnavailableError("port 7050 is taken")})
    assert await world.run() == 3
    assert world.started == ["no-shard"] * 3 + ["two-shards"]
    assert "did not come up" in store.read(points[2]).failure


async def test_a_load_without_a_valid_transaction_is_a_failure(store):
    points = points_of("no-shard")

    class Refusing(World):
        async def measure(self, topology, spec):
            return made_load(valid=0, refused={"BUSY": 7})

    assert await Refusing(store, points).run() == 3
    assert "BUSY" in store.read(points[0]).failure


async def test_points_of_another_commit_need_a_word(store):
    points = points_of("no-shard")
    await World(store, points).run()
    assert store.check(points, BASIS, keep=False) == []
    now = BASIS.model_copy(update={"commit": "4567"})
    with pytest.raises(ConflictError, match=r"0123 beside 4567.*--fresh.*--keep"):
        store.check(points, now, keep=False)
    assert store.check(points, now, keep=True) == ["commit 0123 beside 4567"]
    store.clear()
    assert store.check(points, now, keep=False) == []


def test_time_left_is_of_what_was_measured():
    points = points_of("no-shard", "two-shards")
    estimate = Estimate(points)
    estimate.network(30.0)
    estimate.finished(points[0], points[0].seconds + 10.0)
    left = sum(point.seconds for point in points[1:])
    assert estimate.seconds() == pytest.approx(left + 5 * 10.0 + 30.0)


def test_output(tmp_path: Path):
    points = points_of("no-shard")
    results = {
        points[0]: Measured.of(points[0], BASIS, took_s=3.0, load=made_load(tx_s=49.5), failure=None),
        points[2]: Measured.of(points[2], BASIS, took_s=3.0, load=made_load(engine_cores=0.95), failure=None),
        points[1]: Measured.of(points[1], BASIS, took_s=3.0, load=None, failure="<script>it broke</script>"),
    }
    write_figures([SWEEP], results, tmp_path, machine={"commit": "0123"}, configuration={}, remarks=["<b>mind</b>"])
    with (tmp_path / "send-rate.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * len(SWEEP.curves.x)
    assert (float(rows[0]["tx_s"]), float(rows[0]["thesis_tx_s"])) == (49.5, 50.0)
    assert rows[1]["tx_s"] == ""
    assert (tmp_path / "send-rate.png").stat().st_size > 10_000
    page = (tmp_path / "figures.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;it broke" in page
    assert "<script" not in page
    assert "&lt;b&gt;mind" in page
    assert page.count("may be what held this point back") == 1
    assert 'src="' not in page
    assert 'href="http' not in page


def test_points_are_json(store):
    [point, *_] = points_of("no-shard")
    store.save(Measured.of(point, BASIS, took_s=3.0, load=made_load(), failure=None))
    [path] = store.folder.rglob("*.json")
    assert json.loads(path.read_bytes())["basis"]["commit"] == "0123"
    assert [other.suffix for other in path.parent.iterdir()] == [".json"]


def test_a_run_that_was_killed_goes_on(tmp_path: Path):
    command = [sys.executable, "-m", "tests.support.figures_child", str(tmp_path / "points")]
    with subprocess.Popen([*command, "600"], stdout=subprocess.PIPE, text=True, cwd=PROJECT) as killed:
        assert killed.stdout is not None
        assert [killed.stdout.readline().strip() for _ in range(2)] == ["50", "600"]
        killed.kill()
    resumed = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT, timeout=60, check=True)
    assert resumed.stdout.split() == ["600", "1200"]

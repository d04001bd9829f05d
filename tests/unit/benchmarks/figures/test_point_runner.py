"""Measuring points: a run that is stopped and continued, failures, the time left."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from benchmarks import PROJECT
from benchmarks.figures.point_runner import Estimate, PointRunner
from benchmarks.figures.point_store import PointStore
from benchmarks.figures.sweeps import network_warmup
from gridledger.errors import UnavailableError
from tests.support.loads import BASIS, made_load, points_of


class World:
    """Networks that start at once, loads that are measured at once; ``trouble`` by (topology, rate)."""

    def __init__(self, store, points, trouble=None):
        self.store, self.points, self.trouble = store, points, trouble or {}
        self.started, self.warmed, self.measured, self.told = [], [], [], []

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
        run = PointRunner(self.points, self.store, BASIS, start=self.start, measure=self.measure, tell=self.told.append)
        return await run.run()


@pytest.fixture
def store(tmp_path: Path) -> PointStore:
    return PointStore(tmp_path / "points")


async def test_a_network_is_kept_for_a_sweep_s_points(store):
    world = World(store, points_of("no-shard", "two-shards"))
    assert await world.run() == 0
    assert world.started == ["no-shard", "two-shards"]
    assert world.warmed == world.started
    assert len(world.measured) == 6
    assert "point 6 of 6" in world.told[-1]
    assert "0 s left" in world.told[-1]


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
    assert "did not start" in store.read(points[2]).failure


async def test_a_load_without_a_valid_transaction_is_a_failure(store):
    points = points_of("no-shard")

    class Refusing(World):
        async def measure(self, topology, spec):
            return made_load(valid=0, refused={"BUSY": 7})

    assert await Refusing(store, points).run() == 3
    assert "BUSY" in store.read(points[0]).failure


def test_time_left_is_of_what_was_measured():
    points = points_of("no-shard", "two-shards")
    estimate = Estimate(points)
    estimate.network(30.0)
    estimate.finished(points[0], points[0].seconds + 10.0)
    left = sum(point.seconds for point in points[1:])
    assert estimate.seconds() == pytest.approx(left + 5 * 10.0 + 30.0)


def test_a_run_that_was_killed_goes_on(tmp_path: Path):
    command = [sys.executable, "-m", "tests.support.figures_child", str(tmp_path / "points")]
    with subprocess.Popen([*command, "600"], stdout=subprocess.PIPE, text=True, cwd=PROJECT) as killed:
        assert killed.stdout is not None
        assert [killed.stdout.readline().strip() for _ in range(2)] == ["50", "600"]
        killed.kill()
    resumed = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT, timeout=60, check=True)
    assert resumed.stdout.split() == ["600", "1200"]

"""The thesis's sweeps: its data, and the points."""

from __future__ import annotations

from benchmarks.figures.sweeps import WARMUP_S, load_sweeps, read_thesis
from benchmarks.load.topologies import TOPOLOGIES

SWEEP = load_sweeps()[0]


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

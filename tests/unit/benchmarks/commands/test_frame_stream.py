"""What is told of a stream of frames."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.commands.frame_stream import outcome_of, summary
from benchmarks.measure.processes import Sample, Samples

MIB = 2**20


def report(**changes: Any) -> dict[str, Any]:
    """A feeder's: two groups at 30 frames a second for 30 s."""
    everything = {"sent": 1800, "valid": 1800, "latency_ms": {"p50": 12.0, "p99": 40.0, "max": 300.0}} | changes
    return {
        "case": "case300",
        "rate_per_group": 30.0,
        "seconds": 30.0,
        "groups": {"1": {}, "2": {}},
        "all": everything,
        "not_sent": changes.get("not_sent", 0),
    }


def samples() -> Samples:
    """One peer's edge that loads its parts in the first seconds and then stays as it is, and the feeder."""

    def at(second: float) -> tuple[float, dict[int, Sample]]:
        rss = (100 if second >= 5 else 20) * MIB
        edge = Sample(7, "peer1", "edge", second / 2, rss)
        return 1000.0 + second, {7: edge, 8: Sample(8, "feeder", "feeder", second / 4, 50 * MIB)}

    return [at(second) for second in range(0, 31, 5)]


def run(**changes: Any) -> dict[str, Any]:
    return outcome_of(report(**changes), samples(), 1000.0, 1030.0, most_ms=100.0)


def test_frames_latency_cores_and_memory_once_all_is_loaded() -> None:
    told = run()
    assert told["sustained"]
    assert (told["groups"], told["frames_per_second"]) == (2, pytest.approx(60))
    assert told["memory"]["edge"] == {"processes": 1, "then_mib": 100, "end_mib": 100, "most_mib": 100}
    assert (told["feeder_cores"], told["cores"]) == (pytest.approx(0.25), pytest.approx(0.75))
    assert "60 frames/s" in summary(told)


@pytest.mark.parametrize(
    "changes",
    [{"latency_ms": {"p50": 12.0, "p99": 100.1, "max": 300.0}}, {"valid": 1799}, {"not_sent": 1}, {"latency_ms": {}}],
)
def test_late_or_lost_frames_are_not_sustained(changes: dict[str, Any]) -> None:
    told = run(**changes)
    assert not told["sustained"]
    assert "NOT sustained" in summary(told)

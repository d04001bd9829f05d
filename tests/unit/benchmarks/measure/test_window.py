"""From records to what is reported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.commands.bench_quick import below_guard, not_valid
from benchmarks.load.plan import ControllerSpec, LoadSpec
from benchmarks.load.transaction_log import Records
from benchmarks.measure.processes import Sample, Watcher
from benchmarks.measure.window import Cut, Outcomes, Window, block_sizes, generator_use, uses, window_of

RATE = ControllerSpec(type="fixed-rate", opts={"tps": 10})
# Intended, ended, code: warm-up of 1 s, window of 2 s.
ROWS = [
    (0.5, 0.9, "VALID"),
    (0.8, 1.2, "VALID"),
    (1.1, 1.3, "VALID"),
    (1.4, 1.5, "MVCC_READ_CONFLICT"),
    (1.6, 1.7, "BUSY"),
    (2.2, 2.6, "VALID"),
    (2.9, 3.5, "VALID"),
    (2.8, 9.0, "TIMEOUT"),
    (3.2, 3.3, "VALID"),
]


def outcomes() -> Outcomes:
    records = Records()
    for intended, ended, code in ROWS:
        records.add(intended, intended + 0.01, ended, code, committed=code in ("VALID", "MVCC_READ_CONFLICT"))
    return Outcomes(100.0, [records])


def test_a_window_of_seconds_counts_what_ended_in_it() -> None:
    spec = LoadSpec(workload="put", controller=RATE, duration_s=2, warmup_s=1)
    window = window_of(spec, outcomes())
    assert (window.begin_at, window.lasts_s) == (101.0, 2.0)
    found = outcomes().in_window(window)
    assert (found.sent, found.valid, found.answered) == (6, 3, 5)
    assert found.codes == {"VALID": 3, "MVCC_READ_CONFLICT": 1}
    assert found.late_p99_ms() == pytest.approx(10)
    # A time-out long after the window was sent in it: it does not pass in silence.
    assert found.refused == {"BUSY": 1, "TIMEOUT": 1}
    latency = found.latency()
    assert latency is not None
    assert latency.p50_ms == latency.max_ms == pytest.approx(400)
    seconds = found.seconds(window)
    assert [(row.sent, row.valid) for row in seconds] == [(3, 2), (3, 1)]


def test_a_window_of_transactions_ends_with_the_last_of_them() -> None:
    window = window_of(LoadSpec(workload="put", controller=RATE, transactions=7, warmup_s=1), outcomes())
    assert (window.begin_s, window.end_s) == (1, 9)
    found = outcomes().in_window(window)
    # What was sent in the warm-up and ended in the window is none of them.
    assert (found.sent, found.valid) == (7, 4)


def test_records_are_read_as_they_were_written(tmp_path: Path) -> None:
    records = Records()
    for intended, ended, code in ROWS:
        records.add(intended, intended + 0.01, ended, code, committed=code == "VALID")
    records.write(tmp_path / "records", begin_at=5.0)
    again, head = Records.read(tmp_path / "records")
    assert [(intended, ended, code) for intended, _, ended, code in again.rows()] == ROWS
    assert list(again.sent) == list(records.sent)
    assert (again.committed, head["begin_at"]) == ({"VALID"}, 5.0)


def test_cores_are_processor_time_between_the_samples_of_the_window() -> None:
    def sample(cpu_s: float, rss: int) -> dict[int, Sample]:
        return {7: Sample(7, "engine", "engine", cpu_s, rss), 8: Sample(8, "peer1", "edge", 2 * cpu_s, rss)}

    samples = [(100.0, sample(0, 1)), (101.0, sample(5, 10)), (102.0, sample(5.5, 30)), (103.0, sample(6, 20))]
    window = Window(1, 3, 101.0, counted=False)
    found = uses([*samples, (104.0, sample(99, 99))], window)
    assert [(use.name, use.cores) for use in found] == [("peer1", 1.0), ("engine", 0.5)]
    assert (found[0].rss_first_bytes, found[0].rss_last_bytes, found[0].rss_max_bytes) == (10, 20, 30)
    assert generator_use(found, window, answered=1000) == pytest.approx((0.5, 1000))


def test_blocks_count_where_they_were_cut_in_the_window() -> None:
    def block(at_s: float, size: int) -> Cut:
        return Cut(int(at_s * 1e6), size)

    cut = {"c": [block(100.5, 9), block(101.5, 4), block(102.0, 2), block(104.0, 9)], "quiet": []}
    (sizes,) = block_sizes(cut, Window(1, 3, 101.0, counted=False))
    assert (sizes.blocks, sizes.transactions, sizes.mean, sizes.max) == (2, 6, 3.0, 4)


def test_processes_are_known_by_their_node_and_kind() -> None:
    waits = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
    orders = [*waits, "services.orderer", "/somewhere/nodes/orderer9/config.json"]
    with subprocess.Popen(orders, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = Watcher(os.getpid()).sample()[process.pid]
        process.communicate()
    assert (found.name, found.kind) == ("orderer9", "orderer")
    assert found.cpu_s >= 0
    assert found.rss_bytes > 1_000_000


def test_bench_quick_complains_under_its_guard_and_about_what_is_not_valid() -> None:
    row = {
        "topology": "no-shard",
        "workload": "put",
        "load": "saturation",
        "floor_share": 0.5,
        "tx_s": 9,
        "refused": {},
    }
    assert below_guard([row]) == []
    assert not_valid([row]) == []
    assert "0.1% of the floor" in below_guard([row | {"floor_share": 0.001}])[0]
    assert "TIMEOUT" in not_valid([row | {"refused": {"TIMEOUT": 1}}])[0]
    assert "nothing" in not_valid([row | {"tx_s": 0}])[0]
    conflicts = row | {"workload": "read-write", "refused": {"MVCC_READ_CONFLICT": 1}}
    assert not_valid([conflicts]) == []
    assert not_valid([conflicts | {"workload": "put"}])

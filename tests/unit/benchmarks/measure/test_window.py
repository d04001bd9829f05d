"""The measured window: what counts in it, cores, memory and blocks."""

from __future__ import annotations

import pytest

from benchmarks.load.plan import ControllerSpec, LoadSpec
from benchmarks.load.transaction_log import TransactionLog
from benchmarks.measure.processes import Sample
from benchmarks.measure.window import CutBlock, EngineLogs, Window, block_sizes, generator_use, process_uses

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


def logs() -> EngineLogs:
    log = TransactionLog()
    for intended, ended, code in ROWS:
        log.add(intended, intended + 0.01, ended, code, committed=code in ("VALID", "MVCC_READ_CONFLICT"))
    return EngineLogs(100.0, [log])


def test_a_window_of_seconds_counts_what_ended_in_it() -> None:
    spec = LoadSpec(workload="put", controller=RATE, duration_s=2, warmup_s=1)
    window = logs().window(spec)
    assert (window.begin_at, window.lasts_s) == (101.0, 2.0)
    found = logs().outcome(window)
    assert (found.sent, found.valid, found.answered) == (6, 3, 5)
    # Those that were due in the window, each once: one of them became VALID after it, one due before is none of them.
    assert found.codes == {"VALID": 3, "MVCC_READ_CONFLICT": 1}
    assert found.sent == found.codes.total() + found.refused.total()
    assert found.late_p99_ms() == pytest.approx(10)
    # A time-out long after the window was sent in it: it does not pass in silence.
    assert found.refused == {"BUSY": 1, "TIMEOUT": 1}
    latency = found.latency
    assert latency is not None
    assert latency.p50_ms == latency.max_ms == pytest.approx(400)
    seconds = found.seconds(window)
    assert [(row.sent, row.valid) for row in seconds] == [(3, 2), (3, 1)]


def test_a_window_of_transactions_ends_with_the_last_of_them() -> None:
    window = logs().window(LoadSpec(workload="put", controller=RATE, transactions=7, warmup_s=1))
    assert (window.begin_s, window.end_s) == (1, 9)
    found = logs().outcome(window)
    # What was sent in the warm-up and ended in the window is none of them.
    assert (found.sent, found.valid) == (7, 4)


def test_cores_are_processor_time_between_a_window_s_samples() -> None:
    def sample(cpu_s: float, rss: int) -> dict[int, Sample]:
        return {7: Sample(7, "engine", "engine", cpu_s, rss), 8: Sample(8, "peer1", "edge", 2 * cpu_s, rss)}

    samples = [(100.0, sample(0, 1)), (101.0, sample(5, 10)), (102.0, sample(5.5, 30)), (103.0, sample(6, 20))]
    window = Window(1, 3, 101.0)
    found = process_uses([*samples, (104.0, sample(99, 99))], window)
    assert [(use.name, use.cores) for use in found] == [("peer1", 1.0), ("engine", 0.5)]
    assert (found[0].rss_first_bytes, found[0].rss_last_bytes, found[0].rss_max_bytes) == (10, 20, 30)
    assert generator_use(found, window, answered=1000) == pytest.approx((0.5, 1000))


def test_blocks_count_where_they_were_cut_in_the_window() -> None:
    def block(at_s: float, size: int) -> CutBlock:
        return CutBlock(int(at_s * 1e6), size)

    cut = {"c": [block(100.5, 9), block(101.5, 4), block(102.0, 2), block(104.0, 9)], "quiet": []}
    (sizes,) = block_sizes(cut, Window(1, 3, 101.0))
    assert (sizes.blocks, sizes.transactions, sizes.mean, sizes.max) == (2, 6, 3.0, 4)


def test_what_failed_is_what_was_invalid_or_refused() -> None:
    found = logs().outcome(Window(1, 3, 101.0))
    assert found.failed == {"MVCC_READ_CONFLICT": 1, "BUSY": 1, "TIMEOUT": 1}

"""The article's Algorithm 1: captures by seed, changes of the clock, a clock that is wrong."""

from __future__ import annotations

from datetime import UTC
from math import hypot, sqrt

import pytest

from gridledger.field.capture import Capture, parse_capture, render_capture
from services.relay.simulator.misbehaviour import Kind, Misbehaviour
from services.relay.simulator.recorder import Recorder

MINUTE = 27_000_000


def captured(
    minutes: int,
    misbehaviour: Misbehaviour | None = None,
    offsets: list[dict[str, int]] | None = None,
    *,
    seed: int = 7,
    interval_s: int = 10,
    physical: bool = False,
) -> list[tuple[int, Capture]]:
    """The captures, with their UTC minutes, that are complete after some minutes."""
    recorder = Recorder("Relay 1", "Bogotá", offsets or [{"from_minute": 0, "offset_min": 0}], seed, physical=physical)
    found = []
    for second in range(MINUTE * 60, (MINUTE + minutes) * 60 + 1, interval_s):
        kind: Kind | None = misbehaviour.at(second) if misbehaviour else None
        if (finished := recorder.finish_before(second, kind)) is not None:
            found.append((finished.minute, recorder.capture_of(finished)))
        recorder.step(second, kind)
    return found


def times(captures: list[tuple[int, Capture]]) -> list[str]:
    return [f"{capture.time:%H %M}" for _, capture in captures]


def test_a_minute_has_six_readings_that_the_ledger_takes() -> None:
    for minute, capture in captured(30):
        assert parse_capture(render_capture(capture)) == capture
        assert [reading.time.second for reading in capture.readings] == [0, 10, 20, 30, 40, 50]
        assert minute * 60 == capture.time.replace(tzinfo=UTC).timestamp()


def test_every_value_is_drawn_within_the_articles_ranges() -> None:
    limits = [(109, 118)] * 3 + [(0, 50)] * 3 + [(59, 61), (0, 1), (0, 700), (0, 700)]
    captures = [capture for _, capture in captured(200)]
    rows = [reading.values for capture in captures for reading in capture.readings]
    for values, (low, high) in zip(zip(*rows, strict=True), limits, strict=True):
        assert low <= min(values) < low + (high - low) / 20
        assert high - (high - low) / 20 < max(values) <= high
        assert all(value == round(value, 3) for value in values)
    assert {capture.faults for capture in captures} == set(map(float, range(29)))


def test_the_same_seed_gives_the_same_text() -> None:
    first, second = captured(5), captured(5)
    assert [render_capture(capture) for _, capture in first] == [render_capture(capture) for _, capture in second]
    assert first != captured(5, seed=8)


def test_a_relay_started_later_draws_the_same_minutes() -> None:
    recorder = Recorder("Relay 1", "Bogotá", [{"from_minute": 0, "offset_min": 0}], 7)
    for second in range((MINUTE + 3) * 60, (MINUTE + 4) * 60, 10):
        recorder.step(second, None)
    assert recorder.open is not None
    assert recorder.capture_of(recorder.open) == captured(4)[3][1]


def test_physical_values_fit_together() -> None:
    for _, capture in captured(20, physical=True):
        for reading in capture.readings:
            vab, vbc, vca, ia, ib, ic, _, factor, p, q = reading.values
            apparent = sqrt(3) * (vab + vbc + vca) / 3 * (ia + ib + ic) / 3 / 1000
            assert p == pytest.approx(apparent * factor, abs=0.001)
            assert hypot(p, q) == pytest.approx(apparent, abs=0.002)


def test_the_hour_that_is_skipped_has_no_captures() -> None:
    offsets = [{"from_minute": 0, "offset_min": -300}, {"from_minute": MINUTE + 2, "offset_min": -240}]
    captures = captured(4, offsets=offsets)
    assert times(captures) == ["19 00", "19 01", "20 02", "20 03"]
    assert [minute - MINUTE for minute, _ in captures] == [0, 1, 2, 3]


def test_the_hour_that_is_repeated_has_its_captures_twice() -> None:
    offsets = [{"from_minute": 0, "offset_min": -240}, {"from_minute": MINUTE + 60, "offset_min": -300}]
    captures = captured(120, offsets=offsets)
    assert times(captures)[:60] == times(captures)[60:]
    assert [minute - MINUTE for minute, _ in captures] == list(range(120))
    assert len({render_capture(capture) for _, capture in captures}) == 120


def test_a_skewed_clock_is_90_s_ahead_for_a_minute() -> None:
    misbehaviour = Misbehaviour()
    misbehaviour.begin("skewed", MINUTE + 1, 1)
    captures = captured(3, misbehaviour)
    assert times(captures) == ["00 00", "00 02", "00 03", "00 02"]
    assert [len(capture.readings) for _, capture in captures] == [6, 3, 3, 6]
    for _, capture in captures:
        assert parse_capture(render_capture(capture)) == capture


def test_a_clock_that_stands_repeats_the_minute() -> None:
    misbehaviour = Misbehaviour()
    misbehaviour.begin("repeat", MINUTE + 1, 1)
    captures = captured(3, misbehaviour)
    assert times(captures) == ["00 00", "00 00", "00 02"]
    assert captures[0] == captures[1]


def test_other_intervals_fill_the_minute() -> None:
    assert [len(capture.readings) for _, capture in captured(2, interval_s=1)] == [60, 60]
    assert [len(capture.readings) for _, capture in captured(2, interval_s=60)] == [1, 1]

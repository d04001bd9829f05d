"""Recordings are dated by the frequency that a PMU told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from gridledger.demonstration.console import Console
from gridledger.demonstration.steps import Steps
from gridledger.errors import UnavailableError
from services.case.demonstration import sounding
from services.case.demonstration.sounding import CUT_S, HISTORY_S, Frequency, expect_heard, listen, tell
from services.case.demonstration.stage import RealClock
from services.case.replay.player import Event
from tests.support.told_rows import BEGIN_US, event

SEED = 2015


@pytest.fixture(scope="module")
def frequency() -> Frequency:
    return Frequency(SEED, BEGIN_US)


@pytest.mark.deep
def test_the_call_is_dated_its_cut_found_and_the_other_day_refused(frequency: Frequency, tmp_path: Path) -> None:
    rows = []
    for told in frequency.events(0, HISTORY_S + 300):
        seconds = (told["time_us"] - BEGIN_US) / 1e6
        rows.append(event(told["device"], seconds, "frequency", body=told["body"]))
    heard = listen(rows, frequency, SEED, tmp_path)
    steps = Steps(Console())
    expect_heard(heard, frequency, steps)
    assert steps.failed == ""
    assert len(steps.expectations) == 3
    assert heard.own.found.edits[0].length_s == pytest.approx(CUT_S, abs=3.0)
    assert {path.name for path in tmp_path.iterdir()} == {"call.wav", "other.wav", "enf-call.png", "enf-other.png"}


def test_the_frequency_of_the_grid_is_what_the_pmu_tells(frequency: Frequency) -> None:
    (first,) = frequency.events(HISTORY_S, HISTORY_S + 1)
    assert first["time_us"] == frequency.first_us + HISTORY_S * 1_000_000
    assert first["body"]["frequency_hz"] == pytest.approx(frequency.at(0.0), abs=1e-4)
    assert frequency.events(len(frequency.series), len(frequency.series) + 5) == []


def test_what_was_measured_before_is_told_first_and_again_where_nobody_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sounding, "_AGAIN_S", 0.0)
    told: list[Event] = []
    failures = 2

    async def run() -> None:
        frequency = Frequency(SEED, RealClock().now_us())
        enough = asyncio.Event()

        async def teller(events: Sequence[Event]) -> None:
            nonlocal failures
            if failures:
                failures -= 1
                raise UnavailableError("away")
            assert len(events) <= 64
            told.extend(events)
            if len(told) >= HISTORY_S:
                enough.set()

        task = asyncio.create_task(tell(frequency, teller))
        async with asyncio.timeout(20):
            await enough.wait()
        await sounding.end(task)
        assert told == frequency.events(0, len(told))

    asyncio.run(run())

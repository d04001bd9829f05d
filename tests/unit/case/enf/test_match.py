"""Matches that are none, and the correlation against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.case.enf import synthesis
from services.case.enf.chance import LENGTHS_S, LINES_DB, WRONG_SHARES, wrong_place_share
from services.case.enf.correlate import correlate, smoothed
from services.case.enf.match import place_of
from services.case.enf.synthesis import Sound
from tests.support.enf_recordings import START_S, analysed, day, reference

SOUND = Sound(rate=700, snr_db=-10.0)


def test_a_recording_of_another_day_is_not_in_the_record() -> None:
    analysis = analysed(synthesis.recorded(day(2), 31_234.0, 900.0, SOUND, 1), day(1), SOUND)
    assert analysis.start_s is None
    assert analysis.reason.startswith("not in the record: ")
    assert analysis.as_json()["edits"] == []


@pytest.mark.parametrize("speech", [0.0, 1.0])
def test_a_recording_without_hum_is_refused(speech: float) -> None:
    samples = synthesis.silence(900.0, SOUND, 1)
    random = np.random.default_rng(1)
    samples += SOUND.level * speech * synthesis.speech(len(samples), SOUND.rate, random)
    analysis = analysed(samples, day(1), SOUND)
    assert analysis.start_s is None
    assert analysis.reason.startswith("no hum: ")


def test_a_short_recording_is_refused_or_warned_of() -> None:
    sound = Sound(rate=700, snr_db=0.0)
    samples = synthesis.recorded(day(1), 31_234.0, 240.0, sound, 1)
    assert analysed(samples[:49_000], day(1), sound).reason.startswith("too short: 70 s of sound; at least 76 s")
    analysis = analysed(samples, day(1), sound)
    assert analysis.start_s == pytest.approx(START_S + 31_234.0, abs=1.0)
    assert "short: " in analysis.warnings[0]


def test_a_recording_in_a_gap_of_the_reference_is_not_found() -> None:
    frequency = day(1).copy()
    frequency[31_000:33_000] = np.nan
    analysis = analysed(synthesis.recorded(day(1), 31_234.0, 900.0, SOUND, 1), frequency, SOUND)
    assert analysis.start_s is None
    assert "2000 of 86400 seconds of the reference are missing" in analysis.reason


def test_a_recording_may_begin_before_the_reference() -> None:
    analysis = analysed(synthesis.recorded(day(1), 500.0, 900.0, SOUND, 1), day(1)[800:20_000], SOUND)
    assert analysis.start_s == pytest.approx(START_S - 300.0, abs=1.0)


def test_a_reference_no_longer_than_the_recording_is_enough() -> None:
    analysis = analysed(synthesis.recorded(day(1), 500.0, 900.0, SOUND, 1), day(1)[480:1_420], SOUND)
    assert analysis.start_s == pytest.approx(START_S + 20.0, abs=1.0)


def test_a_clock_beyond_any_recorder_s_fits_nowhere() -> None:
    sound = Sound(rate=700, snr_db=0.0, clock_ppm=400.0)
    assert analysed(synthesis.recorded(day(1), 31_234.0, 900.0, sound, 1), day(1), sound).start_s is None


@given(st.integers(0, 2**32), st.booleans(), st.booleans())
@settings(max_examples=15)
def test_the_curve_is_pearson_s_coefficient_over_what_both_have(seed: int, gaps: bool, holes: bool) -> None:
    random = np.random.default_rng(seed)
    x = random.normal(0.0, 0.001, 400).cumsum()
    x -= x.mean()
    if gaps:
        x[100:130] = np.nan
    y = random.normal(0.0, 0.0005, 120) + 0.3 * np.nan_to_num(x[50:170])
    if holes:
        y[40:50] = np.nan
    ref = reference(x + 50.0)
    curve = correlate(ref, y, 60)
    smooth = smoothed(ref.deviation_hz)
    for lag in range(-50, 330, 7):
        beside = np.full(len(y), np.nan)
        low, high = max(0, -lag), min(len(y), len(x) - lag)
        beside[low:high] = smooth[low + lag : high + lag]
        both = np.isfinite(beside) & np.isfinite(y)
        z = curve.z[lag - curve.first_lag]
        if both.sum() < 60 or abs((y[both] - beside[both]).mean()) > 0.01:
            assert z == 0.0
            continue
        r = np.corrcoef(y[both], beside[both])[0, 1]
        share = both.sum() / np.isfinite(y).sum()
        assert np.tanh(z / np.sqrt(share)) == pytest.approx(r, abs=1e-3)


def test_the_distance_of_places_that_are_wrong_is_as_chance_has_it() -> None:
    distances = []
    for seed in range(40):
        random = np.random.default_rng(seed)
        track = smoothed((day(2)[(at := int(random.integers(80_000))) : at + 600] - 50.0).astype(np.float32))[8:-8]
        place, _ = place_of(track, reference(day(1)))
        assert place is not None
        distances.append(place.distance)
    assert np.mean(distances) < 1.3  # exp(-d) has a mean of 1
    assert max(distances) < 8.0


def test_the_chance_is_that_of_the_next_worse_recording_measured() -> None:
    assert wrong_place_share(LENGTHS_S[1] + 5, LINES_DB[1] + 1.0) == WRONG_SHARES[1][1]
    assert wrong_place_share(10.0, -5.0) == WRONG_SHARES[0][-1]

"""The hum's frequency against the one that was put in."""

from __future__ import annotations

import numpy as np
import pytest

from services.case.enf import synthesis
from services.case.enf.correlate import smoothed, smoothing_kernel
from services.case.enf.extract import extract
from services.case.enf.synthesis import Sound
from tests.support.enf_recordings import Floats, day


def error_hz(samples: Floats, sound: Sound, at_s: float, nominal_hz: float = 50.0, blocks: int = 1) -> Floats:
    """What is heard more than the frequency that was put in, second by second."""
    hum = extract(np.array_split(samples[:, np.newaxis], blocks), sound.rate, nominal_hz)
    smooth = smoothed((day(1, nominal_hz) - nominal_hz).astype(np.float32))
    difference: Floats = hum.deviation_hz - np.interp(at_s + hum.times_s, np.arange(len(smooth)), smooth)
    return difference


@pytest.mark.parametrize("rate", [400, 1_000, 8_000, 11_025, 44_100, 96_000])
@pytest.mark.parametrize("nominal_hz", [50.0, 60.0])
def test_the_frequency_is_heard_at_any_rate(rate: int, nominal_hz: float) -> None:
    sound = Sound(rate=rate, snr_db=0.0)
    samples = synthesis.recorded(day(1, nominal_hz), 5_000.0, 30.0, sound, 1)
    error = error_hz(samples, sound, 5_000.0, nominal_hz)
    assert len(error) == 15
    assert np.abs(error).max() < 0.002


def test_blocks_of_any_length_make_no_difference() -> None:
    sound = Sound(rate=8_000, snr_db=0.0)
    samples = synthesis.recorded(day(1), 5_000.0, 60.0, sound, 1)[:, np.newaxis]
    one = extract([samples], sound.rate, 50.0)
    many = extract(np.array_split(samples, [1, 2, 3, 500, 7_000, 7_001, 100_000]), sound.rate, 50.0)
    assert one.duration_s == pytest.approx(60.0, abs=0.01)
    assert np.allclose(one.deviation_hz, many.deviation_hz, atol=1e-6)


def test_noise_is_lower_by_all_harmonics_than_by_one() -> None:
    weak = Sound(rate=1_000, snr_db=-18.0)
    alone = Sound(rate=1_000, snr_db=-18.0 - 10.0 * np.log10(1.5325 / 0.36), harmonics=((1, 0.6),))
    errors = [error_hz(synthesis.recorded(day(1), 5_000.0, 240.0, s, 1), s, 5_000.0) for s in (weak, alone)]
    assert np.nanstd(errors[0]) < 0.7 * np.nanstd(errors[1])


def test_the_harmonic_that_carries_no_hum_is_left_out() -> None:
    sound = Sound(rate=1_000, snr_db=0.0, harmonics=((2, 1.0), (5, 0.3)))
    samples = synthesis.recorded(day(1), 5_000.0, 120.0, sound, 1)
    samples += 0.05 * np.sin(2.0 * np.pi * 150.4 * np.arange(len(samples)) / 1_000.0)  # a fan, not the mains
    hum = extract([samples[:, np.newaxis]], 1_000, 50.0)
    assert {tone.harmonic for tone in hum.tones if tone.used} == {2, 5}
    assert hum.heard_s == len(hum.times_s)


def test_the_channel_with_the_clearest_hum_is_heard() -> None:
    sound = Sound(rate=1_000, snr_db=-10.0)
    samples = synthesis.recorded(day(1), 5_000.0, 60.0, sound, 1)
    noise = np.random.default_rng(1).normal(0.0, 0.5, (len(samples), 1))
    hum = extract([np.hstack((samples[:, np.newaxis] + noise, samples[:, np.newaxis]))], 1_000, 50.0)
    assert hum.channel == 1


def test_noise_alone_is_no_hum() -> None:
    hum = extract([np.random.default_rng(1).normal(0.0, 0.1, (300_000, 1))], 1_000, 50.0)
    assert hum.heard_s <= 0.05 * len(hum.times_s)


def test_nothing_and_next_to_nothing_is_no_hum() -> None:
    assert extract([np.zeros((10, 1))], 8_000, 50.0).heard_s == 0
    assert extract([np.zeros((100_000, 2))], 1_000, 50.0).heard_s == 0


def test_the_kernel_is_a_mean() -> None:
    kernel = smoothing_kernel()
    assert kernel.sum() == pytest.approx(1.0)
    assert np.allclose(kernel, kernel[::-1])
    assert kernel.min() > 0.0

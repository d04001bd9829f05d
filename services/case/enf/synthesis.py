"""Grid frequency and recordings with mains hum, synthesised from seeds: for the demonstration, tests and benchmarks.

The frequency is the sum of two Ornstein-Uhlenbeck processes (fast: load noise; slow: drift over half an hour) and of
the steps at full hours with which schedules of generation change, which the control brings back within minutes. A
recording holds the mains' harmonics with the phase that the frequency gives them, a noise floor, and on request what
real ones have: speech, clipping, automatic gain, coarse quantisation, several channels, a clock that runs wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import signal

Floats = NDArray[np.float64]

_FAST_TAU_S, _FAST_HZ = 90.0, 0.010
_SLOW_TAU_S, _SLOW_HZ = 1_500.0, 0.015
_HOUR_S, _HOUR_TAU_S, _HOUR_HZ = 3_600, 400.0, 0.025
_INERTIA_S: Final = 4.0
_NOISE_BAND_HZ: Final = 4_000.0
"""Signal-to-noise ratios are those of the hum's power to the floor's power in this band, whatever the sample rate."""


def grid_frequency(seed: int, seconds: int, nominal_hz: float = 50.0) -> Floats:
    """A frequency in Hz for each second, as a PMU reports it: rounded to 0.1 mHz."""
    random = np.random.default_rng(seed)
    track = nominal_hz + _process(random, seconds, _FAST_TAU_S, _FAST_HZ)
    track += _process(random, seconds, _SLOW_TAU_S, _SLOW_HZ)
    steps = np.zeros(seconds)
    hours = np.arange(random.integers(_HOUR_S), seconds, _HOUR_S)
    steps[hours] = random.normal(0.0, _HOUR_HZ, len(hours))
    track += signal.lfilter([1.0], [1.0, -np.exp(-1.0 / _HOUR_TAU_S)], steps)
    decay = np.exp(-1.0 / _INERTIA_S)  # rotating masses let the frequency follow no faster
    smooth, _ = signal.lfilter([1.0 - decay], [1.0, -decay], track, zi=[track[0] * decay])
    rounded: Floats = np.round(smooth, 4)
    return rounded


def _process(random: np.random.Generator, seconds: int, tau_s: float, deviation: float) -> Floats:
    """An Ornstein-Uhlenbeck process at one sample a second, in its stationary state from the start."""
    decay = np.exp(-1.0 / tau_s)
    noise = random.normal(0.0, deviation * np.sqrt(1.0 - decay * decay), seconds)
    noise[0] = random.normal(0.0, deviation)
    filtered: Floats = signal.lfilter([1.0], [1.0, -decay], noise)
    return filtered


@dataclass(frozen=True, slots=True)
class Sound:
    """What a recorder makes of the hum. ``harmonics``: amplitude by number; the first is not always the strongest."""

    rate: int = 1_000
    snr_db: float = 0.0
    harmonics: tuple[tuple[int, float], ...] = ((1, 0.6), (2, 1.0), (3, 0.35), (5, 0.2))
    clock_ppm: float = 0.0
    """How much longer the recorder's second is than a true one, in millionths: it then hears a higher frequency."""
    speech: float = 0.0
    """Speech-like bursts, as a multiple of the hum's amplitude."""
    level: float = 0.05
    clip: float | None = None
    gain_control: bool = False
    bits: int | None = None
    """Quantise to so many bits, without dither."""


def recorded(frequency: Floats, start_s: float, seconds: float, sound: Sound, seed: int = 0) -> Floats:
    """Samples in [-1, 1] of a recording that begins ``start_s`` after the first value of ``frequency``."""
    random = np.random.default_rng([seed, 1])
    times = start_s + np.arange(round(seconds * sound.rate)) / sound.rate * (1.0 + 1e-6 * sound.clock_ppm)
    samples = _hum(frequency, times, sound.harmonics, random)
    power = sum(amplitude * amplitude / 2.0 for _, amplitude in sound.harmonics)
    samples += random.normal(0.0, noise_deviation(power, sound), len(samples))
    if sound.speech:
        samples += sound.speech * speech(len(samples), sound.rate, random)
    samples *= sound.level
    if sound.gain_control:
        samples = _gain_controlled(samples, sound)
    if sound.clip is not None:
        samples = np.clip(samples, -sound.clip, sound.clip)
    if sound.bits is not None:
        steps = 2.0 ** (sound.bits - 1)
        samples = np.round(samples * steps) / steps
    return np.clip(samples, -1.0, 1.0)


def silence(seconds: float, sound: Sound, seed: int = 0) -> Floats:
    """A noise floor without any hum, as loud as in :func:`recorded`."""
    power = sum(amplitude * amplitude / 2.0 for _, amplitude in sound.harmonics)
    random = np.random.default_rng([seed, 2])
    noise: Floats = random.normal(0.0, sound.level * noise_deviation(power, sound), round(seconds * sound.rate))
    return noise


def noise_deviation(power: float, sound: Sound) -> float:
    """The standard deviation of samples of white noise at ``snr_db`` below a hum of this power."""
    return float(np.sqrt(power * 10.0 ** (-sound.snr_db / 10.0) * (sound.rate / 2.0) / _NOISE_BAND_HZ))


def _hum(
    frequency: Floats, times: Floats, harmonics: tuple[tuple[int, float], ...], random: np.random.Generator
) -> Floats:
    """The harmonics at these times; between two values the frequency runs on a straight line."""
    cycles = np.concatenate(([0.0], np.cumsum((frequency[1:] + frequency[:-1]) / 2.0)))
    index = np.clip(times.astype(np.int64), 0, len(frequency) - 2)
    part = times - index
    slope = frequency[index + 1] - frequency[index]
    phase = cycles[index] % 1.0 + part * (frequency[index] + 0.5 * slope * part)
    samples = np.zeros(len(times))
    for number, amplitude in harmonics:
        samples += amplitude * np.cos(2.0 * np.pi * (phase * number % 1.0 + random.random()))
    return samples


def speech(samples: int, rate: int, random: np.random.Generator) -> Floats:
    """Bursts of one to three seconds with a pitch of 90 to 220 Hz and its harmonics, and pauses between them."""
    sound = np.zeros(samples)
    at = 0
    while at < samples:
        length = int(rate * random.uniform(0.5, 3.0))
        t = np.arange(min(length, samples - at)) / rate
        pitch = random.uniform(90.0, 220.0) * (1.0 + 0.1 * np.sin(2 * np.pi * random.uniform(0.3, 2.0) * t))
        phase = 2 * np.pi * np.cumsum(pitch) / rate
        voice = sum(np.sin(number * phase) / number for number in range(1, 8) if number * 250.0 < rate / 2.0)
        envelope = np.sin(np.pi * t / max(t[-1], 1e-9)) ** 2 if len(t) > 1 else np.zeros(len(t))
        sound[at : at + len(t)] = envelope * voice
        at += length + int(rate * random.uniform(0.2, 2.5))
    return sound


def _gain_controlled(samples: Floats, sound: Sound) -> Floats:
    """Loud passages turned down within a second, quiet ones up again."""
    decay = np.exp(-1.0 / sound.rate)
    power, _ = signal.lfilter([1.0 - decay], [1.0, -decay], samples**2, zi=[decay * float(np.mean(samples**2))])
    controlled: Floats = samples / np.sqrt(power + 1e-12) * 0.2
    return controlled


def reference_csv(frequency: Floats, start_s: float) -> bytes:
    """The rows as CSV, as ``gridledger case enf match --reference`` reads them."""
    lines: list[Any] = ["time_s,frequency_hz"]
    lines += [f"{start_s + second:.0f},{value:.4f}" for second, value in enumerate(frequency.tolist())]
    return ("\n".join(lines) + "\n").encode()

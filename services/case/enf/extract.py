"""The hum of the mains in a recording: its frequency at each second, by harmonics, without I/O.

Samples come in blocks of any length. Each channel is decimated to about a kilohertz, each harmonic (1, 2, 3 and 5)
mixed down to zero and decimated again to some 20 samples a second: a day of sound becomes 7 million complex numbers a
harmonic and channel. From there a short-time Fourier transform (Hann window of 16 s, one each second) gives a power
spectrum a harmonic, divided by the noise beside it. The spectra of the harmonics that carry hum are added up over the
fundamental's frequency, which is the likelihood of the frequency where the noise is Gaussian; its largest value,
interpolated by a parabola, is the frequency of that second. A second without a clear line has no frequency (NaN).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal, stats

Floats = NDArray[np.float64]
Samples = NDArray[Any]
"""Of any kind of float."""
Spectra = NDArray[np.float32]
Complexes = NDArray[np.complex64]

HARMONICS: Final = (1, 2, 3, 5)
WINDOW_S: Final = 16.0
HOP_S: Final = 1.0
SEARCH_HZ: Final = 1.0
"""A grid's frequency is looked for so far beside the nominal one."""

_FIRST_RATE: Final = 1_000.0
"""The least rate after the first decimation, in Hz; the fifth harmonic of 60 Hz lies at 300 Hz."""
_SECOND_RATE: Final = 18.0
"""The least rate of the signals around zero; the fifth harmonic moves by 5 Hz."""
_NOISE_HZ: Final = 5.5
"""Noise is measured so far to both sides of a harmonic's nominal frequency."""
_LINE_HZ: Final = 0.25
"""The main lobe of the window."""
_TAPS: Final = 16
"""Of a low-pass, for each sample of its input that makes one of its output."""
_COARSE_RATE: Final = 5_000.0
_FEW_TAPS: Final = 6
_FFT: Final = 2_048
_FRAMES: Final = 1_024
"""Seconds that are transformed together: bounds memory."""
_CARRIES_HUM: Final = 16.0
"""A harmonic is counted on where its line's power is so many times the noise in half of the seconds (12 dB)."""
_AGREES_HZ: Final = 0.004
"""Harmonics of one hum show the same frequency, in half of the seconds, within this."""
_AROUND_HZ: Final = 0.05
"""The line is looked for so far outside of where the mean spectrum shows it."""
_FALSE_LINE: Final = 1e-3
"""The chance that a second of pure noise is taken for hum."""
_MEDIAN_OF_EXPONENTIAL: Final = float(np.log(2.0))


@dataclass(frozen=True, slots=True)
class Tone:
    """A harmonic: ``snr_db`` is its line's power to the noise in a bin of the window, the median of all seconds."""

    harmonic: int
    snr_db: float
    used: bool


@dataclass(frozen=True, slots=True)
class Baseband:
    """Harmonics of one channel, each mixed down by its nominal frequency: sample n is at n / ``rate_hz`` seconds."""

    rate_hz: float
    nominal_hz: float
    duration_s: float
    samples: dict[int, Complexes]


@dataclass(frozen=True, slots=True)
class Hum:
    """The frequency heard in a recording: second by second, its difference from nominal in Hz; NaN where none is.

    ``noise[n]`` is how much less accurate second n is than the median second (1 for that one). ``times_s`` are the
    middles of the windows, in seconds from the recording's start. ``baseband`` has the channel that was listened to,
    and the harmonics that were used.
    """

    nominal_hz: float
    duration_s: float
    channel: int
    times_s: Floats
    deviation_hz: Floats
    noise: Floats
    tones: tuple[Tone, ...]
    baseband: Baseband

    @property
    def heard_s(self) -> int:
        """Seconds in which there is hum."""
        return int(np.isfinite(self.deviation_hz).sum())


def extract(blocks: Iterable[Samples], rate: float, nominal_hz: float) -> Hum:
    """The hum in blocks of samples (a row a sample, a column a channel) at ``rate`` Hz."""
    channels = list(basebands(blocks, rate, nominal_hz))
    strengths = [_strength(channel) for channel in channels]
    best = int(np.argmax(strengths)) if strengths else 0
    return _hum(channels[best], best)


def basebands(blocks: Iterable[Samples], rate: float, nominal_hz: float) -> list[Baseband]:
    """Each channel's harmonics around zero; those beyond 0.45 of the rate are left out."""
    coarsest = max(1, int(rate / _COARSE_RATE))
    first = max(1, int(rate / coarsest / _FIRST_RATE))
    middle = rate / coarsest / first
    second = max(1, int(middle / _SECOND_RATE))
    heard = [number for number in HARMONICS if number * (nominal_hz + SEARCH_HZ) < 0.45 * rate]
    coarse: list[_Chain] = []
    fine: list[dict[int, _Decimator]] = []
    mixed = 0
    for block in blocks:
        while len(coarse) < block.shape[1]:
            coarse.append(_Chain(_Decimator(coarsest, _FEW_TAPS), _Decimator(first)))
            fine.append({number: _Decimator(second) for number in heard})
        parts = [coarse[column].add(block[:, column]) for column in range(block.shape[1])]
        mixed = _mix(parts, fine, mixed, nominal_hz / middle)
    mixed = _mix([decimator.end() for decimator in coarse], fine, mixed, nominal_hz / middle)
    return [
        Baseband(
            middle / second, nominal_hz, mixed / middle, {number: _joined(each) for number, each in channel.items()}
        )
        for channel in fine
    ]


def _mix(parts: list[Any], fine: list[dict[int, _Decimator]], mixed: int, nominal: float) -> int:
    """Hand each channel's samples on to its harmonics; how many samples there were so far. ``nominal``: in cycles."""
    if not parts:
        return mixed
    turns = (np.arange(mixed, mixed + len(parts[0])) * nominal) % 1.0
    waves = {number: np.exp(-2j * np.pi * (turns * number % 1.0)).astype(np.complex64) for number in fine[0]}
    for part, harmonics in zip(parts, fine, strict=True):
        for number, decimator in harmonics.items():
            decimator.keep(decimator.add(part * waves[number]))
    return mixed + len(parts[0])


def _joined(decimator: _Decimator) -> Complexes:
    decimator.keep(decimator.end())
    joined: Complexes = np.concatenate(decimator.kept) if decimator.kept else np.zeros(0, np.complex64)
    return joined


class _Chain:
    """Two decimators one behind the other: the first may be steep nowhere, and costs little."""

    def __init__(self, one: _Decimator, other: _Decimator) -> None:
        self._one, self._other = one, other

    def add(self, samples: Samples) -> Samples:
        """What the samples add to the result."""
        return self._other.add(self._one.add(samples))

    def end(self) -> Samples:
        """What is still inside."""
        return np.concatenate((self._other.add(self._one.end()), self._other.end()))


class _Decimator:
    """A low-pass and every n-th sample of it, block by block; sample m of the result is at sample m n of the input."""

    def __init__(self, factor: int, taps: int = _TAPS) -> None:
        self._factor = factor
        self._half = half = taps * factor // 2 if factor > 1 else 0
        # Flat to 0.34 of the new rate, 80 dB down from 0.66 of it (with few taps: 0.08 and 0.92). What lies between
        # folds to where nobody looks.
        low_pass = signal.firwin(2 * half + 1, 1.0 / factor, window=("kaiser", 8.0)) if half else np.ones(1)
        self._filter = low_pass.astype(np.float32)
        self._pending: NDArray[Any] = np.zeros(half, np.float32)
        self.kept: list[Complexes] = []

    def add(self, samples: NDArray[Any]) -> NDArray[Any]:
        """What the samples add to the result."""
        pending = np.concatenate((self._pending, samples))
        count = max(0, (len(pending) - 2 * self._half + self._factor - 1) // self._factor)
        if count == 0:
            self._pending = pending
            return pending[:0]
        last = (count - 1) * self._factor + 2 * self._half + 1
        filtered = signal.upfirdn(self._filter, pending[:last], 1, self._factor)
        self._pending = pending[count * self._factor :]
        first = 2 * self._half // self._factor
        result: NDArray[Any] = filtered[first : first + count]
        return result

    def end(self) -> NDArray[Any]:
        """What is still inside, with silence behind it."""
        return self.add(np.zeros(self._half, np.float32)) if self._half else self._pending[:0]

    def keep(self, samples: NDArray[Any]) -> None:
        """Store a part of the result."""
        if len(samples):
            self.kept.append(samples.astype(np.complex64))


def _strength(channel: Baseband) -> float:
    """How accurately a channel's hum can be measured: the sum of SNR times harmonic squared."""
    total = 0.0
    length = int(WINDOW_S * channel.rate_hz)
    for number, samples in channel.samples.items():
        if len(samples) < length:
            continue
        _, power = signal.welch(samples, channel.rate_hz, nperseg=length, return_onesided=False, detrend=False)
        total += number * number * float(power.max()) / max(float(np.median(power)), 1e-300)
    return total


def _hum(channel: Baseband, number: int) -> Hum:
    """Spectra of all harmonics, which of them to use, and the line in their sum."""
    count = max(0, int((channel.duration_s - WINDOW_S) / HOP_S) + 1)
    times: Floats = WINDOW_S / 2.0 + HOP_S * np.arange(count, dtype=np.float64)
    own = {harmonic: _one_harmonic(channel, harmonic, times) for harmonic in channel.samples}
    tones = _tones(own)
    used = [tone.harmonic for tone in tones if tone.used]
    deviation, power = np.zeros(0), np.zeros(0)
    if count:
        deviation, power = _summed(channel, {harmonic: own[harmonic] for harmonic in used}, times)
    heard = power[np.isfinite(deviation)]
    noise = np.sqrt((float(np.median(heard)) if len(heard) else 1.0) / np.maximum(power, 1e-12))
    kept = {harmonic: channel.samples[harmonic] for harmonic in used}
    baseband = Baseband(channel.rate_hz, channel.nominal_hz, channel.duration_s, kept)
    return Hum(channel.nominal_hz, channel.duration_s, number, times, deviation, noise, tones, baseband)


@dataclass(frozen=True, slots=True)
class _Line:
    """One harmonic's line: frequency of the fundamental and power to the noise each second; the mean spectrum."""

    found: Floats
    ratios: Floats
    mean: Floats


def _one_harmonic(channel: Baseband, harmonic: int, times: Floats) -> _Line:
    grid = _grid(channel)
    line = _Line(np.zeros(len(times)), np.zeros(len(times)), np.zeros(len(grid)))
    for part in _parts(times):
        spectrum = _spectrum(channel, harmonic, times[part])
        at = np.argmax(spectrum, axis=1)
        line.found[part] = grid[at]
        line.ratios[part] = spectrum[np.arange(len(at)), at]
        line.mean[:] += spectrum.sum(axis=0, dtype=np.float64) / len(times)
    return line


def _tones(lines: dict[int, _Line]) -> tuple[Tone, ...]:
    """Which harmonics to add up: the most that carry hum and agree; all of them where none carries any.

    A tone that is not the mains' may be stronger than the hum, but agrees with no harmonic of it.
    """
    middle = {number: float(np.median(line.ratios)) if len(line.ratios) else 0.0 for number, line in lines.items()}
    clear = [number for number, value in middle.items() if value >= _CARRIES_HUM]
    used = set(middle)
    if clear:
        groups = [_agreeing(lines, clear, best) for best in clear]
        used = max(groups, key=lambda group: (len(group), sum(middle[number] * number * number for number in group)))
    return tuple(
        Tone(number, 10.0 * float(np.log10(max(value, 1e-12))), number in used) for number, value in middle.items()
    )


def _agreeing(lines: dict[int, _Line], clear: list[int], best: int) -> set[int]:
    """The harmonics that show the same frequency as one of them."""
    apart = {number: float(np.median(np.abs(lines[number].found - lines[best].found))) for number in clear}
    return {number for number in clear if apart[number] <= _AGREES_HZ + 0.25 * _LINE_HZ / max(number, best)}


def _summed(channel: Baseband, lines: dict[int, _Line], times: Floats) -> tuple[Floats, Floats]:
    """Where the sum of the harmonics' spectra is largest, NaN where that may be noise; and the sum there."""
    grid = _grid(channel)
    low, high = _where_hum_is(grid, lines, len(times))
    cells = max(1.0, (high - low) * float(np.mean(list(lines))) * WINDOW_S)
    least = float(stats.gamma.isf(_FALSE_LINE / cells, len(lines)))
    inside = np.flatnonzero((grid >= low) & (grid <= high))
    deviation, power = np.full(len(times), np.nan), np.zeros(len(times))
    for part in _parts(times):
        total = np.sum([_spectrum(channel, number, times[part])[:, inside] for number in lines], axis=0)
        at = np.argmax(total, axis=1)
        inner = (at > 0) & (at < len(inside) - 1)
        at = np.clip(at, 1, len(inside) - 2)
        rows = np.arange(len(at))
        left, peak, right = (np.log(total[rows, at + step] + 1e-12) for step in (-1, 0, 1))
        bend = np.minimum(left - 2.0 * peak + right, -1e-9)
        shift = np.clip(0.5 * (left - right) / bend, -0.5, 0.5)
        power[part] = total[rows, at]
        clear = inner & (power[part] >= least)
        found = grid[inside[at]] + shift * (grid[1] - grid[0])
        deviation[part] = np.where(clear, found, np.nan)
    return deviation, power


def _where_hum_is(grid: Floats, lines: dict[int, _Line], seconds: int) -> tuple[float, float]:
    """The range of frequencies in which the mean of all seconds rises above the noise, a little wider.

    The fewer frequencies are looked at, the seldomer noise is taken for the line.
    """
    mean = np.sum([line.mean for line in lines.values()], axis=0)
    independent = max(1.0, seconds / (WINDOW_S / 2.0))
    raised = mean > len(lines) + 5.0 * np.sqrt(len(lines) / independent)
    if not raised.any():
        return -SEARCH_HZ, SEARCH_HZ
    near = grid[raised & (np.abs(grid - grid[np.argmax(mean)]) < 0.5 * SEARCH_HZ)]
    return max(-SEARCH_HZ, float(near[0]) - _AROUND_HZ), min(SEARCH_HZ, float(near[-1]) + _AROUND_HZ)


def _spectrum(channel: Baseband, harmonic: int, times: Floats) -> Spectra:
    """A row a window: power by the fundamental's frequency (:func:`_grid`), divided by the noise beside the line."""
    rate = channel.rate_hz
    length = int(WINDOW_S * rate)
    starts = np.ceil((times - WINDOW_S / 2.0) * rate).astype(np.int64)
    index = starts[:, None] + np.arange(length)
    samples = channel.samples[harmonic]
    inside = index < len(samples)
    frames = np.where(inside, samples[np.minimum(index, len(samples) - 1)], np.complex64(0))
    # The windows begin between two samples: each is shifted by its own part of one.
    window = 0.5 + 0.5 * np.cos(2.0 * np.pi * (index / rate - times[:, None]) / WINDOW_S)
    lines = fft.fft(frames * window.astype(np.float32), _FFT, axis=1)
    power: Spectra = (lines.real**2 + lines.imag**2).astype(np.float32)
    step = rate / _FFT
    half = int(SEARCH_HZ / step)
    noise = np.maximum(_noise(power, step), np.float32(1e-30))
    return (power[:, np.arange(-half, half + 1) * harmonic] / noise).astype(np.float32)


def _noise(power: Spectra, step: float) -> Spectra:
    """The mean power of the noise, from the median over a band of which the line is a small part."""
    reach = int(_NOISE_HZ / step)
    coarse = max(1, int(0.03 / step))  # neighbours in a padded transform say the same
    band = power[:, np.arange(-reach, reach + 1, coarse)]
    noise: Spectra = np.median(band, axis=1, keepdims=True) / np.float32(_MEDIAN_OF_EXPONENTIAL)
    return noise


def _grid(channel: Baseband) -> Floats:
    """Frequencies of the fundamental beside nominal, in Hz, ascending."""
    step = channel.rate_hz / _FFT
    half = int(SEARCH_HZ / step)
    grid: Floats = np.arange(-half, half + 1, dtype=np.float64) * step
    return grid


def _parts(times: Floats) -> Iterator[slice]:
    for start in range(0, len(times), _FRAMES):
        yield slice(start, min(start + _FRAMES, len(times)))

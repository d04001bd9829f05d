"""Recordings with mains hum from fixed seeds, edited as forgers would, and their analysis without files."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.case.enf import synthesis
from services.case.enf.analysis import Analysis, analyse
from services.case.enf.extract import extract
from services.case.enf.reference import Reference
from services.case.enf.synthesis import Sound

Floats = NDArray[np.float64]
START_S = 1_700_000_000.0
DAY_S = 86_400


@cache
def day(seed: int, nominal_hz: float = 50.0) -> Floats:
    """The frequency of one day."""
    return synthesis.grid_frequency(seed, DAY_S, nominal_hz)


def reference(frequency: Floats, nominal_hz: float = 50.0) -> Reference:
    """Its rows, from START_S on."""
    return Reference(START_S, nominal_hz, (frequency - nominal_hz).astype(np.float32))


def analysed(samples: Floats, frequency: Floats, sound: Sound, nominal_hz: float = 50.0) -> Analysis:
    """What is told of one channel of samples."""
    hum = extract([samples[:, np.newaxis]], sound.rate, nominal_hz)
    return analyse(hum, reference(frequency, nominal_hz))


def without(samples: Floats, at_s: float, length_s: float, rate: int) -> Floats:
    """With so much cut out."""
    return np.concatenate((samples[: round(at_s * rate)], samples[round((at_s + length_s) * rate) :]))


def with_inserted(samples: Floats, at_s: float, inserted: Floats, rate: int) -> Floats:
    """With something put in."""
    at = round(at_s * rate)
    return np.concatenate((samples[:at], inserted, samples[at:]))


def write_wav(path: Path, samples: Floats, rate: int, subtype: str = "PCM_16") -> Path:
    """A WAV file; samples of one channel, or a column a channel."""
    import soundfile  # noqa: PLC0415 -- of the extra forensics

    soundfile.write(str(path), samples, rate, subtype=subtype)
    return path

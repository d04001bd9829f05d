"""The fault records that a simulated relay leaves in its folder ``faults``: COMTRADE of 1999, ASCII.

A record has eight cycles of 16 samples: three voltages, three currents, and the trip. From the third cycle on one phase
has a short circuit, its current sixfold and its voltage a half; the trip comes two cycles later and ends all currents
after two more.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from math import pi, sin, sqrt
from pathlib import Path
from random import Random

from gridledger.field.capture import Capture

KEPT = 100
"""Records in the folder; the oldest goes."""
ONE_IN = 10
"""One capture in so many has a record."""
_FREQUENCY_HZ, _IN_A_CYCLE, _SAMPLES = 60, 16, 128
_BEGINS, _TRIPS, _ENDS = 2 * _IN_A_CYCLE, 4 * _IN_A_CYCLE, 6 * _IN_A_CYCLE
_CURRENT_RISE, _VOLTAGE_DROP = 6.0, 0.5
_STEP = 0.01
_MICROSECONDS = 1_000_000
_CHANNELS = (
    ("VAB", "AB", "kV"),
    ("VBC", "BC", "kV"),
    ("VCA", "CA", "kV"),
    ("IA", "A", "A"),
    ("IB", "B", "A"),
    ("IC", "C", "A"),
)


class FaultFolder:
    """Writes the records of one relay."""

    def __init__(self, folder: Path, relay: str, substation: str, seed: int) -> None:
        self._folder = folder / "faults"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._names = f"{_without_commas(substation)},{_without_commas(relay)}"
        self._seed = seed

    def take(self, capture: Capture) -> Path | None:
        """Write the record of a fault in a capture, where it has one to show; gives its ``.cfg``."""
        random = Random(f"{self._seed} fault {capture.time.isoformat()}")  # noqa: S311 - repeats itself
        if not capture.faults or random.randrange(ONE_IN):
            return None
        reading, phase = random.choice(capture.readings), random.randrange(3)
        trigger = reading.time + timedelta(microseconds=random.randrange(_MICROSECONDS))
        config = self._folder / f"{trigger:%Y-%m-%d %H-%M-%S}.cfg"
        rows = "".join(f"{row}\r\n" for row in _rows(reading.values, phase))
        config.with_suffix(".dat").write_text(rows, newline="")
        # It comes last: whoever sees it finds its .dat whole.
        temporary = config.with_suffix(".writing")
        temporary.write_text("".join(f"{line}\r\n" for line in self._config(trigger)), newline="")
        temporary.replace(config)
        self._drop_oldest()
        return config

    def _config(self, trigger: datetime) -> Iterator[str]:
        start = trigger - timedelta(seconds=_BEGINS / _IN_A_CYCLE / _FREQUENCY_HZ)
        yield f"{self._names},1999"
        yield f"{len(_CHANNELS) + 1},{len(_CHANNELS)}A,1D"
        for number, (name, phase, unit) in enumerate(_CHANNELS, 1):
            yield f"{number},{name},{phase},,{unit},{_STEP},0,0,-99999,99998,1,1,P"
        yield f"{len(_CHANNELS) + 1},TRIP,,,0"
        yield from (f"{_FREQUENCY_HZ}", "1", f"{_FREQUENCY_HZ * _IN_A_CYCLE},{_SAMPLES}")
        yield from (f"{time:%d/%m/%Y,%H:%M:%S.%f}" for time in (start, trigger))
        yield from ("ASCII", "1")

    def _drop_oldest(self) -> None:
        for config in sorted(self._folder.glob("*.cfg"))[:-KEPT]:
            config.unlink()
            config.with_suffix(".dat").unlink(missing_ok=True)


def _rows(values: tuple[float, ...], faulty: int) -> Iterator[str]:
    """The samples: number, microseconds, six instantaneous values in steps of 0.01, and the trip."""
    for sample in range(_SAMPLES):
        micros = round(sample * _MICROSECONDS / _FREQUENCY_HZ / _IN_A_CYCLE)
        told = (round(_value(values, channel, sample, faulty) / _STEP) for channel in range(len(_CHANNELS)))
        yield f"{sample + 1},{micros},{','.join(map(str, told))},{int(sample >= _TRIPS)}"


def _value(values: tuple[float, ...], channel: int, sample: int, faulty: int) -> float:
    is_current, phase = channel >= 3, channel % 3  # noqa: PLR2004 - three phases
    peak = values[channel] * sqrt(2)
    if is_current and sample >= _ENDS:
        return 0.0
    if phase == faulty and _BEGINS <= sample < _ENDS:
        peak *= _CURRENT_RISE if is_current else _VOLTAGE_DROP
    return peak * sin(2 * pi * sample / _IN_A_CYCLE - phase * 2 * pi / 3)


def _without_commas(name: str) -> str:
    return name.replace(",", " ")

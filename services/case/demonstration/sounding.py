"""Two recordings, dated by the hum in them: the grid's frequency as a PMU told it to the ledger is the reference.

The PMU was cut off while it measured the first forty minutes, so those come late. One recording is of that time, with
17.3 s cut out; the other is of another day.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import soundfile

from gridledger.demonstration.steps import Steps
from gridledger.errors import GridLedgerError
from services.case.demonstration.grid import SECTION
from services.case.demonstration.stage import RealClock
from services.case.enf.analysis import Analysis, analyse
from services.case.enf.extract import extract
from services.case.enf.plot import write_png
from services.case.enf.recording import Recording
from services.case.enf.reference import Reference, reference_of
from services.case.enf.synthesis import Floats, Sound, grid_frequency, recorded
from services.case.enf.told import in_seconds, told_frequencies
from services.case.replay.player import MAX_TOGETHER, Event
from services.case.replay.story import Device
from services.case.rows import Row

DEVICE: Final = "pmu-kyiv-1"
NOMINAL_HZ: Final = 50.0
HISTORY_S: Final = 2_400
"""What the PMU had measured before the demonstration began."""
CUT_S: Final = 17.3
_CUT_AT_S: Final = 400.0
_BEGINS_S: Final = 420.0
"""Of the recording, seconds after the PMU's first value."""
_LENGTH_S: Final = 1_200.0
_OTHER_DAY: Final = 1_000_003
_MOST_S: Final = 14_400
_AGAIN_S: Final = 0.5
_START_WITHIN_S: Final = 1.0
_EDIT_WITHIN_S: Final = 3.0


def device() -> Device:
    """The PMU that tells the frequency."""
    return Device(DEVICE, "pmu", SECTION, "bus-1", "SEL", "2240")


class Frequency:
    """The grid's frequency, 1/s, from ``HISTORY_S`` before ``begun_us`` on."""

    def __init__(self, seed: int, begun_us: int) -> None:
        self.series = grid_frequency(seed, HISTORY_S + _MOST_S, NOMINAL_HZ)
        self.first_us = (begun_us // 1_000_000 - HISTORY_S) * 1_000_000

    def at(self, at_s: float) -> float:
        """Hz at a second after the begin."""
        return float(np.interp(at_s + HISTORY_S, np.arange(len(self.series)), self.series))

    def events(self, first: int, last: int) -> list[Event]:
        """The values ``first`` to before ``last`` as events."""
        return [
            {
                "device": DEVICE,
                "kind": "frequency",
                "time_us": self.first_us + second * 1_000_000,
                "body": {"frequency_hz": round(float(self.series[second]), 4)},
            }
            for second in range(first, min(last, len(self.series)))
        ]


async def tell(frequency: Frequency, teller: Callable[[Sequence[Event]], Awaitable[None]]) -> None:
    """Tell what was measured before, then what is measured, until this is cancelled."""
    clock, told = RealClock(), 0
    while True:
        now = (clock.now_us() - frequency.first_us) // 1_000_000 + 1
        while told < now:
            some = frequency.events(told, min(told + MAX_TOGETHER, now))
            try:
                await teller(some)
            except (GridLedgerError, OSError):
                await asyncio.sleep(_AGAIN_S)
                continue
            told += len(some)
        await clock.sleep_until(frequency.first_us + told * 1_000_000)


async def end(task: asyncio.Task[None]) -> None:
    """Have :func:`tell` end."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@dataclass(frozen=True, slots=True)
class Heard:
    """What the two recordings say."""

    own: Analysis
    other: Analysis


def listen(rows: Sequence[Row], frequency: Frequency, seed: int, out: Path) -> Heard:
    """Make both recordings, date them by the rows, and draw what was compared; the folder exists."""
    reference = reference_from(rows)
    whole = recorded(frequency.series, _BEGINS_S, _LENGTH_S, Sound(), seed)
    rate = Sound().rate
    cut = np.concatenate((whole[: int(_CUT_AT_S * rate)], whole[int((_CUT_AT_S + CUT_S) * rate) :]))
    other_day = grid_frequency(seed + _OTHER_DAY, HISTORY_S, NOMINAL_HZ)
    other = recorded(other_day, _BEGINS_S, _LENGTH_S, Sound(), seed + 1)
    own = _dated(cut, out / "call.wav", reference, out / "enf-call.png")
    return Heard(own, _dated(other, out / "other.wav", reference, out / "enf-other.png"))


def reference_from(rows: Sequence[Row]) -> Reference:
    """The frequency as the PMU told it to the ledger."""
    told = in_seconds(told_frequencies(rows, DEVICE))
    times, hertz = (np.asarray(column, dtype=np.float64) for column in zip(*told, strict=True))
    return reference_of([(times, hertz)], NOMINAL_HZ)


def _dated(samples: Floats, wav: Path, reference: Reference, drawing: Path) -> Analysis:
    soundfile.write(wav, samples, Sound().rate, subtype="PCM_16")
    with Recording(wav) as recording:
        hum = extract(recording.blocks(), recording.format.rate, NOMINAL_HZ)
    found = analyse(hum, reference)
    write_png(drawing, found, wav.name)
    return found


def expect_heard(heard: Heard, frequency: Frequency, steps: Steps) -> None:
    """The first recording's time and its cut are found; the other one is of no time here."""
    begun_s = frequency.first_us / 1e6 + _BEGINS_S
    start_s = heard.own.start_s
    off_s = float("nan") if start_s is None else start_s - begun_s
    steps.expect(
        f"the call's time is found within {_START_WITHIN_S:g} s, by the frequency on the ledger",
        abs(off_s) <= _START_WITHIN_S,
        f"off by {off_s:.2f} s, confidence {heard.own.confidence:.4f} {heard.own.reason}",
    )
    edits = heard.own.found.edits
    is_found = len(edits) == 1 and edits[0].kind == "deletion"
    is_found = is_found and abs(edits[0].at_s - _CUT_AT_S) <= _EDIT_WITHIN_S
    steps.expect(
        f"the {CUT_S:g} s that were cut out of it are found within {_EDIT_WITHIN_S:g} s",
        is_found and abs(edits[0].length_s - CUT_S) <= _EDIT_WITHIN_S,
        "; ".join(f"{each.kind} of {each.length_s:.1f} s at {each.at_s:.1f} s" for each in edits),
    )
    steps.expect("a recording of another day matches nothing", heard.other.start_s is None, heard.other.reason)

"""The grid's own PMUs: one at each bus, with its voltage, the current of its load and of every branch end there."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from gridledger.field.c37118 import Configuration, FrameTime, FrameType, PhasorChannel, PmuConfig
from gridledger.grid.case import Case
from services.feeder.pmu.phasors import FROM_END, LOAD, TO_END, VOLTAGE, Quantity

_RATES = range(1, 32_768)


@dataclass(frozen=True, slots=True)
class BusPmu:
    """The PMU of a bus. ``channels``: phasor name and what it is of, in the order of the data frame."""

    bus: int
    station: str
    channels: tuple[tuple[str, Quantity], ...]

    def config(self, idcode: int, nominal_hz: int) -> PmuConfig:
        """What CFG-2 tells of it: float phasors, rectangular, and float frequency."""
        phasors = tuple(PhasorChannel(name, quantity.kind != VOLTAGE) for name, quantity in self.channels)
        return PmuConfig(self.station, idcode, phasors=phasors, nominal_hz=nominal_hz)


def pmus_of(case: Case) -> tuple[BusPmu, ...]:
    """A PMU for every bus, in case order. A current ``I 4-12`` flows from bus 4 into the branch to bus 12.

    Of parallel branches the second one and further have their number behind: ``I 4-12 2``.
    """
    channels: dict[int, list[tuple[str, Quantity]]] = {
        bus: [("V", Quantity(VOLTAGE, bus)), ("LOAD", Quantity(LOAD, bus))] for bus in case.numbers
    }
    seen: Counter[tuple[int, int]] = Counter()
    for branch in range(len(case.branches)):
        f, t = case.ends(branch)
        seen[min(f, t), max(f, t)] += 1
        number = seen[min(f, t), max(f, t)]
        behind = f" {number}" if number > 1 else ""
        channels[f].append((f"I {f}-{t}{behind}", Quantity(FROM_END, branch)))
        channels[t].append((f"I {t}-{f}{behind}", Quantity(TO_END, branch)))
    return tuple(BusPmu(bus, f"BUS {bus}", tuple(channels[bus])) for bus in case.numbers)


def configuration_of(pmus: tuple[BusPmu, ...], idcode: int, rate: float, nominal_hz: int = 60) -> Configuration:
    """CFG-2 of a stream that has these PMUs; their own ids count from ``idcode`` on. A rate below 1/s is in seconds."""
    data_rate = round(rate) if rate >= 1.0 else -round(1.0 / rate)
    return Configuration(
        FrameType.CFG2,
        idcode,
        FrameTime(0, 0),
        tuple(pmu.config(idcode + at, nominal_hz) for at, pmu in enumerate(pmus)),
        data_rate,
    )

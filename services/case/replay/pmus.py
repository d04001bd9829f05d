"""PMUs of a grid case that moves a little: phasors of solved states with noise, one clock of which may run away.

Loads wander: states are solved every so often, and voltages go straight from one to the next; currents are linear in
them, so each moment fits the lines. Noise is normal and new in each sample: 0.05 degrees and 0.1 % of each phasor. The
frequency is given, and turns all phasors alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from gridledger.grid.case import load_case
from gridledger.grid.power_flow import PowerFlow
from gridledger.grid.ybus import branch_admittances
from services.case.rules.phasors import ComplexArray, FloatArray
from services.case.rules.placement import Placement

ANGLE_DEG: Final = 0.05
MAGNITUDE: Final = 0.001
_STEP_S: Final = 20.0
"""Between two solved states."""
_WANDER: Final = 0.03
"""By how much loads differ from one state to the next, and at most by three times as much from the case's."""


@dataclass(frozen=True, slots=True)
class WrongClock:
    """A PMU's clock that runs away from ``from_s`` on, us a second."""

    pmu: str
    from_s: float
    us_per_s: float

    def ahead_us(self, at_s: float) -> float:
        """By how much it is ahead."""
        return max(0.0, at_s - self.from_s) * self.us_per_s


def placed(
    case_name: str, buses: Mapping[str, int], *, nominal_hz: float = 50.0, kilovolts: float = 135.0
) -> Placement:
    """PMUs at these buses, each with a current phasor for each of its branches, named ``I_FROM_TO``."""
    case = load_case(case_name)
    pmus: dict[str, Any] = {}
    for name, bus in buses.items():
        at = case.index(bus)
        rows = np.flatnonzero((case.branches.f == at) | (case.branches.t == at)).tolist()
        others = [next(end for end in case.ends(row) if end != bus) for row in rows]
        pmus[name] = {"bus": bus, "currents": {f"I_{bus}_{other}": (bus, other) for other in others}}
    volts = kilovolts * 1000 / np.sqrt(3)
    amperes = case.base_mva * 1e6 / (np.sqrt(3) * kilovolts * 1000)
    return Placement.model_validate(
        {"case": case_name, "nominal_hz": nominal_hz, "volts": volts, "amperes": amperes, "pmus": pmus}
    )


class MovingGrid:
    """The grid over so many seconds, as its PMUs measure it."""

    def __init__(
        self,
        placement: Placement,
        seconds: float,
        seed: int,
        *,
        frequency: Callable[[float], float],
        wrong: WrongClock | None = None,
    ) -> None:
        """``frequency``: Hz at a second."""
        self.placement = placement
        self._case = load_case(placement.case)
        self._own = branch_admittances(self._case)
        self._random = np.random.default_rng([seed, 1])
        self._noise = np.random.default_rng([seed, 2])
        self._voltages = self._solve(int(seconds / _STEP_S) + 2)
        self._frequency, self._wrong = frequency, wrong
        steps = np.arange(0.0, seconds + 1.0)
        turns = np.cumsum([frequency(second) - placement.nominal_hz for second in steps])
        self._turns = np.concatenate(([0.0], turns))

    def go_wrong(self, wrong: WrongClock) -> None:
        """Have a clock run away."""
        self._wrong = wrong

    def frequency(self, at_s: float) -> float:
        """Hz."""
        return self._frequency(at_s)

    def channels(self, pmu: str) -> list[str]:
        """Its phasors' names, the voltage first."""
        at = self.placement.pmus[pmu]
        return [at.voltage, *at.currents]

    def phasors(self, pmu: str, at_s: float) -> list[complex]:
        """What a PMU measures at a second, V and A."""
        v = self._voltages_at(at_s)
        at, placement = self.placement.pmus[pmu], self.placement
        voltage = v[self._case.index(at.bus)] * placement.volts
        currents = [self._current(v, at.bus, branch) * placement.amperes for branch in at.currents.values()]
        turned = self._noisy(np.asarray([voltage, *currents])) * self._turn(pmu, at_s)
        return [complex(value) for value in turned]

    def _current(self, v: ComplexArray, bus: int, branch: Sequence[int]) -> complex:
        row = self._case.branch(*branch)
        v_f, v_t = v[self._case.branches.f[row]], v[self._case.branches.t[row]]
        if self._case.ends(row)[0] == bus:
            return complex(self._own.ff[row] * v_f + self._own.ft[row] * v_t)
        return complex(self._own.tf[row] * v_f + self._own.tt[row] * v_t)

    def _turn(self, pmu: str, at_s: float) -> complex:
        """The turn by the frequency's deviation since the begin, and by the PMU's own clock."""
        cycles = float(np.interp(at_s, np.arange(len(self._turns)), self._turns))
        if self._wrong is not None and pmu == self._wrong.pmu:
            cycles += self.placement.nominal_hz * self._wrong.ahead_us(at_s) * 1e-6
        return complex(np.exp(2j * np.pi * cycles))

    def _voltages_at(self, at_s: float) -> ComplexArray:
        place = min(max(at_s / _STEP_S, 0.0), len(self._voltages) - 1.001)
        first, share = int(place), place - int(place)
        return np.asarray(self._voltages[first] * (1 - share) + self._voltages[first + 1] * share)

    def _noisy(self, values: ComplexArray) -> ComplexArray:
        angle: FloatArray = np.radians(ANGLE_DEG) * self._noise.standard_normal(len(values))
        magnitude: FloatArray = 1 + MAGNITUDE * self._noise.standard_normal(len(values))
        return np.asarray(values * magnitude * np.exp(1j * angle))

    def _solve(self, count: int) -> list[ComplexArray]:
        flow, load = PowerFlow(self._case), np.ones(len(self._case.numbers))
        found: list[ComplexArray] = []
        for _ in range(count):
            state = flow.solve(self._case.pd * load, self._case.qd * load)
            found.append(np.asarray(state.vm * np.exp(1j * np.radians(state.va)), dtype=np.complex128))
            moved = load + _WANDER * self._random.standard_normal(len(load))
            load = np.clip(moved, 1 - 3 * _WANDER, 1 + 3 * _WANDER)
        return found

"""A relay's ten values from what a PMU measures. Pure.

The PMU must have three voltages (phase to neutral) and three currents. They are found by their names ``VA``, ``VB``,
``VC``, ``IA``, ``IB``, ``IC``; where these are not there, the first three of each kind are taken, as the
configuration orders them. ``F`` is the PMU's frequency, ``FP`` is P / |S|, and 1 where nothing flows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from gridledger.field.c37118 import PmuConfig, PmuData

_VOLTAGES: Final = ("VA", "VB", "VC")
_CURRENTS: Final = ("IA", "IB", "IC")
_PER_KILO: Final = 1e3
_PER_MEGA: Final = 1e6


@dataclass(frozen=True, slots=True)
class ThreePhases:
    """Where the phasors of phases A, B, C stand in a PMU's data: their positions."""

    voltages: tuple[int, int, int]
    currents: tuple[int, int, int]

    def values(self, data: PmuData) -> tuple[float, ...] | None:
        """Vab, Vbc, Vca (kV), Ia, Ib, Ic (A), F (Hz), FP, P (MW), Q (MVAr).

        None where the PMU says that they are not good.
        """
        if not data.stat.is_good or data.stat.unsynchronised:
            return None
        a, b, c = (data.phasors[at] for at in self.voltages)
        amperes = [data.phasors[at] for at in self.currents]
        power = sum(v * i.conjugate() for v, i in zip((a, b, c), amperes, strict=True)) / _PER_MEGA
        factor = power.real / abs(power) if abs(power) else 1.0
        lines = [abs(one - other) / _PER_KILO for one, other in ((a, b), (b, c), (c, a))]
        found = (*lines, *map(abs, amperes), data.freq_hz, factor, power.real, power.imag)
        return found if all(map(math.isfinite, found)) else None


def three_phases(pmu: PmuConfig) -> ThreePhases | None:
    """Where a PMU has its phases; None where it has no three voltages and three currents."""
    voltages = _positions(pmu, _VOLTAGES, is_current=False)
    currents = _positions(pmu, _CURRENTS, is_current=True)
    return None if voltages is None or currents is None else ThreePhases(voltages, currents)


def _positions(pmu: PmuConfig, names: tuple[str, ...], *, is_current: bool) -> tuple[int, int, int] | None:
    by_name = {channel.name.strip().upper(): at for at, channel in enumerate(pmu.phasors)}
    if all(name in by_name for name in names):
        a, b, c = (by_name[name] for name in names)
        return a, b, c
    of_kind = [at for at, channel in enumerate(pmu.phasors) if channel.is_current == is_current]
    return (of_kind[0], of_kind[1], of_kind[2]) if len(of_kind) > 2 else None  # noqa: PLR2004 - three phases

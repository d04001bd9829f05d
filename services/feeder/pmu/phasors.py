"""A grid's state as phasors in the precision of C37.118's floats, and a group's frame from phasors.

Voltages are phase to neutral in V, currents in A, of a balanced grid: S = 3 V conj(I). A bus whose case has no base
voltage (0) counts as one of 1 kV. The frame is computed in binary64 from the float32 phasors, with elementary
operations in a fixed order, so that equal phasors give equal frames to the bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

import numpy as np

from gridledger.grid.area import Area
from gridledger.grid.case import Case, FloatArray
from gridledger.grid.frames import Frame
from gridledger.grid.power_flow import GridState

_SQRT_3: Final = math.sqrt(3.0)
_V_PER_KV: Final = 1000.0
_VA_PER_MVA: Final = 1e6
_PHASES: Final = 3.0


class Quantity(NamedTuple):
    """What a phasor is of: the voltage or the load current of the bus ``at``, or the current into a branch.

    Of a branch, ``at`` is its position in the case without outages, ``kind`` the end: from or to.
    """

    kind: str
    at: int


VOLTAGE: Final = "voltage"
LOAD: Final = "load"
FROM_END: Final = "from"
TO_END: Final = "to"

Phasors = Mapping[Quantity, complex]


def base_kv(case: Case) -> FloatArray:
    """kV by bus position; 1 where the case has none."""
    return np.where(case.base_kv > 0.0, case.base_kv, 1.0)


def in_service(case: Case, outages: Iterable[int]) -> tuple[int, ...]:
    """Positions, in the case without outages, of the branches that are in service."""
    out = frozenset(outages)
    return tuple(position for position in range(len(case.branches)) if position not in out)


def phasors_of(state: GridState, case: Case, outages: Iterable[int] = ()) -> dict[Quantity, complex]:
    """All phasors of a state, rounded to float32. ``case`` is the one without outages; a branch that is out has 0 A."""
    volts = base_kv(case) * _V_PER_KV / _SQRT_3 * state.vm
    voltage = volts * np.exp(1j * np.radians(state.va))
    kept = list(in_service(case, outages))
    ends = np.zeros((len(case.branches), 2), dtype=np.complex128)
    for column, bus in ((0, case.branches.f), (1, case.branches.t)):
        power = state.flows[:, 2 * column] + 1j * state.flows[:, 2 * column + 1]
        ends[kept, column] = np.conj(power * _VA_PER_MVA / (_PHASES * voltage[bus[kept]]))
    load = np.conj((state.pd + 1j * state.qd) * _VA_PER_MVA / (_PHASES * voltage))

    def rounded(values: Any) -> list[complex]:
        found: list[complex] = values.astype(np.complex64).tolist()
        return found

    phasors = {Quantity(VOLTAGE, bus): value for bus, value in zip(case.numbers, rounded(voltage), strict=True)}
    phasors |= {Quantity(LOAD, bus): value for bus, value in zip(case.numbers, rounded(load), strict=True)}
    for kind, column in ((FROM_END, 0), (TO_END, 1)):
        phasors |= {Quantity(kind, at): value for at, value in enumerate(rounded(ends[:, column]))}
    return phasors


def state_of(phasors: Phasors, case: Case, base: GridState) -> GridState:
    """The state as far as it was measured; what was not is that of ``base``. No branch is out."""
    pd, qd, vm, va = (values.copy() for values in (base.pd, base.qd, base.vm, base.va))
    flows, kv = base.flows.copy(), base_kv(case)
    for bus, at in case.position.items():
        voltage, load = phasors.get(Quantity(VOLTAGE, bus)), phasors.get(Quantity(LOAD, bus))
        if voltage is not None:
            vm[at] = math.hypot(voltage.real, voltage.imag) * _SQRT_3 / (_V_PER_KV * kv[at])
            va[at] = math.degrees(math.atan2(voltage.imag, voltage.real))
            if load is not None:
                pd[at], qd[at] = _power(voltage, load)
    for branch in range(len(case.branches)):
        for kind, column, bus in zip((FROM_END, TO_END), (0, 2), case.ends(branch), strict=True):
            voltage, current = phasors.get(Quantity(VOLTAGE, bus)), phasors.get(Quantity(kind, branch))
            if voltage is not None and current is not None:
                flows[branch, column : column + 2] = _power(voltage, current)
    return replace(base, pd=pd, qd=qd, vm=vm, va=va, flows=flows)


class PhasorFrames:
    """Makes one group's frames from phasors. ``service``: :func:`in_service`, by which ``area`` counts its branches."""

    def __init__(self, area: Area, service: tuple[int, ...]) -> None:
        self.area = area
        case = area.case
        kv = base_kv(case)
        self._buses = [(bus, _V_PER_KV * float(kv[case.position[bus]])) for bus in area.dim]
        self._branches = [(*case.ends(branch), service[branch]) for branch in area.branches]
        needs = [Quantity(kind, bus) for bus in area.dim for kind in (VOLTAGE, LOAD)]
        for f, t, at in self._branches:
            needs += [Quantity(FROM_END, at), Quantity(TO_END, at), Quantity(VOLTAGE, f), Quantity(VOLTAGE, t)]
        self.needs = frozenset(needs)
        """The quantities without which there is no frame."""

    def frame(self, phasors: Phasors, time_us: int, *, applied: int | None = None) -> Frame:
        """The frame; KeyError where a phasor that it needs is not there."""
        frame: Frame = {
            "group": self.area.group,
            "time": time_us,
            "base": self.area.case.base_mva,
            "buses": [self._bus(phasors, bus, volts) for bus, volts in self._buses],
            "branches": [self._branch(phasors, *branch) for branch in self._branches],
        }
        if applied is not None:
            frame["applied"] = applied
        return frame

    def _bus(self, phasors: Phasors, bus: int, volts: float) -> dict[str, Any]:
        voltage = phasors[Quantity(VOLTAGE, bus)]
        p, q = _power(voltage, phasors[Quantity(LOAD, bus)])
        magnitude = math.hypot(voltage.real, voltage.imag) * _SQRT_3 / volts
        angle = math.degrees(math.atan2(voltage.imag, voltage.real))
        return {"bus": bus, "Pd": p, "Qd": q, "Vm": magnitude, "Va": angle + 0.0}

    def _branch(self, phasors: Phasors, f: int, t: int, at: int) -> dict[str, Any]:
        pf, qf = _power(phasors[Quantity(VOLTAGE, f)], phasors[Quantity(FROM_END, at)])
        pt, qt = _power(phasors[Quantity(VOLTAGE, t)], phasors[Quantity(TO_END, at)])
        return {"f": f, "t": t, "Pf": pf, "Qf": qf, "Pt": pt, "Qt": qt}


def _power(voltage: complex, current: complex) -> tuple[float, float]:
    """S = 3 V conj(I), as MW and MVAr. + 0.0 turns -0 into 0, which is how numbers stand on the wire."""
    p = voltage.real * current.real + voltage.imag * current.imag
    q = voltage.imag * current.real - voltage.real * current.imag
    return p * _PHASES / _VA_PER_MVA + 0.0, q * _PHASES / _VA_PER_MVA + 0.0

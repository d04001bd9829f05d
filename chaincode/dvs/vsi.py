"""Voltage stability indices of load buses, from one measurement and the Thevenin impedances of the record.

Profile ``published`` follows the tables of the thesis, whose outflow S is a sum of line flows in MW; profile
``corrected`` takes the load's own demand in p.u. The order of operations is part of the specification: peers must
agree to the bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import sqrt

from gridledger.contract.arguments import refuse

Bus = tuple[float, float, float, float]
"""Measurement of a bus: Pd (MW), Qd (MVAr), Vm (p.u.), Va (degrees)."""

Branch = tuple[int, int, float, float, float, float]
"""Measurement of a branch: from bus, to bus, Pf (MW), Qf (MVAr), Pt (MW), Qt (MVAr)."""

Impedance = tuple[float, float]
"""Thevenin impedance of a load bus: R, X (p.u.)."""


class NotFinite(ArithmeticError):
    """An intermediate of an index is infinite or no number."""


def load_bus_index(p: float, q: float, P: float, Q: float, vm: float, R: float, X: float) -> float:  # noqa: PLR0917
    """VSI of one load bus, 0 (at or beyond the limit) to 1 (no load).

    ``p``, ``q``: demand, p.u. ``P``, ``Q``: the outflow that drives the Thevenin source, in the unit that the profile
    takes. ``vm``: voltage, p.u., > 0. ``R``, ``X``: Thevenin impedance, p.u., X > 0. Raises :class:`NotFinite`.
    """
    if p == 0.0 and q == 0.0:
        return 1.0
    a = vm + ((P * R + Q * X) / vm)
    b = (P * X - Q * R) / vm
    E = a * a + b * b
    if E <= 0.0:
        if p * 0.0 + q * 0.0 != 0.0:
            raise NotFinite
        return 0.0
    h = E / (4.0 * X)
    rad = (E * (h - q)) / X
    v1 = 0.0 if rad <= 0.0 else 1.0 - p / sqrt(rad)
    g = h - ((p * p) * X) / E
    v2 = 0.0 if g <= 0.0 else 1.0 - q / g
    s = sqrt(p * p + q * q)
    v3 = 1.0 - ((2.0 * X) * (s + q)) / E
    # 0 times a finite number is 0. What is not finite anywhere above shows in one of these five.
    if rad * 0.0 + g * 0.0 + v1 * 0.0 + v2 * 0.0 + v3 * 0.0 != 0.0:
        raise NotFinite
    lowest = min(v1, v2, v3)
    if lowest <= 0.0:
        return 0.0
    return lowest if lowest < 1.0 else 1.0


def published_outflows(branches: Iterable[Branch], loads: Iterable[int]) -> dict[int, tuple[float, float]]:
    """(P, Q) in MW and MVAr that profile ``published`` lets flow out of each load bus, summed in the order given."""
    P = dict.fromkeys(loads, 0.0)
    Q = dict(P)
    for f, t, pf, qf, _, qt in branches:
        if f in P:
            if pf > 0.0:
                P[f] += pf
            if qf > 0.0:
                Q[f] += qf
        if qt > 0.0 and t in P:
            P[t] += pf
    return {bus: (P[bus], Q[bus]) for bus in P}


def indices(
    buses: Mapping[int, Bus],
    base: float,
    impedances: Mapping[int, Impedance],
    outflows: Mapping[int, tuple[float, float]] | None,
) -> list[tuple[float, int]]:
    """(VSI, bus) of every bus of ``impedances``, ascending. ``outflows`` None: profile ``corrected``.

    The whole measurement is refused where an intermediate is not finite, or a bus without impedance has demand.
    """
    found = []
    for bus, (R, X) in impedances.items():
        Pd, Qd, vm, _ = buses[bus]
        p = Pd / base
        q = Qd / base
        if X == 0.0 and (p != 0.0 or q != 0.0):
            refuse("buses", f"bus {bus} has a demand, and the record no Thevenin impedance for it (R = X = 0)")
        P, Q = (p, q) if outflows is None else outflows[bus]
        try:
            found.append((load_bus_index(p, q, P, Q, vm, R, X), bus))
        except NotFinite:
            refuse("buses", f"bus {bus}: its index has an intermediate that is not finite; check Pd, Qd, Vm and base")
    found.sort()
    return found


def weakest(ranked: Sequence[tuple[float, int]], thresholds: Mapping[int, float]) -> tuple[float, int]:
    """(VSI, bus) with the smallest VSI - threshold, the lowest bus where two are equal; ``thresholds`` by bus."""
    return min(ranked, key=lambda entry: (entry[0] - thresholds[entry[1]], entry[1]))

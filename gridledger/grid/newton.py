"""Newton's method of pandapower on the tables of one case.

What ``runpp(init="flat", tolerance_mva=1e-8)`` runs, on tables that are filled here from the case. ``runpp`` itself
spends two thirds of its time on turning data frames into these tables and results back into data frames, and its own
sums of loads carry rounding errors.
Newton stops as soon as the largest mismatch is below 1e-8 p.u. (pandapower compares
``tolerance_mva`` with p.u. values), so the iterate depends on the start; the thesis printed this very one. numba and
lightsim2grid take no part, installed or not.

The solver is not public in pandapower: pyproject.toml bounds its version, and tests/unit/test_private_parts.py and
tests/unit/grid/test_newton.py check what is used of it here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from gridledger.extras import MissingExtra
from gridledger.grid.case import PQ, REFERENCE, Case, FloatArray
from gridledger.grid.ybus import bus_admittance

# Columns of MATPOWER's tables; pandapower appends some of its own, which stay 0.
_BUS_I, _KIND, _PD, _QD, _GS, _BS, _VM, _VA = 0, 1, 2, 3, 4, 5, 7, 8
_GEN_BUS, _PG, _VG, _GEN_STATUS = 0, 1, 5, 7
_F, _T, _R, _X, _B, _TAP, _SHIFT, _BR_STATUS = 0, 1, 2, 3, 4, 8, 9, 10
_FLOWS = slice(13, 17)
_TOLERANCE_PU = 1e-8

Tables = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Voltages:
    """Voltages of all buses, case order: p.u. and degrees."""

    vm: FloatArray
    va: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """What Newton found: voltages, and Pf, Qf, Pt, Qt (MW, MVAr) of each branch in case order."""

    voltages: Voltages
    flows: FloatArray
    iterations: int


@dataclass(frozen=True, slots=True)
class Mismatch:
    """What does not add up at one bus: MW and MVAr that its branches and shunts take, its load and its generation."""

    bus: int
    p_mw: float
    q_mvar: float


@dataclass(frozen=True, slots=True)
class NotSolved:
    """Newton did not converge. ``worst``: the largest mismatch where it stopped, or began if it left all numbers."""

    iterations: int
    worst: Mismatch


class Newton:
    """Solves one case: its topology, its kinds of buses, its generators. Loads and start are given with each call."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self._tables, self._options = _tables_of(case)

    def solve(self, pd: FloatArray, qd: FloatArray, shunt: FloatArray | None, start: Voltages) -> Solution | NotSolved:
        """The voltages under ``pd``, ``qd`` (MW, MVAr by bus) and ``shunt`` (MVAr at 1 p.u.) beside the case's own.

        ``start`` is where the iteration begins; generators start at the voltage that they hold.
        """
        from pandapower.pf.run_newton_raphson_pf import _run_newton_raphson_pf  # noqa: PLC0415

        # Newton writes into its tables, so each run gets fresh ones.
        tables = {name: part.copy() if hasattr(part, "copy") else part for name, part in self._tables.items()}
        bus = tables["bus"]
        bus[:, _PD], bus[:, _QD] = pd, qd
        bus[:, _VM], bus[:, _VA] = start.vm, start.va
        if shunt is not None:
            bus[:, _BS] += shunt
        result = _run_newton_raphson_pf(tables, self._options)
        if not result["success"]:
            stopped = Voltages(result["bus"][:, _VM], result["bus"][:, _VA])
            left = np.isfinite(stopped.vm).all() and np.isfinite(stopped.va).all()
            return NotSolved(int(result["iterations"]), self._worst(pd, qd, shunt, stopped if left else start))
        return Solution(
            voltages=Voltages(result["bus"][:, _VM].copy(), result["bus"][:, _VA].copy()),
            flows=result["branch"][:, _FLOWS].copy(),
            iterations=int(result["iterations"]),
        )

    def _worst(self, pd: FloatArray, qd: FloatArray, shunt: FloatArray | None, at: Voltages) -> Mismatch:
        """The largest mismatch of the equations that Newton solves: P but at the reference bus, Q of load buses."""
        case = self.case
        with np.errstate(all="ignore"):  # an iteration that runs away leaves any numbers
            u = at.vm * np.exp(1j * np.pi / 180.0 * at.va)
            taken = u * np.conj(bus_admittance(case) @ u) * case.base_mva + pd + 1j * qd
            if shunt is not None:
                taken = taken - 1j * shunt * at.vm * at.vm
        np.subtract.at(taken, case.generators.bus, case.generators.pg)
        p = np.where(case.kind == REFERENCE, 0.0, taken.real)
        q = np.where(case.kind == PQ, taken.imag, 0.0)
        worst = int(np.argmax(np.nan_to_num(np.hypot(p, q), nan=np.inf)))
        return Mismatch(case.numbers[worst], float(p[worst]), float(q[worst]))


def flat_start(case: Case) -> Voltages:
    """1 p.u. everywhere, 0 degrees everywhere but at the reference bus, which has its own angle."""
    angle = np.zeros(len(case.numbers))
    angle[case.position[case.reference]] = case.reference_angle
    return Voltages(np.ones(len(case.numbers)), angle)


@cache
def _tables_of_a_trivial_net() -> tuple[Tables, dict[str, Any]]:
    """pandapower's own tables and options for a net of one bus: the shapes that its Newton expects.

    Not to be written to.
    """
    try:
        import pandapower  # noqa: PLC0415 -- takes 2 s; frames, records and --help do without
    except ImportError as error:
        raise MissingExtra("gridledger.grid", "pandapower", "feeder") from error
    from pandapower.pd2ppc import _pd2ppc  # noqa: PLC0415

    net = pandapower.create_empty_network(sn_mva=1.0)
    bus = pandapower.create_bus(net, vn_kv=110.0)
    pandapower.create_ext_grid(net, bus)
    pandapower.runpp(net, init="flat", tolerance_mva=_TOLERANCE_PU, numba=False, lightsim2grid=False)
    _, tables = _pd2ppc(net)
    return tables, dict(net._options)  # noqa: SLF001 -- pandapower has no public way to its Newton without data frames


def _tables_of(case: Case) -> tuple[Tables, dict[str, Any]]:
    """The tables and options that pandapower's Newton takes, for ``case``."""
    tables, options = _tables_of_a_trivial_net()
    bus = np.zeros((len(case.numbers), tables["bus"].shape[1]))
    bus[:, _BUS_I] = np.arange(len(case.numbers))
    bus[:, _KIND], bus[:, _GS], bus[:, _BS] = case.kind, case.gs, case.bs
    generators = case.generators
    gen = np.zeros((len(generators.bus), tables["gen"].shape[1]))
    gen[:, _GEN_BUS], gen[:, _PG], gen[:, _VG] = generators.bus, generators.pg, generators.vg
    gen[:, _GEN_STATUS] = 1.0
    lines = case.branches
    branch = np.zeros((len(lines), tables["branch"].shape[1]))
    branch[:, _F], branch[:, _T] = lines.f, lines.t
    branch[:, _R], branch[:, _X], branch[:, _B] = lines.r, lines.x, lines.b
    branch[:, _TAP], branch[:, _SHIFT], branch[:, _BR_STATUS] = lines.tap, lines.shift, 1.0
    reference = np.flatnonzero(generators.bus == case.position[case.reference])
    internal = {**tables["internal"], "ref_gens": reference}
    return {**tables, "baseMVA": case.base_mva, "bus": bus, "gen": gen, "branch": branch, "internal": internal}, options

"""The AC power flow of spec section 2: Newton in polar form, flat start, no reactive limits.

The solver is pandapower's: what ``runpp(init="flat", tolerance_mva=1e-8)`` runs, on tables that are filled here from
the case. ``runpp`` itself spends two thirds of its time on turning data frames into these tables and results back into
data frames, and its own sums of loads carry rounding errors. Newton stops as soon as the largest mismatch is below 1e-8
p.u. (pandapower compares ``tolerance_mva`` with p.u. values), so the iterate depends on the start; the thesis printed
this very one. numba and lightsim2grid take no part, installed or not.

The solver is not public in pandapower: pyproject.toml bounds its version, and tests/unit/test_private_parts.py and
tests/unit/grid/test_power_flow.py check what is used of it here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gridledger.errors import InputError
from gridledger.extras import MissingExtra
from gridledger.grid.case import Case, FloatArray

# Columns of MATPOWER's tables; pandapower appends some of its own, which stay 0.
_BUS_I, _KIND, _PD, _QD, _GS, _BS, _VM, _VA = 0, 1, 2, 3, 4, 5, 7, 8
_GEN_BUS, _PG, _VG, _GEN_STATUS = 0, 1, 5, 7
_F, _T, _R, _X, _B, _TAP, _SHIFT, _BR_STATUS = 0, 1, 2, 3, 4, 8, 9, 10
_FLOWS = slice(13, 17)
_REMEMBERED_STATES = 64
_TOLERANCE_PU = 1e-8
_NOTHING_MVAR = 1e-10
"""What is left of an injection after its release by rounding alone is nothing (1e-12 p.u. at 100 MVA)."""


class PowerFlowDiverged(InputError):
    """The loads asked for have no power flow solution that Newton finds from a flat start."""

    code = "POWER_FLOW_DIVERGED"


@dataclass(frozen=True, slots=True, eq=False)
class GridState:
    """A solved operating point. Buses in case order, branches in case order; MW, MVAr, p.u., degrees.

    ``flows`` has one row per branch: Pf, Qf, Pt, Qt. Arrays must not be written to.
    """

    pd: FloatArray
    qd: FloatArray
    vm: FloatArray
    va: FloatArray
    flows: FloatArray
    iterations: int


def _tables_of_a_trivial_net() -> tuple[dict[str, Any], dict[str, Any]]:
    """pandapower's own tables and options for a net of one bus: the shapes that its Newton expects."""
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


def _tables_of(case: Case) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tables and options that pandapower's Newton takes, for ``case``."""
    tables, options = _tables_of_a_trivial_net()
    bus = np.zeros((len(case.numbers), tables["bus"].shape[1]))
    bus[:, _BUS_I] = np.arange(len(case.numbers))
    bus[:, _KIND], bus[:, _GS], bus[:, _BS] = case.kind, case.gs, case.bs
    bus[:, _VM] = 1.0
    bus[case.position[case.reference], _VA] = case.reference_angle
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


class PowerFlow:
    """Solves one case for changing loads. Not thread-safe; solved states are remembered (the latest 64).

    The first one made imports pandapower, which takes about 2 s.
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        self._tables, self._options = _tables_of(case)
        self._remembered: OrderedDict[bytes, GridState] = OrderedDict()
        self.solves = 0

    def solve(self, pd: FloatArray, qd: FloatArray) -> GridState:
        """The state under the loads ``pd``, ``qd`` (MW, MVAr, one per bus). Raises PowerFlowDiverged."""
        key = pd.tobytes() + qd.tobytes()
        state = self._remembered.get(key)
        if state is None:
            state = self._newton(pd.copy(), qd.copy())
            self._remembered[key] = state
            if len(self._remembered) > _REMEMBERED_STATES:
                self._remembered.popitem(last=False)
        else:
            self._remembered.move_to_end(key)
        return state

    def _newton(self, pd: FloatArray, qd: FloatArray) -> GridState:
        from pandapower.pf.run_newton_raphson_pf import _run_newton_raphson_pf  # noqa: PLC0415

        # Newton writes into its tables, so each run gets fresh ones.
        tables = {name: part.copy() if hasattr(part, "copy") else part for name, part in self._tables.items()}
        tables["bus"][:, _PD], tables["bus"][:, _QD] = pd, qd
        result = _run_newton_raphson_pf(tables, self._options)
        self.solves += 1
        if not result["success"]:
            raise PowerFlowDiverged(
                f"{self.case.name}: the power flow does not converge under these loads; lower them",
                case=self.case.name,
                iterations=int(result["iterations"]),
            )
        return GridState(
            pd=pd,
            qd=qd,
            vm=result["bus"][:, _VM].copy(),
            va=result["bus"][:, _VA].copy(),
            flows=result["branch"][:, _FLOWS].copy(),
            iterations=int(result["iterations"]),
        )


class Grid:
    """The grid as it runs: the demand, what is injected beside it, and the state that follows from both.

    The loads that are solved, and that frames show, are the demand minus what stands.
    """

    def __init__(self, power_flow: PowerFlow) -> None:
        self.case = power_flow.case
        self.power_flow = power_flow
        self._pd, self._qd = self.case.pd.copy(), self.case.qd.copy()
        self._standing: dict[int, float] = {}

    @property
    def standing(self) -> dict[int, float]:
        """The reactive power that stands, MVAr by bus number, ascending."""
        return dict(sorted(self._standing.items()))

    def reset(self) -> None:
        """Back to the case's own loads; injections are forgotten."""
        self._pd, self._qd = self.case.pd.copy(), self.case.qd.copy()
        self._standing.clear()

    def set_loads(self, loads: Mapping[int, tuple[float, float]]) -> None:
        """Replace the demand (MW, MVAr) of the buses named; what is injected there stays.

        Raises InputError, and changes nothing, for a bus that is not in the case.
        """
        for index, (p_mw, q_mvar) in [(self.index(bus), load) for bus, load in loads.items()]:
            self._pd[index], self._qd[index] = p_mw, q_mvar

    def demand(self, bus: int) -> tuple[float, float]:
        """The demand (MW, MVAr) of a bus; raises InputError for a bus that is not in the case."""
        index = self.index(bus)
        return float(self._pd[index]), float(self._qd[index])

    def inject(self, bus: int, q_mvar: float) -> None:
        """Inject reactive power: a constant negative load, so Qd falls by ``q_mvar``; Pd stays.

        A negative amount takes back what stands, at most all of it.
        """
        self.index(bus)
        left = self._standing.pop(bus, 0.0) + q_mvar
        if left > _NOTHING_MVAR:
            self._standing[bus] = left

    def state(self) -> GridState:
        """The solved state under the current loads; solves only what was not solved before."""
        qd = self._qd.copy()
        for bus, q_mvar in self._standing.items():
            qd[self.case.position[bus]] -= q_mvar
        return self.power_flow.solve(self._pd, qd)

    def voltage(self, bus: int) -> float:
        """Voltage magnitude at ``bus`` now, p.u."""
        return float(self.state().vm[self.index(bus)])

    def index(self, bus: int) -> int:
        """Position of a bus number in the case; raises InputError where it has none."""
        try:
            return self.case.position[bus]
        except KeyError:
            raise InputError(f"{self.case.name} has no bus {bus}", bus=bus) from None

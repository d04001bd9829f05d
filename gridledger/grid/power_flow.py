"""The AC power flow of spec section 2: Newton in polar form, reactive limits of generators on or off.

A solved state depends on the case, the loads, the switched shunts and the branches that are out alone, never on the
states before: every solution begins at the same start, and generators reach their limits anew (q_limits.py).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from gridledger.errors import InputError
from gridledger.grid.case import Case, FloatArray
from gridledger.grid.newton import Mismatch, Newton, NotSolved, Solution, Voltages, flat_start
from gridledger.grid.q_limits import AtLimit, GeneratorBuses, Limit, LimitRounds, beyond_limits, told
from gridledger.grid.vvc_source import EXACT, VvcSource

_REMEMBERED_STATES = 64
_REMEMBERED_CASES = 32
_MOST_ROUNDS = 50
_NOTHING_MVAR = 1e-10
"""What is left of an injection after its release by rounding alone is nothing (1e-12 p.u. at 100 MVA)."""

Start = Literal["flat", "case"]


class PowerFlowDiverged(InputError):
    """The loads asked for have no power flow solution that Newton finds."""

    code = "POWER_FLOW_DIVERGED"


@dataclass(frozen=True, slots=True, eq=False)
class GridState:
    """A solved operating point. Buses and branches in case order; MW, MVAr, p.u., degrees. Not to be written to.

    ``flows`` has one row per branch in service: Pf, Qf, Pt, Qt. ``pd`` and ``qd`` are what the buses take: demand minus
    injections, and minus generation where generators are held at a limit.

    ``at_limit``: the buses whose generators are held at a limit; they count as load buses. ``beyond_limit``: those
    beyond a limit that is not enforced: any bus where ``q_limits_enforced`` is false, else at most the reference bus.
    ``start``: where Newton began, a flat profile or the voltages that the case states.
    """

    pd: FloatArray
    qd: FloatArray
    vm: FloatArray
    va: FloatArray
    flows: FloatArray
    iterations: int
    start: Start = "flat"
    q_limits_enforced: bool = False
    at_limit: tuple[AtLimit, ...] = ()
    beyond_limit: tuple[AtLimit, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Loads:
    """What is solved for: MW, MVAr by bus; ``shunt`` MVAr given at 1 p.u.; positions of the branches that are out."""

    pd: FloatArray
    qd: FloatArray
    shunt: FloatArray | None
    out: frozenset[int]

    @property
    def key(self) -> bytes:
        """Equal for loads that have the same solution."""
        shunt = b"" if self.shunt is None else self.shunt.tobytes()
        return b"|".join((self.pd.tobytes(), self.qd.tobytes(), shunt, repr(sorted(self.out)).encode()))


class PowerFlow:
    """Solves one case for changing loads and outages. Not thread-safe; the latest 64 states are remembered.

    With ``enforce_q_limits`` generators give no more reactive power than they can, and hold no voltage then. The first
    solver made imports pandapower, which takes about 2 s.
    """

    def __init__(self, case: Case, *, enforce_q_limits: bool = False) -> None:
        self.case = case
        self.enforce_q_limits = enforce_q_limits
        self.solves = 0
        self._newtons: OrderedDict[tuple[frozenset[int], frozenset[int]], Newton] = OrderedDict()
        self._generators = GeneratorBuses.of(case)
        self._remembered: OrderedDict[bytes, GridState] = OrderedDict()
        self._newton(frozenset(), ())

    def solve(
        self,
        pd: FloatArray,
        qd: FloatArray,
        *,
        shunt: FloatArray | None = None,
        out: frozenset[int] = frozenset(),
    ) -> GridState:
        """The state under the loads ``pd``, ``qd`` (MW, MVAr, one per bus). Raises PowerFlowDiverged.

        ``shunt``: MVAr that switched shunts give at 1 p.u., one per bus. ``out``: positions of branches that are out.
        """
        loads, starts = _Loads(pd, qd, shunt, out), self._starts
        key = loads.key
        state = self._remembered.get(key)
        if state is None:
            state = self._remembered[key] = self._solve(loads, starts)
            if len(self._remembered) > _REMEMBERED_STATES:
                self._remembered.popitem(last=False)
        else:
            self._remembered.move_to_end(key)
        return state

    def case_of(self, state: GridState, out: frozenset[int]) -> Case:
        """The case as it is in ``state``: without the branches ``out``, generators at a limit as load buses."""
        return self._newton(out, (item.bus for item in state.at_limit)).case

    @cached_property
    def _starts(self) -> tuple[Start, ...]:
        """Flat first where the case's own loads are solved from there, else the voltages that the case states."""
        loads = _Loads(self.case.pd, self.case.qd, None, frozenset())
        state = self._from("flat", loads)
        if isinstance(state, NotSolved):
            return ("case", "flat")
        self._remembered[loads.key] = state
        return ("flat", "case")

    def _solve(self, loads: _Loads, starts: Iterable[Start]) -> GridState:
        failed: list[NotSolved] = []
        for start in starts:
            found = self._from(start, loads)
            if not isinstance(found, NotSolved):
                return found
            failed.append(found)
        raise self._diverged(loads, failed)

    def _diverged(self, loads: _Loads, failed: list[NotSolved]) -> PowerFlowDiverged:
        """The error that tells where Newton stopped and what to look at; of the case's own loads more than of others'.

        Of several starts the one that came nearest tells its mismatch.
        """
        case, iterations = self.case, sum(found.iterations for found in failed)
        worst = min(
            (found.worst for found in failed), key=lambda at: float(np.nan_to_num(np.hypot(at.p_mw, at.q_mvar)))
        )
        own = not loads.out and np.array_equal(loads.pd, case.pd) and np.array_equal(loads.qd, case.qd)
        stopped = (
            f"{case.name}: the power flow does not converge under {'the loads of the case' if own else 'these loads'}: "
            f"after {iterations} iterations the largest mismatch, {worst.p_mw:.4g} MW and {worst.q_mvar:.4g} MVAr, is "
            f"at bus {worst.bus}. The demand is {loads.pd.sum():.6g} MW, the generation without the reference bus "
            f"{self._scheduled_mw:.6g} MW. "
        )
        unlimited = ", or leave enforce_q_limits out" if self.enforce_q_limits else ""
        advice = (
            f"Check that loads and generation are in MW and fit each other, that r, x and b are p.u. of the base of "
            f"{case.base_mva:g} MVA, most of all near bus {worst.bus}; else lower the loads{unlimited}"
            if own
            else f"Lower them, most of all near bus {worst.bus}{unlimited}"
        )
        return PowerFlowDiverged(stopped + advice, case=case.name, iterations=iterations, bus=worst.bus)

    @property
    def _scheduled_mw(self) -> float:
        """MW of the generators that are not at the reference bus."""
        generators = self.case.generators
        return float(generators.pg[generators.bus != self.case.position[self.case.reference]].sum())

    def _from(self, start: Start, loads: _Loads) -> GridState | NotSolved:
        """The state that Newton finds from one start, generators held at their limits if that is asked for."""
        rounds = LimitRounds(self.case, self._generators)
        voltages = flat_start(self.case) if start == "flat" else Voltages(self.case.vm0, self.case.va0)
        iterations = 0
        worst = Mismatch(self.case.reference, 0.0, 0.0)
        for _ in range(_MOST_ROUNDS):
            pd, qd = self._taken(loads, rounds.held)
            newton = self._newton(loads.out, (self.case.numbers[self._generators.positions[r]] for r in rounds.held))
            self.solves += 1
            found = newton.solve(pd, qd, loads.shunt, voltages)
            iterations += found.iterations
            if isinstance(found, NotSolved):
                worst = found.worst
                break
            voltages = found.voltages
            q_mvar = self._generated(found, newton.case, loads, rounds.held)
            if not self.enforce_q_limits or not rounds.next(q_mvar, voltages.vm):
                state = self._state(found, loads, rounds.held, q_mvar)
                return replace(state, start=start, iterations=iterations)
        return NotSolved(iterations, worst)

    def _state(self, found: Solution, loads: _Loads, held: dict[int, Limit], q_mvar: FloatArray) -> GridState:
        vm = found.voltages.vm
        pd, qd = self._taken(loads, held)
        beyond = {row: limit for row, limit in beyond_limits(self._generators, q_mvar).items() if row not in held}
        return GridState(
            pd=pd,
            qd=qd if loads.shunt is None else qd - loads.shunt * vm * vm,
            vm=vm,
            va=found.voltages.va,
            flows=found.flows,
            iterations=found.iterations,
            q_limits_enforced=self.enforce_q_limits,
            at_limit=told(self.case, self._generators, held, q_mvar),
            beyond_limit=told(self.case, self._generators, beyond, q_mvar),
        )

    def _taken(self, loads: _Loads, held: dict[int, Limit]) -> tuple[FloatArray, FloatArray]:
        """Pd and Qd of all buses, net of what generators give that are held at a limit."""
        pd, qd = loads.pd.copy(), loads.qd.copy()
        for row, limit in held.items():
            pd[self._generators.positions[row]] -= self._generators.pg[row]
            qd[self._generators.positions[row]] -= self._generators.limit_mvar(row, limit)
        return pd, qd

    def _generated(self, found: Solution, case: Case, loads: _Loads, held: dict[int, Limit]) -> FloatArray:
        """MVAr that the generators of each bus with any give: what leaves it by branches and shunts, and its load."""
        vm, flows = found.voltages.vm, found.flows
        left = loads.qd - case.bs * vm * vm
        if loads.shunt is not None:
            left = left - loads.shunt * vm * vm
        left = left + np.bincount(case.branches.f, flows[:, 1], len(left))
        left = left + np.bincount(case.branches.t, flows[:, 3], len(left))
        q_mvar: FloatArray = left[list(self._generators.positions)]
        for row, limit in held.items():
            q_mvar[row] = self._generators.limit_mvar(row, limit)
        return q_mvar

    def _newton(self, out: frozenset[int], load_buses: Iterable[int]) -> Newton:
        """The solver of the case without the branches ``out`` and with ``load_buses`` as load buses."""
        key = (out, frozenset(load_buses))
        newton = self._newtons.get(key)
        if newton is None:
            case = self.case.without_branches(out) if out else self.case
            newton = self._newtons[key] = Newton(case.with_load_buses(key[1]) if key[1] else case)
            if len(self._newtons) > _REMEMBERED_CASES:
                self._newtons.popitem(last=False)
        else:
            self._newtons.move_to_end(key)
        return newton


class Grid:
    """The grid as it runs: the demand, what is injected beside it, which lines are out, and the state that follows.

    The loads that are solved, and that frames show, are the demand minus what is injected. ``sources`` tells how the
    devices at some buses give what is ordered of them; the others give it exactly.
    """

    def __init__(self, power_flow: PowerFlow, sources: Mapping[int, VvcSource] | None = None) -> None:
        self.power_flow = power_flow
        self.sources = dict(sources or {})
        self.topology = 0
        """How often ``case`` changed."""
        self._base = self._case = power_flow.case
        self._limited: tuple[int, ...] = ()
        self._out: frozenset[int] = frozenset()
        self._case_out = self._out
        self._pd, self._qd = self._base.pd.copy(), self._base.qd.copy()
        self._standing: dict[int, float] = {}

    @property
    def case(self) -> Case:
        """The case as it now is: without the lines that are out, generators at a limit as load buses.

        The same object while nothing of that changes. Raises PowerFlowDiverged where the loads have no solution.
        """
        self.state()
        return self._case

    @property
    def standing(self) -> dict[int, float]:
        """The reactive power that was ordered and not taken back, MVAr by bus number, ascending."""
        return dict(sorted(self._standing.items()))

    @property
    def outages(self) -> frozenset[int]:
        """Positions in the solver's case of the branches that are out."""
        return self._out

    def reset(self) -> None:
        """Back to the case's own loads; what stands and what is out are forgotten."""
        self._pd, self._qd = self._base.pd.copy(), self._base.qd.copy()
        self._standing.clear()
        self._out = frozenset()

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

    def set_outage(self, branch: tuple[int, int, int], out: bool) -> bool:
        """Take a line out or bring it back: (f, t, n), the n-th of the parallel ones; whether that changed anything.

        Raises InputError, and changes nothing, where there is no such line, where buses would be cut off, and where
        Newton finds no state (PowerFlowDiverged).
        """
        position = self._base.branch(*branch)
        before, after = self._out, self._out | {position} if out else self._out - {position}
        if after == before:
            return False
        self._out = after
        try:
            self.state()
        except PowerFlowDiverged:
            self._out = before
            line = "{}-{} number {}".format(*branch)
            change = f"without {line}" if out else f"with {line} again"
            raise PowerFlowDiverged(f"{self._base.name}: {change} the power flow does not converge") from None
        except InputError:
            self._out = before
            raise
        return True

    def inject(self, bus: int, q_mvar: float) -> None:
        """Order reactive power of the source at a bus. A negative amount takes back what stands, at most all of it."""
        self.index(bus)
        left = self._standing.pop(bus, 0.0) + q_mvar
        if left > _NOTHING_MVAR:
            self._standing[bus] = left

    def state(self) -> GridState:
        """The solved state now; solves only what was not solved before."""
        qd, shunt = self._qd.copy(), None
        for bus, standing in self._standing.items():
            source, index = self.sources.get(bus, EXACT), self._base.position[bus]
            if not source.as_shunt:
                qd[index] -= source.switched(standing)
                continue
            if shunt is None:
                shunt = np.zeros(len(qd))
            shunt[index] += source.switched(standing)
        state = self.power_flow.solve(self._pd, qd, shunt=shunt, out=self._out)
        self._follow(state)
        return state

    def delivered(self) -> dict[int, float]:
        """What the sources give now, MVAr by bus number, ascending: whole steps, times V^2 where they are shunts."""
        vm = self.state().vm
        given = {}
        for bus, standing in sorted(self._standing.items()):
            source = self.sources.get(bus, EXACT)
            v = float(vm[self._base.position[bus]]) if source.as_shunt else 1.0
            given[bus] = source.switched(standing) * v * v
        return given

    def voltage(self, bus: int) -> float:
        """Voltage magnitude at ``bus`` now, p.u."""
        return float(self.state().vm[self.index(bus)])

    def index(self, bus: int) -> int:
        """Position of a bus number in the case; raises InputError where it has none."""
        return self._base.index(bus)

    def _follow(self, state: GridState) -> None:
        """Renew the case where lines went out or came back, or generators reached or left a limit."""
        limited = tuple(item.bus for item in state.at_limit)
        if (limited, self._out) != (self._limited, self._case_out):
            self._limited, self._case_out = limited, self._out
            self._case = self.power_flow.case_of(state, self._out)
            self.topology += 1

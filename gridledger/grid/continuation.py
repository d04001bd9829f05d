"""Continuation power flow: the loads of a case raised along a direction, to the nose of the curve and round it.

A predictor and a corrector (Ajjarapu and Christy, IEEE Trans. Power Systems 7(1), 1992). The predictor goes along the
tangent; the corrector solves the power flow equations with the loading as an unknown, and holds the entry that changes
fastest, a voltage near the nose (local parametrisation), so that the equations stay regular where Newton's do not. The
length of a step follows how far the predictor missed. The nose is where the loading's part of the tangent changes sign.

With reactive limits each step ends where a generator reaches a limit, or where one at a limit could hold its voltage
again; there it changes its kind, and the curve goes on from the same point. Where it would go on with less load, this
point is the nose: the limit itself ends the curve. The reference bus is never held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.sparse import linalg

from gridledger.errors import InputError
from gridledger.grid.case import PV, Case, FloatArray
from gridledger.grid.power_equations import Direction, Held, PowerEquations
from gridledger.grid.power_flow import GridState
from gridledger.grid.q_limits import Limit

_TOLERANCE_PU = 1e-9
_CORRECTIONS = 12
_SLOW = 0.1
"""The corrector keeps the factors of its matrix while each correction leaves less than this of the mismatch."""
_FIRST_STEP, _LARGEST_STEP, _SMALLEST_STEP = 0.02, 0.1, 1e-7
_MISS = 0.05
"""How far the predictor may miss, relative to its step, for the next step to be as long."""
_MOST_POINTS = 2000
_LIMIT_PU = 1e-7
_BISECTIONS = 60
_SAME_STEP = 1e-13


class NoseNotFound(InputError):
    """The continuation stopped before it reached the largest loading."""

    code = "NOSE_NOT_FOUND"


@dataclass(frozen=True, slots=True, eq=False)
class CurvePoint:
    """A point of the curve: ``loading`` as in ``Direction``; ``upper`` up to the nose, false beyond it."""

    loading: float
    upper: bool
    vector: FloatArray = field(repr=False)
    held: Held = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """The points in the order in which they were traced. ``nose`` is the position of the one with the largest loading.

    ``limiting_bus``: the bus whose generators' limit ends the curve; None where the equations themselves fold.
    """

    points: tuple[CurvePoint, ...]
    nose: int
    limiting_bus: int | None

    @property
    def largest_loading(self) -> float:
        """The loading of the nose."""
        return self.points[self.nose].loading


class Continuation:
    """Traces the curve of one case and direction from a solved state of it."""

    def __init__(self, case: Case, direction: Direction, base: GridState, *, enforce_q_limits: bool = False) -> None:
        if not (direction.pd.any() or direction.qd.any()):
            raise InputError(f"{case.name}: no load grows in this direction; name buses that have load")
        self.case = case
        self.enforce_q_limits = enforce_q_limits
        self._equations = PowerEquations(case, direction)
        rows = {case.numbers[position]: row for row, position in enumerate(self._equations.generators.positions)}
        self._base_held = {rows[item.bus]: item.limit for item in base.at_limit} if enforce_q_limits else {}
        self._base = np.concatenate((np.radians(base.va), base.vm, [0.0]))
        self._may_be_held = np.asarray([case.kind[p] == PV for p in self._equations.generators.positions])

    def trace(self, *, lower_to: float = 1.0) -> Curve:
        """The curve to its nose, and beyond it while the loading falls, to ``lower_to`` of the largest.

        Raises NoseNotFound. What lies beyond the nose is for pictures: where it cannot be followed it just ends.
        """
        points: list[CurvePoint] = []
        nose, limiting = -1, None
        for point, event in self._walk():
            if nose >= 0 and point.loading > points[-1].loading:
                break
            points.append(point)
            if event is not None:
                nose, limiting = len(points) - 1, event.limiting_bus
            if len(points) >= _MOST_POINTS or (nose >= 0 and point.loading <= lower_to * points[nose].loading):
                break
        if nose < 0:
            reached = points[-1].loading if points else 0.0
            raise NoseNotFound(
                f"{self.case.name}: the continuation stops at a loading of {reached:.4f}, before the largest one; "
                "try without reactive limits, or raise fewer loads",
                case=self.case.name,
            )
        return Curve(tuple(points), nose, limiting)

    def at(self, curve: Curve, loading: float) -> CurvePoint:
        """The point of the upper branch at ``loading``, between 0 and the largest."""
        before = curve.points[0]
        for point in curve.points[: curve.nose + 1]:
            if point.loading > loading:
                break
            before = point
        z = before.vector.copy()
        z[-1] = loading
        found = self._correct(z, before.held, len(z) - 1)
        if found is None:
            raise NoseNotFound(f"{self.case.name}: no point at a loading of {loading:.4f}", case=self.case.name)
        return CurvePoint(loading, upper=True, vector=found, held=before.held)

    def state(self, point: CurvePoint) -> GridState:
        """A point as a solved state of :meth:`case_of` it."""
        return self._equations.state(point.vector, point.held, enforced=self.enforce_q_limits)

    def case_of(self, point: CurvePoint) -> Case:
        """The case with the generators that are at a limit there as load buses."""
        if not point.held:
            return self.case
        generators = self._equations.generators
        return self.case.with_load_buses([self.case.numbers[generators.positions[row]] for row in point.held])

    def _walk(self) -> Iterator[tuple[CurvePoint, _Nose | None]]:
        """Point after point, until the curve cannot be followed; with the nose, that it is one."""
        held, step, upper = dict(self._base_held), _FIRST_STEP, True
        z = self._correct(self._base, held, len(self._base) - 1)
        if z is None:
            return
        tangent = self._tangent(z, held, len(z) - 1, lambda t: float(t[-1]))
        yield CurvePoint(0.0, upper, z, dict(held)), None
        while tangent is not None:
            row = self._at_event(z, held)
            if row is not None:
                z, tangent = self._change(row, z, held, tangent)
                nose = upper and tangent is not None and tangent[-1] <= 0.0
                yield CurvePoint(float(z[-1]), upper, z, dict(held)), _Nose(self._bus(row)) if nose else None
                upper = upper and not nose
                continue
            moved = self._step(z, held, tangent, step)
            if moved is None:
                return
            after, tangent_after, taken, step = moved
            if upper and tangent_after[-1] <= 0.0:
                top = self._nose(z, held, tangent, taken)
                if top is None:
                    return
                yield CurvePoint(float(top[-1]), upper, top, dict(held)), _Nose(None)
                upper = False
            z, tangent = after, tangent_after
            yield CurvePoint(float(z[-1]), upper, z, dict(held)), None

    def _step(
        self, z: FloatArray, held: Held, tangent: FloatArray, step: float
    ) -> tuple[FloatArray, FloatArray, float, float] | None:
        """The next point, its tangent, the step taken and the one to take next; None where no step is short enough."""
        while step >= _SMALLEST_STEP:
            after = self._ahead(z, held, tangent, step)
            miss = np.inf if after is None else float(np.abs(after - z - step * tangent).max()) / step
            if after is None or miss > 4.0 * _MISS:
                step /= 2.0
                continue
            longer = min(_LARGEST_STEP, step * min(2.0, max(0.5, _MISS / max(miss, 1e-9))))
            taken = step
            if self._at_event(after, held) is not None:
                found = self._crossing(z, held, tangent, step, lambda at: self._excess(at, held)[1] - _LIMIT_PU)
                if found is None:
                    step /= 2.0
                    continue
                after, taken = found
            ahead = self._tangent(after, held, _largest(tangent), lambda t: float(t @ tangent))
            return None if ahead is None else (after, ahead, taken, longer)
        return None

    def _nose(self, z: FloatArray, held: Held, tangent: FloatArray, step: float) -> FloatArray | None:
        """Where, within the step, the loading's part of the tangent is 0."""

        def fall(at: FloatArray) -> float:
            found = self._tangent(at, held, _largest(tangent), lambda t: float(t @ tangent))
            return 0.0 if found is None else -float(found[-1])

        found = self._crossing(z, held, tangent, step, fall)
        return None if found is None else found[0]

    def _crossing(
        self, z: FloatArray, held: Held, tangent: FloatArray, step: float, measure: Callable[[FloatArray], float]
    ) -> tuple[FloatArray, float] | None:
        """The first point within the step where ``measure`` is 0 or a trifle more, and its step (Illinois method)."""
        low, high = 0.0, step
        end = self._ahead(z, held, tangent, high)
        if end is None:
            return None
        at_low, at_high = measure(z), measure(end)
        for _ in range(_BISECTIONS):
            if at_high <= _LIMIT_PU or high - low < _SAME_STEP:
                break
            middle = low + (high - low) * min(0.9, max(0.1, at_low / (at_low - at_high)))
            found = self._ahead(z, held, tangent, middle)
            if found is None:
                return None
            value = measure(found)
            if value >= 0.0:
                high, at_high, end, at_low = middle, value, found, at_low / 2.0
            else:
                low, at_low = middle, value
        return end, high

    def _change(
        self, row: int, z: FloatArray, held: dict[int, Limit], tangent: FloatArray
    ) -> tuple[FloatArray, FloatArray | None]:
        """Hold a row at its limit, or let it go, in ``held``; the same point in the new unknowns, and the way on.

        The way on leads away from the limit: a voltage that is held no more leaves its set-point to the side that the
        limit allows, and an output that is held no more goes back inside.
        """
        q_mvar = self._equations.generated(z)
        voltage = self._equations.size + self._equations.generators.positions[row]
        if row in held:
            inside = -1.0 if held.pop(row) == "qmax" else 1.0
            z = z.copy()
            z[voltage] = self._equations.generators.vg[row]

            def way(t: FloatArray) -> float:
                return inside * float((self._equations.generated(z + 1e-6 * t) - q_mvar)[row])
        else:
            held[row] = "qmax" if q_mvar[row] > self._equations.generators.qmax[row] else "qmin"
            inside = -1.0 if held[row] == "qmax" else 1.0

            def way(t: FloatArray) -> float:
                return inside * float(t[voltage])

        fastest = self._fastest(tangent, held)
        corrected = self._correct(z, held, fastest)
        z = z if corrected is None else corrected
        q_mvar = self._equations.generated(z)
        return z, self._tangent(z, held, fastest, way)

    def _excess(self, z: FloatArray, held: Held) -> tuple[int, float]:
        """The row that is furthest beyond what its kind allows, and how far (p.u.)."""
        generators = self._equations.generators
        q_mvar, vm = self._equations.generated(z), z[self._equations.size : -1][list(generators.positions)]
        beyond = np.maximum(q_mvar - generators.qmax, generators.qmin - q_mvar) / self.case.base_mva
        beyond[~self._may_be_held] = -np.inf
        for row, limit in held.items():
            above = float(vm[row] - generators.vg[row])
            beyond[row] = above if limit == "qmax" else -above
        row = int(np.argmax(beyond)) if len(beyond) else 0
        return row, float(beyond[row]) if len(beyond) else -np.inf

    def _at_event(self, z: FloatArray, held: Held) -> int | None:
        """The row that must change its kind at this point."""
        if not self.enforce_q_limits:
            return None
        row, excess = self._excess(z, held)
        return row if excess > _LIMIT_PU else None

    def _bus(self, row: int) -> int:
        return self.case.numbers[self._equations.generators.positions[row]]

    def _fastest(self, tangent: FloatArray, held: Held) -> int:
        """The unknown that changes fastest along a tangent that may be of other unknowns."""
        vector = self._equations.unknowns(held).vector
        return int(vector[np.argmax(np.abs(tangent[vector]))])

    def _ahead(self, z: FloatArray, held: Held, tangent: FloatArray, step: float) -> FloatArray | None:
        """The point of the curve that lies a step along the tangent."""
        return self._correct(z + step * tangent, held, _largest(tangent))

    def _correct(self, z: FloatArray, held: Held, fixed: int) -> FloatArray | None:
        """The point of the curve near ``z`` whose entry ``fixed`` is that of ``z``; None where there is none near."""
        z, unknowns = z.copy(), self._equations.unknowns(held)
        factors, before = None, np.inf
        for _ in range(_CORRECTIONS):
            residual = self._equations.residual(z, unknowns, held)
            size = float(np.abs(residual).max())
            if size < _TOLERANCE_PU:
                return z
            if not np.isfinite(size):
                return None
            if factors is None or size > _SLOW * before:
                factors = _factors(self._equations.jacobian(z, unknowns, fixed))
            if factors is None:
                return None
            z[unknowns.vector] -= factors.solve(np.append(residual, 0.0))
            before = size
        return None

    def _tangent(self, z: FloatArray, held: Held, fixed: int, way: Callable[[FloatArray], float]) -> FloatArray | None:
        """The direction of the curve at ``z``, its largest entry 1 or -1, so that ``way`` of it is positive."""
        unknowns = self._equations.unknowns(held)
        right = np.zeros(len(unknowns.vector))
        right[-1] = 1.0
        factors = _factors(self._equations.jacobian(z, unknowns, fixed))
        if factors is None:
            return None
        found = factors.solve(right)
        tangent = np.zeros(len(z))
        tangent[unknowns.vector] = found / np.abs(found).max()
        return tangent if way(tangent) > 0.0 else -tangent


@dataclass(frozen=True, slots=True)
class _Nose:
    """The largest loading was reached; at which bus's limit, if it was one."""

    limiting_bus: int | None


def _largest(tangent: FloatArray) -> int:
    return int(np.argmax(np.abs(tangent)))


def _factors(matrix: Any) -> Any | None:
    """The LU factors, which solve; None where the matrix is singular."""
    try:
        return linalg.splu(matrix)
    except RuntimeError:
        return None

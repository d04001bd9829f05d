"""The power flow equations along a direction of growing load, sparse: residual, Jacobian, and what generators give.

Unlike Newton's, which solves for given loads, these take the loading as one more unknown. The vector of a point holds
the angles (radians) of all buses, then the magnitudes (p.u.) of all buses, then the loading, which is 0 at the case's
own loads. Which entries are unknown depends on which generators hold their voltage.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from gridledger.grid.case import PQ, REFERENCE, Case, FloatArray, IntArray
from gridledger.grid.power_flow import GridState
from gridledger.grid.q_limits import GeneratorBuses, Limit, beyond_limits, told
from gridledger.grid.ybus import BranchAdmittances, ComplexArray, branch_admittances

Held = Mapping[int, Limit]
"""Rows of ``GeneratorBuses`` that are held at a limit."""


@dataclass(frozen=True, slots=True, eq=False)
class Direction:
    """What a loading of 1 adds: MW and MVAr of demand and MW of generation by bus, case order."""

    pd: FloatArray
    qd: FloatArray
    pg: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Unknowns:
    """Positions in a point's vector of what is solved for, of the equations' buses, and of the Jacobian's entries.

    The entries come from those of Ybus, ``picked`` by block: P by angle, P by magnitude, Q by angle, Q by magnitude.
    """

    vector: IntArray
    p_rows: IntArray
    q_rows: IntArray
    picked: tuple[IntArray, ...]
    rows: IntArray
    columns: IntArray


class PowerEquations:
    """The equations of one case and direction. All in p.u. of the case's base."""

    def __init__(self, case: Case, direction: Direction) -> None:
        self.case = case
        self.generators = GeneratorBuses.of(case)
        self.size = len(case.numbers)
        self._positions = np.asarray(self.generators.positions, dtype=np.int64)
        self._direction = direction
        self._pg = np.zeros(self.size)
        self._pg[self._positions] = self.generators.pg
        self._admittances = branch_admittances(case)
        self._ybus = _ybus(case, self._admittances)
        entries = self._ybus.tocoo()
        self._row, self._column, self._value = entries.row, entries.col, entries.data
        rate: ComplexArray = (direction.pd - direction.pg) + 1j * direction.qd
        self._rate = rate / case.base_mva
        self._unknowns: tuple[frozenset[int], Unknowns] | None = None

    def unknowns(self, held: Held) -> Unknowns:
        """Angles but the reference bus's, magnitudes of load buses and of generators at a limit, and the loading."""
        rows = frozenset(held)
        if self._unknowns is None or self._unknowns[0] != rows:
            self._unknowns = rows, self._unknowns_of(rows)
        return self._unknowns[1]

    def _unknowns_of(self, held: frozenset[int]) -> Unknowns:
        kind = self.case.kind.copy()
        kind[self._positions[sorted(held)]] = PQ
        p_rows, q_rows = np.flatnonzero(kind != REFERENCE), np.flatnonzero(kind == PQ)
        p, q = np.full(self.size, -1), np.full(self.size, -1)
        p[p_rows] = np.arange(len(p_rows))
        q[q_rows] = len(p_rows) + np.arange(len(q_rows))
        picked, rows, columns = [], [], []
        for equation, unknown in ((p, p), (p, q), (q, p), (q, q)):
            row, column = equation[self._row], unknown[self._column]
            picked.append(np.flatnonzero((row >= 0) & (column >= 0)))
            rows.append(row[picked[-1]])
            columns.append(column[picked[-1]])
        count = len(p_rows) + len(q_rows)
        return Unknowns(
            vector=np.concatenate((p_rows, self.size + q_rows, [2 * self.size])),
            p_rows=p_rows,
            q_rows=q_rows,
            picked=tuple(picked),
            rows=np.concatenate((*rows, np.arange(count), [count])),
            columns=np.concatenate((*columns, np.full(count, count))),
        )

    def residual(self, z: FloatArray, unknowns: Unknowns, held: Held) -> FloatArray:
        """What flows out of each bus too much: P, then Q."""
        v = self._voltage(z)
        out = v * np.conj(self._ybus @ v) + self._demand(float(z[-1]), held)
        return np.concatenate((out.real[unknowns.p_rows], out.imag[unknowns.q_rows]))

    def jacobian(self, z: FloatArray, unknowns: Unknowns, fixed: int) -> Any:
        """Derivatives of the residual by the unknowns, and a last row that is 1 at the unknown ``fixed``; sparse."""
        v = self._voltage(z)
        unit = v / z[self.size : 2 * self.size]
        current = np.conj(self._ybus @ v)
        by_angle = -1j * v[self._row] * np.conj(self._value * v[self._column])
        by_magnitude = v[self._row] * np.conj(self._value * unit[self._column])
        diagonal = np.flatnonzero(self._row == self._column)
        at = self._row[diagonal]
        by_angle[diagonal] += 1j * (v * current)[at]
        by_magnitude[diagonal] += (current * unit)[at]
        blocks = zip((by_angle.real, by_magnitude.real, by_angle.imag, by_magnitude.imag), unknowns.picked, strict=True)
        rate = self._rate
        values = [*(part[picked] for part, picked in blocks), rate.real[unknowns.p_rows], rate.imag[unknowns.q_rows]]
        columns = np.append(unknowns.columns, np.searchsorted(unknowns.vector, fixed))
        size = len(unknowns.vector)
        entries = (np.concatenate((*values, [1.0])), (unknowns.rows, columns))
        return sparse.coo_array(entries, shape=(size, size)).tocsc()

    def generated(self, z: FloatArray) -> FloatArray:
        """MVAr that the generators of each row of ``generators`` give."""
        v = self._voltage(z)
        out = (v * np.conj(self._ybus @ v)).imag * self.case.base_mva
        demand = self.case.qd + float(z[-1]) * self._direction.qd
        given: FloatArray = (out + demand)[self._positions]
        return given

    def state(self, z: FloatArray, held: Held, *, enforced: bool) -> GridState:
        """The point as a solved state of the case with the generators of ``held`` as load buses."""
        v, lines, own = self._voltage(z), self.case.branches, self._admittances
        base, loading = self.case.base_mva, float(z[-1])
        v_f, v_t = v[lines.f], v[lines.t]
        s_f = v_f * np.conj(own.ff * v_f + own.ft * v_t) * base
        s_t = v_t * np.conj(own.tf * v_f + own.tt * v_t) * base
        pd = self.case.pd + loading * self._direction.pd
        qd = self.case.qd + loading * self._direction.qd
        for row, limit in held.items():
            position = self.generators.positions[row]
            pd[position] -= self._pg[position] + loading * self._direction.pg[position]
            qd[position] -= self.generators.limit_mvar(row, limit)
        q_mvar = self.generated(z)
        for row, limit in held.items():
            q_mvar[row] = self.generators.limit_mvar(row, limit)
        beyond = {row: limit for row, limit in beyond_limits(self.generators, q_mvar).items() if row not in held}
        return GridState(
            pd=pd,
            qd=qd,
            vm=z[self.size : 2 * self.size].copy(),
            va=np.degrees(z[: self.size]),
            flows=np.column_stack((s_f.real, s_f.imag, s_t.real, s_t.imag)),
            iterations=0,
            q_limits_enforced=enforced,
            at_limit=told(self.case, self.generators, held, q_mvar),
            beyond_limit=told(self.case, self.generators, beyond, q_mvar),
        )

    def _voltage(self, z: FloatArray) -> ComplexArray:
        v: ComplexArray = z[self.size : 2 * self.size] * np.exp(1j * z[: self.size])
        return v

    def _demand(self, loading: float, held: Held) -> ComplexArray:
        """Demand minus generation of each bus, p.u., without what generators give that hold their voltage."""
        fixed = np.zeros(self.size)
        for row, limit in held.items():
            fixed[self.generators.positions[row]] = self.generators.limit_mvar(row, limit)
        own: ComplexArray = (self.case.pd - self._pg) + 1j * (self.case.qd - fixed)
        return own / self.case.base_mva + loading * self._rate


def _ybus(case: Case, own: BranchAdmittances) -> Any:
    """Ybus, sparse by rows; entries at the same place are added."""
    size, f, t = len(case.numbers), case.branches.f, case.branches.t
    diagonal = np.arange(size)
    shunts = (case.gs + 1j * case.bs) / case.base_mva
    values = np.concatenate((own.ff, own.ft, own.tf, own.tt, shunts))
    rows = np.concatenate((f, f, t, t, diagonal))
    columns = np.concatenate((f, t, f, t, diagonal))
    return sparse.csr_array((values, (rows, columns)), shape=(size, size))

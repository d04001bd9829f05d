"""The group admittance matrix and the Thevenin impedances of both profiles (spec sections 3.1 and 3.2). All in p.u."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from gridledger.grid.area import LOAD, Area
from gridledger.grid.case import IntArray
from gridledger.grid.ybus import BranchAdmittances, ComplexArray


@dataclass(frozen=True, slots=True)
class Thevenin:
    """The Thevenin impedance of a load bus, p.u. R = X = 0 where there is no usable one (section 4, case 4)."""

    bus: int
    r: float
    x: float


def published_matrix(area: Area, ybus: csr_array) -> ComplexArray:
    """A over dim: tie lines count twice, lines between two ties four times (published tie rule)."""
    plain = _between(area.positions, ybus)
    tie = np.arange(len(area.dim)) >= area.nm
    weight = np.where(tie, 2.0, 1.0)
    matrix: ComplexArray = plain * (weight[:, None] * weight[None, :])
    for m in range(area.nm):
        matrix[m, m] = plain[m, m] - sum((plain[t, m] for t in range(area.nm, len(area.dim))), 0j)
    for t in range(area.nm, len(area.dim)):
        matrix[t, t] = -sum((matrix[t, k] for k in range(len(area.dim)) if k != t), 0j)
    return matrix


def corrected_matrix(area: Area, ybus: csr_array) -> ComplexArray:
    """Y: the plain Ybus over M, nothing doubled, nothing removed."""
    return _between(area.positions[: area.nm], ybus)


def _between(positions: IntArray, ybus: csr_array) -> ComplexArray:
    """The entries of Ybus between these buses, as a full matrix."""
    matrix: ComplexArray = ybus[positions][:, positions].toarray()
    return matrix


def published_thevenin(area: Area, matrix: ComplexArray) -> list[Thevenin]:
    """Zth with generators of M as ground and ties as floating buses, from the A of ``published_matrix``."""
    loads = area.load_positions
    ties = list(range(area.nm, len(area.dim)))
    reduced = matrix[np.ix_(loads, loads)]
    if ties and loads:
        through = np.linalg.solve(matrix[np.ix_(ties, ties)], matrix[np.ix_(ties, loads)])
        reduced = reduced - matrix[np.ix_(loads, ties)] @ through
    return _diagonal(area, reduced)


def corrected_thevenin(
    area: Area, matrix: ComplexArray, own: BranchAdmittances, inflow: Sequence[bool]
) -> list[Thevenin]:
    """Zth with one virtual bus per tie line: an ideal source in its middle where power flows in, open otherwise."""
    grounded = matrix.copy()
    row = {bus: index for index, bus in enumerate(area.matrix_buses)}
    for border, flows_in in zip(area.border, inflow, strict=True):
        m = row.get(border.member)
        if m is None:  # the reference bus is in no matrix
            continue
        grounded[m, m] -= own.ff[border.branch] if border.member_is_f else own.tt[border.branch]
        if flows_in:
            grounded[m, m] += own.half[border.branch]
    loads = area.load_positions
    return _diagonal(area, grounded[np.ix_(loads, loads)])


def _diagonal(area: Area, reduced: ComplexArray) -> list[Thevenin]:
    """Invert, take the diagonal, refuse what is no impedance."""
    if not area.load_positions:
        return []
    try:
        diagonal = np.diag(np.linalg.inv(reduced))
    except np.linalg.LinAlgError:
        diagonal = np.full(len(reduced), complex(np.nan, np.nan))
    buses = [bus for bus, kind in zip(area.dim, area.kind, strict=True) if kind == LOAD]
    result = []
    for bus, z in zip(buses, diagonal.tolist(), strict=True):
        usable = np.isfinite(z) and z.imag > 0.0
        result.append(Thevenin(bus, z.real if usable else 0.0, z.imag if usable else 0.0))
    return result

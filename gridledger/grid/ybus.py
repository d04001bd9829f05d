"""The standard bus admittance matrix (spec section 2), built here and not taken from the solver.

Series 1/(r+jx), half the charging at each end, taps and shifts on the from side, parallel branches added, bus shunts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from gridledger.grid.case import Case

ComplexArray = npt.NDArray[np.complex128]


@dataclass(frozen=True, slots=True)
class BranchAdmittances:
    """Each branch's own 2x2 contribution, p.u., in case order.

    ``half`` is 2/(r+jx), the admittance of a tie line's half (section 3.2).
    """

    ff: ComplexArray
    ft: ComplexArray
    tf: ComplexArray
    tt: ComplexArray
    half: ComplexArray


def branch_admittances(case: Case) -> BranchAdmittances:
    """The contributions of all in-service branches of ``case``."""
    branches = case.branches
    impedance: ComplexArray = branches.r + 1j * branches.x
    series: ComplexArray = np.divide(1.0, impedance)
    tt: ComplexArray = series + 1j * branches.b / 2.0
    tap: ComplexArray = branches.tap * np.exp(1j * np.pi / 180.0 * branches.shift)
    return BranchAdmittances(
        ff=np.divide(tt, branches.tap * branches.tap),
        ft=-series / np.conj(tap),
        tf=-series / tap,
        tt=tt,
        half=np.divide(2.0, impedance),
    )


def bus_admittance(case: Case) -> csr_array:
    """Ybus of ``case``, sparse, p.u., rows and columns in case order.

    What several branches add to one entry is added in case order, whatever the matrix's form: records depend on every
    bit of the sums.
    """
    own = branch_admittances(case)
    size = len(case.numbers)
    f, t, diagonal = case.branches.f, case.branches.t, np.arange(size)
    rows, columns = np.concatenate((f, f, t, t, diagonal)), np.concatenate((f, t, f, t, diagonal))
    shunts = (case.gs + 1j * case.bs) / case.base_mva
    entries, places = np.unique(rows * size + columns, return_inverse=True)
    sums = np.zeros(len(entries), dtype=np.complex128)
    np.add.at(sums, places, np.concatenate((own.ff, own.ft, own.tf, own.tt, shunts)))
    return csr_array((sums, (entries // size, entries % size)), shape=(size, size))

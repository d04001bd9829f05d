"""A case as MATPOWER's tables (its manual, tables B-1 to B-3): what every reader of this package gives.

Columns are counted from 0 here; further columns of a file are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gridledger.errors import InputError

Table = npt.NDArray[np.float64]

BUS_COLUMNS = ("BUS_I", "BUS_TYPE", "PD", "QD", "GS", "BS", "BUS_AREA", "VM", "VA", "BASE_KV")
BUS, KIND, PD, QD, GS, BS, _, VM, VA, BASE_KV = range(len(BUS_COLUMNS))
GEN_COLUMNS = ("GEN_BUS", "PG", "QG", "QMAX", "QMIN", "VG", "MBASE", "GEN_STATUS")
GEN_BUS, PG, QG, QMAX, QMIN, VG, _, GEN_STATUS = range(len(GEN_COLUMNS))
BRANCH_COLUMNS = (
    *("F_BUS", "T_BUS", "BR_R", "BR_X", "BR_B", "RATE_A", "RATE_B", "RATE_C"),
    *("TAP", "SHIFT", "BR_STATUS"),
)
FROM, TO, R, X, B, _, _, _, TAP, SHIFT, BR_STATUS = range(len(BRANCH_COLUMNS))

COLUMNS = {"bus": BUS_COLUMNS, "gen": GEN_COLUMNS, "branch": BRANCH_COLUMNS}
MAX_ROWS = 200_000


class CaseFileError(InputError):
    """A file, or an object, that holds no case which a power flow could be run on."""

    code = "CASE_FILE"


@dataclass(frozen=True, slots=True, eq=False)
class CaseTables:
    """One case: the tables ``bus``, ``gen`` and ``branch``, and positions for drawing by bus where there are any."""

    name: str
    base_mva: float
    bus: Table
    gen: Table
    branch: Table
    coordinates: Table | None = None


def table_of(name: str, table: str, rows: Sequence[Sequence[Any]] | npt.NDArray[Any]) -> Table:
    """The rows of a table as numbers, the columns of COLUMNS only.

    Raises CaseFileError for a row with too few columns, with another number of them than the first, or with something
    that is no number.
    """
    wanted = COLUMNS[table]
    if len(rows) > MAX_ROWS:
        raise CaseFileError(f"{name}: {table} has {len(rows)} rows; at most {MAX_ROWS} are read")
    for number, row in enumerate(rows, start=1):
        if len(row) < len(wanted) or len(row) != len(rows[0]):
            raise CaseFileError(
                f"{name}: row {number} of {table} has {len(row)} columns; every row has as many as the first, "
                f"and at least {len(wanted)}"
            )
    result = np.zeros((len(rows), len(wanted)))
    for number, row in enumerate(rows, start=1):
        for column, column_name in enumerate(wanted):
            try:
                result[number - 1, column] = row[column]
            except (TypeError, ValueError, OverflowError):
                what = str(row[column])[:40]
                raise CaseFileError(f"{name}: row {number} of {table}: {column_name} is no number: {what!r}") from None
    return result

"""The form of the built-in cases: one JSON object whose columns the files in ``gridledger/grid/cases`` name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gridledger.grid.case_files.tables import (
    BRANCH_COLUMNS,
    BUS_COLUMNS,
    GEN_COLUMNS,
    MAX_ROWS,
    CaseFileError,
    CaseTables,
    Table,
)

# Where each column of the form stands in MATPOWER's table; -1, -2: x, y.
_BUS = (0, 1, 2, 3, 4, 5, -1, -2, 9, 7, 8)
_BUS_NEEDED = 8
_GEN = (0, 1, 5, 4, 3)
_GEN_NEEDED = 3
_BRANCH = (0, 1, 2, 3, 4, 8, 9)


def tables_of_form(name: str, data: Mapping[str, Any]) -> CaseTables:
    """The tables. Buses may lack base_kv, Vm, Va, generators Qmin, Qmax: none, flat voltages, no limits.

    Raises CaseFileError.
    """
    try:
        base_mva, angle = float(data["base_mva"]), float(data["reference_angle"])
        buses = _numbers(name, "buses", data["buses"], _BUS_NEEDED, len(_BUS))
        generators = _numbers(name, "generators", data["generators"], _GEN_NEEDED, len(_GEN))
        branches = _numbers(name, "branches", data["branches"], len(_BRANCH), len(_BRANCH))
    except KeyError as error:
        raise CaseFileError(
            f"{name}: neither a net of pandapower.to_json nor a case in the built-in form: it has no {error}"
        ) from None
    except (TypeError, ValueError, OverflowError) as error:
        raise CaseFileError(f"{name}: no case in the built-in form: {error!r}") from None
    bus = np.zeros((len(buses), len(BUS_COLUMNS)))
    bus[:, 7], bus[:, 8] = 1.0, angle
    for column, place in zip(buses.T, _BUS, strict=False):
        if place >= 0:
            bus[:, place] = column
    gen = np.zeros((len(generators), len(GEN_COLUMNS)))
    gen[:, 3], gen[:, 4], gen[:, 7] = np.inf, -np.inf, 1.0
    for column, place in zip(generators.T, _GEN, strict=False):
        gen[:, place] = column
    branch = np.zeros((len(branches), len(BRANCH_COLUMNS)))
    branch[:, _BRANCH] = branches
    branch[:, 10] = 1.0
    return CaseTables(name, base_mva, bus, gen, branch, buses[:, 6:8].copy())


def _numbers(name: str, table: str, rows: Sequence[Sequence[Any]], needed: int, most: int) -> Table:
    if not 1 <= len(rows) <= MAX_ROWS:
        raise CaseFileError(f"{name}: {table} has {len(rows)} rows")
    if len({len(row) for row in rows}) != 1 or not needed <= len(rows[0]) <= most:
        raise CaseFileError(f"{name}: a row of {table} has {needed} to {most} columns, every row as many as the first")
    numbers = np.asarray(rows, dtype=np.float64)
    if numbers.ndim != 2:  # noqa: PLR2004 -- rows and columns
        raise CaseFileError(f"{name}: a row of {table} is no list of numbers")
    return numbers

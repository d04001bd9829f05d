"""What of a file's tables is in service, and everything that no power flow could be run on: told with table and row."""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from gridledger.grid.case_files.tables import (
    BASE_KV,
    BR_STATUS,
    BUS,
    COLUMNS,
    FROM,
    GEN_BUS,
    GEN_STATUS,
    KIND,
    PD,
    PG,
    QD,
    QG,
    QMAX,
    QMIN,
    SHIFT,
    TAP,
    TO,
    VA,
    VG,
    VM,
    B,
    CaseFileError,
    CaseTables,
    R,
    X,
)
from gridledger.grid.islands import islands

_PQ, _PV, _REFERENCE, _ISOLATED = 1, 2, 3, 4
_LARGEST_NUMBER = 2**53
_SHOWN = 8
_FINITE = {
    "bus": (BUS, KIND, PD, QD, 4, 5, VM, VA, BASE_KV),
    "gen": (GEN_BUS, PG, QG, VG, GEN_STATUS),
    "branch": (FROM, TO, R, X, B, TAP, SHIFT, BR_STATUS),
}
_NO_NAN = {"gen": (QMAX, QMIN)}

Rows = npt.NDArray[np.int64]


def in_service(tables: CaseTables) -> CaseTables:
    """The part of the tables that is in service, as MATPOWER sees it; raises CaseFileError.

    Isolated buses (type 4) and what is at them are left out. A generator bus without a generator in service becomes a
    load bus; what a generator at a load bus gives is taken off the load there.
    """
    if not (np.isfinite(tables.base_mva) and tables.base_mva > 0.0):
        raise CaseFileError(f"{tables.name}: baseMVA is missing or not above 0: {tables.base_mva:g}")
    _check_numbers(tables)
    _check_buses(tables)
    tables = _without_what_is_out(tables)
    _check_islands(tables)
    _check_references(tables)
    _check_branches(tables)
    _check_generators(tables)
    return _with_generators_where_they_hold(tables)


def _fault(tables: CaseTables, table: str, row: int, what: str) -> NoReturn:
    raise CaseFileError(f"{tables.name}: row {row + 1} of {table}: {what}", table=table, row=row + 1)


def _check_numbers(tables: CaseTables) -> None:
    for table in ("bus", "gen", "branch"):
        values = getattr(tables, table)
        if not len(values):
            raise CaseFileError(f"{tables.name}: the table {table} is empty")
        bad = np.zeros(values.shape, dtype=np.bool_)
        bad[:, _FINITE[table]] = ~np.isfinite(values[:, _FINITE[table]])
        bad[:, _NO_NAN.get(table, ())] = np.isnan(values[:, _NO_NAN.get(table, ())])
        for row, column in np.argwhere(bad)[:1].tolist():
            _fault(tables, table, row, f"{COLUMNS[table][column]} is {values[row, column]:g}")


def _check_buses(tables: CaseTables) -> None:
    numbers, kinds = tables.bus[:, BUS], tables.bus[:, KIND]
    whole = (numbers == np.floor(numbers)) & (numbers >= 0) & (numbers < _LARGEST_NUMBER)
    for row in np.flatnonzero(~whole)[:1].tolist():
        _fault(tables, "bus", row, f"{numbers[row]:g} is no bus number: they are whole and not negative")
    first: dict[float, int] = {}
    for row, number in enumerate(numbers.tolist()):
        if (before := first.setdefault(number, row)) != row:
            _fault(tables, "bus", row, f"bus {number:g} is in row {before + 1} already")
    for row in np.flatnonzero(~np.isin(kinds, (_PQ, _PV, _REFERENCE, _ISOLATED)))[:1].tolist():
        _fault(tables, "bus", row, f"bus {numbers[row]:g} is of type {kinds[row]:g}: there are 1, 2, 3 and 4")
    for table, columns in (("branch", (FROM, TO)), ("gen", (GEN_BUS,))):
        ends = getattr(tables, table)[:, columns]
        for row, column in np.argwhere(~np.isin(ends, numbers))[:1].tolist():
            verb = "ends at" if table == "branch" else "is at"
            _fault(tables, table, row, f"{verb} bus {ends[row, column]:g}, which is not in the table bus")


def _without_what_is_out(tables: CaseTables) -> CaseTables:
    kept = tables.bus[:, KIND] != _ISOLATED
    numbers = tables.bus[kept, BUS]
    gen = tables.gen[(tables.gen[:, GEN_STATUS] > 0) & np.isin(tables.gen[:, GEN_BUS], numbers)]
    ends = np.isin(tables.branch[:, (FROM, TO)], numbers).all(axis=1)
    branch = tables.branch[(tables.branch[:, BR_STATUS] > 0) & ends]
    coordinates = None if tables.coordinates is None else tables.coordinates[kept]
    return replace(tables, bus=tables.bus[kept], gen=gen, branch=branch, coordinates=coordinates)


def _check_references(tables: CaseTables) -> None:
    references = tables.bus[tables.bus[:, KIND] == _REFERENCE, BUS].tolist()
    if len(references) != 1:
        found = f"are buses {_listed(references)}" if references else "is no bus"
        raise CaseFileError(f"{tables.name}: of type 3, the reference, there {found}; a case has exactly one")
    if references[0] not in tables.gen[:, GEN_BUS]:
        raise CaseFileError(f"{tables.name}: the reference bus {references[0]:g} has no generator in service")


def _check_branches(tables: CaseTables) -> None:
    """Of those in service. A message names the ends: row numbers are the file's, where others may be out of service."""
    for row in tables.branch.tolist():
        name = f"{tables.name}: branch {row[FROM]:g}-{row[TO]:g}"
        if row[FROM] == row[TO]:
            raise CaseFileError(f"{name} joins a bus to itself")
        if row[R] == 0.0 and row[X] == 0.0:
            raise CaseFileError(f"{name} has r = x = 0: join the two buses into one, or give it an impedance")


def _check_generators(tables: CaseTables) -> None:
    for row in tables.gen.tolist():
        name = f"{tables.name}: the generator at bus {row[GEN_BUS]:g}"
        if row[VG] <= 0.0:
            raise CaseFileError(f"{name} has the voltage set-point {row[VG]:g}")
        if row[QMIN] > row[QMAX]:
            raise CaseFileError(f"{name} has QMIN {row[QMIN]:g} above QMAX {row[QMAX]:g}")


def _with_generators_where_they_hold(tables: CaseTables) -> CaseTables:
    bus, numbers = tables.bus.copy(), tables.bus[:, BUS]
    bus[(bus[:, KIND] == _PV) & ~np.isin(numbers, tables.gen[:, GEN_BUS]), KIND] = _PQ
    row_of = {number: row for row, number in enumerate(numbers.tolist())}
    rows = np.asarray([row_of[number] for number in tables.gen[:, GEN_BUS].tolist()], dtype=np.int64)
    holds = bus[rows, KIND] != _PQ
    np.subtract.at(bus, (rows[~holds], PD), tables.gen[~holds, PG])
    np.subtract.at(bus, (rows[~holds], QD), tables.gen[~holds, QG])
    return replace(tables, bus=bus, gen=tables.gen[holds])


def _check_islands(tables: CaseTables) -> None:
    numbers = tables.bus[:, BUS]
    order = np.argsort(numbers)
    ends = order[np.searchsorted(numbers, tables.branch[:, (FROM, TO)], sorter=order)]
    parts = islands(len(numbers), ends[:, 0], ends[:, 1])
    if len(parts) > 1:
        raise CaseFileError(
            f"{tables.name}: the grid falls into {len(parts)} islands, with the buses "
            f"{_listed([numbers[part[0]] for part in parts])}; keep one, and make the buses of others type 4"
        )


def _listed(numbers: list[float]) -> str:
    shown = ", ".join(f"{number:g}" for number in numbers[:_SHOWN])
    return f"{shown}, ..." if len(numbers) > _SHOWN else shown

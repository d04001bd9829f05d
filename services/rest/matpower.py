"""MATPOWER's rows, as a MATLAB program has them after a power flow, turned into a case, a solved state and frames.

``bus`` has 13 columns, ``branch`` 17 (MATPOWER manual, tables B-1 and B-3): of a solved case, so that voltages stand in
the buses' columns 8 and 9 and flows in the branches' columns 14 to 17. Columns are counted from 0 here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gridledger.errors import InputError

if TYPE_CHECKING:
    from gridledger.grid.case import Case
    from gridledger.grid.power_flow import GridState

Row = Sequence[float]
Frame = dict[str, Any]

BUS_COLUMNS, BRANCH_COLUMNS = 13, 17
MAX_ROWS = 5_000
"""Buses or branches of a case. Its matrices are inverted, which takes the cube of this in time."""

BUS, KIND, PD, QD, GS, BS, VM, VA = 0, 1, 2, 3, 4, 5, 7, 8
FROM, TO, R, X, B, TAP, SHIFT, STATUS = 0, 1, 2, 3, 4, 8, 9, 10
PF, QF, PT, QT = 13, 14, 15, 16
_FLOWS = slice(PF, QT + 1)
_REFERENCE, _PQ = 3, 1


def check_rows(bus: Sequence[Row], branch: Sequence[Row]) -> None:
    """Raise :class:`InputError` for rows of another length, a bus twice, or an end that is no bus."""
    for name, rows, columns in (("bus", bus, BUS_COLUMNS), ("branch", branch, BRANCH_COLUMNS)):
        for number, row in enumerate(rows):
            if len(row) != columns:
                raise InputError(f"{name}[{number}] has {len(row)} columns, a solved MATPOWER case has {columns}")
    numbers = [row[BUS] for row in bus]
    if any(number != int(number) or number < 1 for number in numbers):
        raise InputError("bus: column 1 holds bus numbers, whole and positive")
    known = set(numbers)
    if len(known) != len(numbers):
        raise InputError("bus: a bus number comes twice")
    for number, row in enumerate(branch):
        for end in (row[FROM], row[TO]):
            if end not in known:
                raise InputError(f"branch[{number}] ends at {end:g}, which is no bus")


def case_of(name: str, base_mva: float, bus: Sequence[Row], branch: Sequence[Row]) -> Case:
    """The grid of these rows, for the planner. It has no generators' set points: a power flow was solved already."""
    from gridledger.grid.case import read_case  # noqa: PLC0415 - needs numpy, the extra feeder

    references = [row for row in bus if row[KIND] == _REFERENCE]
    if len(references) != 1:
        raise InputError(f"bus: {len(references)} buses are of type 3, one is the reference")
    generators = [[row[BUS], 0.0, row[VM]] for row in bus if row[KIND] not in (_PQ, 4)]
    return read_case(
        name,
        {
            "base_mva": base_mva,
            "reference_angle": references[0][VA],
            "buses": [[row[BUS], row[KIND], row[PD], row[QD], row[GS], row[BS], 0.0, 0.0] for row in bus],
            "branches": [
                [row[FROM], row[TO], row[R], row[X], row[B], row[TAP], row[SHIFT]] for row in _in_service(branch)
            ],
            "generators": generators,
        },
    )


def state_of(bus: Sequence[Row], branch: Sequence[Row]) -> GridState:
    """The operating point that these rows show."""
    import numpy as np  # noqa: PLC0415 - the extra feeder

    from gridledger.grid.power_flow import GridState  # noqa: PLC0415

    buses = np.asarray(bus, dtype=np.float64)
    flows = np.asarray([row[_FLOWS] for row in _in_service(branch)], dtype=np.float64).reshape(-1, 4)
    return GridState(buses[:, PD], buses[:, QD], buses[:, VM], buses[:, VA], flows, iterations=0)


def frame_of(
    record: Mapping[str, Any], base_mva: float, bus: Sequence[Row], branch: Sequence[Row], time_us: int
) -> Frame:
    """The frame of a group at ``time_us``: the buses and branches that its record on the ledger names, in its order.

    Of parallel branches the n-th in the record is the n-th in the rows. Raises :class:`InputError` where one is
    missing.
    """
    buses = {int(row[BUS]): row for row in bus}
    branches: dict[tuple[int, int], list[Row]] = {}
    for row in _in_service(branch):
        branches.setdefault((int(row[FROM]), int(row[TO])), []).append(row)
    taken: dict[tuple[int, int], int] = {}
    measured = []
    for f, t in record["branches"]:
        number = taken.get((f, t), 0)
        taken[f, t] = number + 1
        found = branches.get((f, t), [])
        if number >= len(found):
            raise InputError(f"branch: no branch in service from {f} to {t}, which group {record['id']} needs")
        measured.append(_named(("Pf", "Qf", "Pt", "Qt"), found[number][_FLOWS], {"f": f, "t": t}))
    missing = [number for number in record["dim"] if number not in buses]
    if missing:
        raise InputError(f"bus: there is no bus {missing[0]}, which group {record['id']} needs")
    rows = [(number, buses[number]) for number in record["dim"]]
    return {
        "group": record["id"],
        "time": time_us,
        "base": base_mva,
        "buses": [
            _named(("Pd", "Qd", "Vm", "Va"), (row[PD], row[QD], row[VM], row[VA]), {"bus": number})
            for number, row in rows
        ],
        "branches": measured,
    }


def _in_service(branch: Sequence[Row]) -> list[Row]:
    return [row for row in branch if row[STATUS] != 0]


def _named(names: Sequence[str], values: Sequence[float], begin: dict[str, Any]) -> dict[str, Any]:
    # + 0.0 turns -0 into 0, which is how numbers stand on the wire.
    return {**begin, **{name: float(value) + 0.0 for name, value in zip(names, values, strict=True)}}

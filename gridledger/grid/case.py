"""Grid cases as plain arrays: MATPOWER's bus numbers, in-service branches in case order.

The data lie in ``cases/`` beside this module (their README names the source). Units: Pd, Qd, Gs, Bs, Pg, Qmin, Qmax in
MW and MVAr (Gs, Bs at 1 p.u. voltage), r, x, b, tap, Vg, Vm in p.u., shift, Va in degrees.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gridledger import jsontext
from gridledger.errors import InputError
from gridledger.grid.case_files import tables as mp
from gridledger.grid.case_files.built_in import tables_of_form
from gridledger.grid.case_files.checks import in_service
from gridledger.grid.case_files.reading import read_tables
from gridledger.grid.case_files.tables import CaseTables
from gridledger.grid.islands import islands

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

PQ, PV, REFERENCE = 1, 2, 3
CASE_NAMES = ("case30", "case57", "case118", "case300")
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Branches:
    """The in-service branches, in case order; ``f`` and ``t`` are positions in ``Case.numbers``."""

    f: IntArray
    t: IntArray
    r: FloatArray
    x: FloatArray
    b: FloatArray
    tap: FloatArray
    shift: FloatArray

    def __len__(self) -> int:
        return len(self.f)

    def at(self, rows: npt.NDArray[np.bool_]) -> Branches:
        """Those of the rows for which ``rows`` is true."""
        return Branches(*(getattr(self, column.name)[rows] for column in fields(self)))


@dataclass(frozen=True, slots=True)
class Generators:
    """The generators in service; ``bus`` are positions in ``Case.numbers``, several may stand at one bus.

    ``qmin`` and ``qmax`` are -inf and inf where the case gives no limit.
    """

    bus: IntArray
    pg: FloatArray
    vg: FloatArray
    qmin: FloatArray
    qmax: FloatArray

    def at(self, rows: npt.NDArray[np.bool_]) -> Generators:
        """Those of the rows for which ``rows`` is true."""
        return Generators(*(getattr(self, column.name)[rows] for column in fields(self)))


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One grid. Arrays are aligned to ``numbers`` (bus numbers in case order) and must not be written to.

    ``base_kv`` is 0 where the case gives none; ``vm0`` and ``va0`` are the voltages that the case itself states.
    """

    name: str
    base_mva: float
    reference_angle: float
    numbers: tuple[int, ...]
    kind: IntArray
    pd: FloatArray
    qd: FloatArray
    gs: FloatArray
    bs: FloatArray
    base_kv: FloatArray
    vm0: FloatArray
    va0: FloatArray
    branches: Branches
    generators: Generators
    coordinates: FloatArray = field(repr=False)
    position: dict[int, int] = field(repr=False)

    @property
    def reference(self) -> int:
        """Number of the reference bus."""
        return self.numbers[int(np.flatnonzero(self.kind == REFERENCE)[0])]

    @property
    def generator_buses(self) -> tuple[int, ...]:
        """Numbers of the buses of type 2 and 3, ascending."""
        return tuple(sorted(self.numbers[i] for i in np.flatnonzero(self.kind != PQ)))

    def ends(self, branch: int) -> tuple[int, int]:
        """Bus numbers (f, t) of the branch at this position of the case order."""
        return self.numbers[self.branches.f[branch]], self.numbers[self.branches.t[branch]]

    def index(self, bus: int) -> int:
        """Position of a bus number; raises InputError where the case has none."""
        try:
            return self.position[bus]
        except KeyError:
            raise InputError(f"{self.name} has no bus {bus}", case=self.name, bus=bus) from None

    def branch(self, f: int, t: int, n: int = 1) -> int:
        """Position of the ``n``-th of the parallel branches between two buses, whichever end comes first in the case.

        Raises InputError that names the branches there are.
        """
        a, b = self.index(f), self.index(t)
        ends_f, ends_t = self.branches.f, self.branches.t
        found = np.flatnonzero(((ends_f == a) & (ends_t == b)) | ((ends_f == b) & (ends_t == a))).tolist()
        if 1 <= n <= len(found):
            return int(found[n - 1])
        if found:
            raise InputError(f"{self.name} has {len(found)} in parallel between {f} and {t}, no branch number {n}")
        near = {
            end for branch in np.flatnonzero((ends_f == a) | (ends_t == a)).tolist() for end in self.ends(branch)
        } - {f}
        raise InputError(f"{self.name} has no branch {f}-{t}: bus {f} is joined to {_listed(near)}")

    def without_branches(self, positions: Iterable[int]) -> Case:
        """The case without the branches at these positions. Raises InputError where that cuts buses off."""
        out = set(positions)
        if unknown := [position for position in out if not 0 <= position < len(self.branches)]:
            raise InputError(f"{self.name} has no branch at position {unknown[0]}")
        kept = self.branches.at(np.asarray([n not in out for n in range(len(self.branches))], dtype=np.bool_))
        parts = islands(len(self.numbers), kept.f, kept.t)
        if len(parts) > 1:
            slack = self.position[self.reference]
            lost = [self.numbers[i] for part in parts if slack not in part for i in part.tolist()]
            lines = ", ".join("{}-{}".format(*self.ends(position)) for position in sorted(out))
            raise InputError(
                f"without {lines} no branch joins bus {_listed(lost)} to the reference bus {self.reference}"
            )
        return replace(self, branches=kept)

    def with_load_buses(self, buses: Collection[int]) -> Case:
        """The case with these generator buses as load buses: the generators there hold no voltage and are left out.

        Raises InputError for a bus without a generator that holds its voltage, and for the reference bus.
        """
        kind = self.kind.copy()
        for bus in buses:
            position = self.index(bus)
            if kind[position] != PV:
                raise InputError(f"bus {bus} of {self.name} is no generator bus that could become a load bus")
            kind[position] = PQ
        holding = ~np.isin(self.generators.bus, [self.position[bus] for bus in buses])
        return replace(self, kind=kind, generators=self.generators.at(holding))

    @property
    def digest(self) -> str:
        """SHA-256 of all that a power flow depends on, as hexadecimal digits: not of the name, nor of positions.

        Each column's name, length and values go in, as little-endian binary64; -0 as 0.
        """
        columns: dict[str, Any] = {"base_mva": [self.base_mva], "reference_angle": [self.reference_angle]}
        columns |= {name: getattr(self, name) for name in ("numbers", "kind", "pd", "qd", "gs", "bs")}
        columns |= {name: getattr(self, name) for name in ("base_kv", "vm0", "va0")}
        for name, table in (("branches", self.branches), ("generators", self.generators)):
            columns |= {f"{name}.{column.name}": getattr(table, column.name) for column in fields(table)}
        text = sha256()
        for name, values in columns.items():
            text.update(f"{name} {len(values)}\n".encode())
            text.update((np.asarray(values, dtype="<f8") + 0.0).tobytes())
        return text.hexdigest()


def _listed(buses: Collection[int]) -> str:
    """Some bus numbers as a message names them."""
    shown = ", ".join(str(bus) for bus in sorted(buses)[:_SHOWN])
    return f"{shown} and {len(buses) - _SHOWN} more" if len(buses) > _SHOWN else shown


def load_case(name_or_path: str) -> Case:
    """A built-in case by its name, or a file's: .m, .mat, .xlsx, .json (a pandapower net, or the built-in form).

    Raises InputError for a name that is neither in CASE_NAMES nor a file's, and for a file that holds no usable case.
    """
    if name_or_path in CASE_NAMES:
        return _built_in(name_or_path)
    path = Path(name_or_path)
    if not path.suffix:
        raise InputError(
            f"unknown case {name_or_path!r}: choose one of {', '.join(CASE_NAMES)}, or name a file", case=name_or_path
        )
    return _case_of(read_tables(path))


def case_of_net(net: Any) -> Case:
    """The case of a pandapower net. Raises InputError where it has what a case cannot have."""
    from gridledger.grid.case_files.pandapower_net import tables_of_net  # noqa: PLC0415 -- takes 2 s

    return _case_of(tables_of_net(net))


def read_case(name: str, data: Mapping[str, Any]) -> Case:
    """A case from the built-in form, whose columns the files in ``cases/`` name. Raises InputError."""
    return _case_of(tables_of_form(name, data))


@cache
def _built_in(name: str) -> Case:
    return read_case(name, jsontext.loads((Path(__file__).parent / "cases" / f"{name}.json").read_bytes()))


def _case_of(tables: CaseTables) -> Case:
    """The case of what is in service in a file's tables."""
    tables = in_service(tables)
    bus, gen, branch = tables.bus, tables.gen, tables.branch
    numbers = tuple(int(number) for number in bus[:, mp.BUS])
    position = {number: index for index, number in enumerate(numbers)}
    kind = bus[:, mp.KIND].astype(np.int64)
    coordinates = np.full((len(numbers), 2), np.nan) if tables.coordinates is None else tables.coordinates

    def positions(column: FloatArray) -> IntArray:
        return np.asarray([position[int(number)] for number in column], dtype=np.int64)

    return Case(
        name=tables.name,
        base_mva=float(tables.base_mva),
        reference_angle=float(bus[kind == REFERENCE, mp.VA][0]),
        numbers=numbers,
        kind=kind,
        pd=bus[:, mp.PD].copy(),
        qd=bus[:, mp.QD].copy(),
        gs=bus[:, mp.GS].copy(),
        bs=bus[:, mp.BS].copy(),
        base_kv=bus[:, mp.BASE_KV].copy(),
        vm0=bus[:, mp.VM].copy(),
        va0=bus[:, mp.VA].copy(),
        branches=Branches(
            f=positions(branch[:, mp.FROM]),
            t=positions(branch[:, mp.TO]),
            r=branch[:, mp.R].copy(),
            x=branch[:, mp.X].copy(),
            b=branch[:, mp.B].copy(),
            tap=np.where(branch[:, mp.TAP] == 0, 1.0, branch[:, mp.TAP]),
            shift=branch[:, mp.SHIFT].copy(),
        ),
        generators=Generators(
            bus=positions(gen[:, mp.GEN_BUS]),
            pg=gen[:, mp.PG].copy(),
            vg=gen[:, mp.VG].copy(),
            qmin=gen[:, mp.QMIN].copy(),
            qmax=gen[:, mp.QMAX].copy(),
        ),
        coordinates=coordinates,
        position=position,
    )

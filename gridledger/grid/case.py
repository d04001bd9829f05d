"""Grid cases as plain arrays: MATPOWER's bus numbers, in-service branches in case order.

The data lie in ``cases/`` beside this module (their README names the source). Units: Pd, Qd, Gs, Bs, Pg in MW and MVAr
(Gs, Bs at 1 p.u. voltage), r, x, b, tap, Vg in p.u., shift in degrees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gridledger import jsontext
from gridledger.errors import InputError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

PQ, PV, REFERENCE = 1, 2, 3
CASE_NAMES = ("case30", "case57", "case118", "case300")


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


@dataclass(frozen=True, slots=True)
class Generators:
    """The generators in service; ``bus`` are positions in ``Case.numbers``."""

    bus: IntArray
    pg: FloatArray
    vg: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One grid. Arrays are aligned to ``numbers`` (bus numbers in case order) and must not be written to."""

    name: str
    base_mva: float
    reference_angle: float
    numbers: tuple[int, ...]
    kind: IntArray
    pd: FloatArray
    qd: FloatArray
    gs: FloatArray
    bs: FloatArray
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


@cache
def load_case(name: str) -> Case:
    """The case ``name``. Raises InputError for a name that is not in CASE_NAMES."""
    if name not in CASE_NAMES:
        raise InputError(f"unknown case {name!r}: choose one of {', '.join(CASE_NAMES)}", case=name)
    return read_case(name, jsontext.loads((Path(__file__).parent / "cases" / f"{name}.json").read_bytes()))


def read_case(name: str, data: Mapping[str, Any]) -> Case:
    """A case from its JSON form, whose columns the files in ``cases/`` name."""
    buses = np.asarray(data["buses"], dtype=np.float64)
    branches = np.asarray(data["branches"], dtype=np.float64)
    generators = np.asarray(data["generators"], dtype=np.float64)
    numbers = tuple(int(number) for number in buses[:, 0])
    position = {number: index for index, number in enumerate(numbers)}

    def positions(column: FloatArray) -> IntArray:
        return np.asarray([position[int(number)] for number in column], dtype=np.int64)

    return Case(
        name=name,
        base_mva=float(data["base_mva"]),
        reference_angle=float(data["reference_angle"]),
        numbers=numbers,
        kind=buses[:, 1].astype(np.int64),
        pd=buses[:, 2].copy(),
        qd=buses[:, 3].copy(),
        gs=buses[:, 4].copy(),
        bs=buses[:, 5].copy(),
        branches=Branches(
            f=positions(branches[:, 0]),
            t=positions(branches[:, 1]),
            r=branches[:, 2].copy(),
            x=branches[:, 3].copy(),
            b=branches[:, 4].copy(),
            tap=np.where(branches[:, 5] == 0, 1.0, branches[:, 5]),
            shift=branches[:, 6].copy(),
        ),
        generators=Generators(bus=positions(generators[:, 0]), pg=generators[:, 1].copy(), vg=generators[:, 2].copy()),
        coordinates=buses[:, 6:8].copy(),
        position=position,
    )

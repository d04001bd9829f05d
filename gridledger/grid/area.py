"""What a group sees of the grid (spec section 3): its buses in the order of its matrices, its branches, its border."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gridledger.errors import InputError
from gridledger.grid.case import PQ, REFERENCE, Case, IntArray
from gridledger.grid.power_flow import GridState

LOAD, GENERATOR, TIE = 1, 2, 4


@dataclass(frozen=True, slots=True, eq=False)
class Border:
    """One border branch: position in the case, the member's bus number and whether the member is the f end."""

    branch: int
    member: int
    member_is_f: bool


@dataclass(frozen=True, slots=True, eq=False)
class Area:
    """A single or merged group on its grid. Bus numbers unless the name says position.

    ``dim`` is M (members without the reference bus) followed by T (ties, ascending); ``positions`` are dim's positions
    in the case; ``branches`` are positions in the case order of the in-service branches that touch a member.
    """

    case: Case
    group: str
    members: tuple[int, ...]
    dim: tuple[int, ...]
    nm: int
    kind: tuple[int, ...]
    positions: IntArray
    branches: tuple[int, ...]
    border: tuple[Border, ...]

    @property
    def matrix_buses(self) -> tuple[int, ...]:
        """M."""
        return self.dim[: self.nm]

    @property
    def ties(self) -> tuple[int, ...]:
        """T."""
        return self.dim[self.nm :]

    @property
    def load_positions(self) -> list[int]:
        """Positions in dim of the load buses."""
        return [index for index, kind in enumerate(self.kind) if kind == LOAD]

    @property
    def load_buses(self) -> tuple[int, ...]:
        """Numbers of the load buses, order of dim."""
        return tuple(self.dim[index] for index in self.load_positions)

    def inflow(self, state: GridState) -> list[bool]:
        """For each border branch: does power flow in at the member end? (0 is out.)"""
        return [flow < 0.0 for flow in self.border_flows(state)]

    def border_flows(self, state: GridState) -> list[float]:
        """Real power at the member end of each border branch, outwards, MW."""
        return [float(state.flows[b.branch, 0 if b.member_is_f else 2]) for b in self.border]


def area_of(case: Case, group: str, members: Sequence[int]) -> Area:
    """The area of ``members`` (order kept). Raises InputError for a bus that is not in the case."""
    unknown = [bus for bus in members if bus not in case.position]
    if unknown:
        raise InputError(f"{case.name} has no bus {unknown[0]}", group=group)
    inside = set(members)
    member = np.zeros(len(case.numbers), dtype=np.bool_)
    member[[case.position[bus] for bus in members]] = True
    branches = np.flatnonzero(member[case.branches.f] | member[case.branches.t]).tolist()
    border, outside = [], set()
    for branch in branches:
        f, t = case.ends(branch)
        if (f in inside) != (t in inside):
            border.append(Border(branch=branch, member=f if f in inside else t, member_is_f=f in inside))
            outside.add(t if f in inside else f)
    kinds = {bus: int(case.kind[case.position[bus]]) for bus in members}
    matrix_buses = [bus for bus in members if kinds[bus] != REFERENCE]
    ties = sorted(outside)
    dim = (*matrix_buses, *ties)
    return Area(
        case=case,
        group=group,
        members=tuple(members),
        dim=dim,
        nm=len(matrix_buses),
        kind=(*(LOAD if kinds[bus] == PQ else GENERATOR for bus in matrix_buses), *(TIE for _ in ties)),
        positions=np.asarray([case.position[bus] for bus in dim], dtype=np.int64),
        branches=tuple(branches),
        border=tuple(border),
    )

"""Groups of buses: the thesis's three for case30, electrical nearness for every other case (spec sections 3 and 9).

A grouping is {id: members}, ids "1", "2", ... and members ascending. Merged ids join ids with "_", numeric order.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import combinations

import numpy as np

from gridledger.errors import InputError
from gridledger.grid.case import PQ, Case

Grouping = Mapping[str, tuple[int, ...]]

CASE30_GROUPS: Grouping = {
    "1": (1, 2, 3, 4, 5),
    "2": (6, 7, 8, 9, 11, *range(22, 31)),
    "3": (10, *range(12, 22)),
}
ASKED_GROUPS: Mapping[str, int] = {"case57": 4, "case118": 8, "case300": 16}
LEAST_GROUPS = 3
MAX_GROUP_BUSES = 150
"""A contract that must inject solves equations of this size by itself, in the cube of it."""


def grouping_of(case: Case, count: int | None = None) -> Grouping:
    """The groups of a case: the thesis's for case30, otherwise ``count`` automatic ones.

    Without a count ASKED_GROUPS says how many; for a case that it does not name there are LEAST_GROUPS, or as many more
    as keep each at MAX_GROUP_BUSES buses at most.
    """
    if count is None and case.name == "case30" and set(case.numbers) == {b for g in CASE30_GROUPS.values() for b in g}:
        return CASE30_GROUPS
    if count is None and case.name not in ASKED_GROUPS:
        return automatic_grouping(case, max_buses=MAX_GROUP_BUSES)
    return automatic_grouping(case, count or ASKED_GROUPS[case.name])


def components(group: str) -> tuple[str, ...]:
    """The single groups of an id, in order: "1_2" -> ("1", "2"); a single group is its own only component."""
    return tuple(group.split("_"))


def merged_id(groups: Iterable[str]) -> str:
    """The id of the merge of these groups (single or merged), components in numeric order."""
    return "_".join(sorted({part for group in groups for part in components(group)}, key=int))


def members_of(grouping: Grouping, group: str) -> tuple[int, ...]:
    """Members of a single or merged group, components one after the other."""
    return tuple(bus for part in components(group) for bus in grouping[part])


def neighbours(case: Case, grouping: Grouping, group: str) -> tuple[str, ...]:
    """The single groups outside ``group`` that share an in-service branch with it, ascending."""
    return _near(_borders(case, grouping), group)


def _near(borders: Iterable[tuple[str, str]], group: str) -> tuple[str, ...]:
    own = set(components(group))
    return tuple(sorted({other for one, other in borders if one in own} - own, key=int))


def _borders(case: Case, grouping: Grouping) -> set[tuple[str, str]]:
    """The pairs (group, other group) with a branch from one to the other, each both ways."""
    names = list(grouping)
    home = np.zeros(len(case.numbers), dtype=np.int64)
    for rank, members in enumerate(grouping.values()):
        home[[case.position[bus] for bus in members]] = rank
    f, t = home[case.branches.f], home[case.branches.t]
    pairs = np.unique(np.stack([f[f != t], t[f != t]], axis=1), axis=0).tolist()
    return {pair for one, other in pairs for pair in ((names[one], names[other]), (names[other], names[one]))}


def adjacent_pairs(case: Case, grouping: Grouping) -> tuple[str, ...]:
    """The merged ids of all pairs of groups that share a branch, ascending."""
    names = sorted(grouping, key=int)
    borders = _borders(case, grouping)
    return tuple(f"{a}_{b}" for a, b in combinations(names, 2) if (a, b) in borders)


def automatic_grouping(case: Case, count: int | None = None, max_buses: int | None = None) -> Grouping:
    """``count`` connected groups grown around generators; fewer when some have no demand or no line of their own.

    Without a count LEAST_GROUPS, or as many as there are generator buses. While groups have more than ``max_buses``,
    each of them gets one seed more: of its generators the median by distance from the seeds, which cuts it into more
    equal parts than the farthest. One that has no further generator stays as large as it is. Then the smallest groups
    are joined with neighbours as long as both together are not too large and LEAST_GROUPS are left.
    Raises InputError when ``count`` is not between 1 and the number of generator buses.
    """
    generators = case.generator_buses
    if count is None:
        count = min(LEAST_GROUPS, len(generators))
    if not 1 <= count <= len(generators):
        raise InputError(f"{case.name} can be cut into 1 to {len(generators)} groups, not {count}")
    edges = _edges(case)
    seeds = _Seeds(edges, case.reference)
    while len(seeds.buses) < count:
        seeds.add_farthest(generators)
    while True:
        owner = _nearest_seed(edges, seeds.buses)
        _absorb_useless(case, edges, owner)
        if max_buses is None or not _add_seeds_to_large(seeds, owner, generators, max_buses):
            break
    if max_buses is not None and len(seeds.buses) > count:
        _join_small(edges, owner, max_buses)
    order = sorted(set(owner.values()))
    return {
        str(number): tuple(sorted(bus for bus, seed in owner.items() if seed == rank))
        for number, rank in enumerate(order, start=1)
    }


def _edges(case: Case) -> dict[int, dict[int, float]]:
    """Bus -> neighbour -> electrical length |r+jx|, parallel branches: the smallest."""
    edges: dict[int, dict[int, float]] = {bus: {} for bus in case.numbers}
    lengths = np.abs(case.branches.r + 1j * case.branches.x)
    for branch, length in enumerate(lengths.tolist()):
        f, t = case.ends(branch)
        shortest = min(length, edges[f].get(t, length))
        edges[f][t] = edges[t][f] = shortest
    return edges


class _Seeds:
    """The buses around which groups grow, and how far every bus is from the nearest of them."""

    def __init__(self, edges: Mapping[int, Mapping[int, float]], first: int) -> None:
        self.buses: list[int] = []
        self.distance: dict[int, float] = dict.fromkeys(edges, math.inf)
        self._edges = edges
        self.add(first)

    def add(self, seed: int) -> None:
        """One more seed."""
        self.buses.append(seed)
        queue = [(0.0, seed)]
        while queue:
            distance, bus = heapq.heappop(queue)
            if distance >= self.distance[bus]:
                continue
            self.distance[bus] = distance
            for neighbour, length in self._edges[bus].items():
                if distance + length < self.distance[neighbour]:
                    heapq.heappush(queue, (distance + length, neighbour))

    def add_farthest(self, generators: Iterable[int]) -> None:
        """The generator farthest from all seeds so far (ties: lowest bus)."""
        taken = set(self.buses)
        self.add(min((g for g in generators if g not in taken), key=lambda g: (-self.distance[g], g)))


def _add_seeds_to_large(seeds: _Seeds, owner: Mapping[int, int], generators: Iterable[int], max_buses: int) -> bool:
    """A seed more in each group that is too large and has a generator to spare; whether there was one."""
    sizes, taken = Counter(owner.values()), set(seeds.buses)
    spare: dict[int, list[int]] = {}
    for generator in generators:
        if generator not in taken and sizes[owner[generator]] > max_buses:
            spare.setdefault(owner[generator], []).append(generator)
    medians = [
        sorted(found, key=lambda g: (seeds.distance[g], g))[len(found) // 2] for _, found in sorted(spare.items())
    ]
    for generator in medians:
        seeds.add(generator)
    return bool(medians)


def _join_small(edges: Mapping[int, Mapping[int, float]], owner: dict[int, int], max_buses: int) -> None:
    """Join the smallest group with its smallest neighbour, again and again, while both together are not too large."""
    sizes = Counter(owner.values())
    near: dict[int, set[int]] = {rank: set() for rank in sizes}
    for bus, ends in edges.items():
        for end in ends:
            if owner[bus] != owner[end]:
                near[owner[bus]].add(owner[end])
    heir: dict[int, int] = {}
    while len(sizes) > LEAST_GROUPS:
        pairs = [
            (sizes[one] + sizes[other], min(one, other), max(one, other))
            for one, others in near.items()
            for other in others
        ]
        size, one, other = min(pairs)
        if size > max_buses:
            break
        sizes[one] = size
        del sizes[other]
        heir[other] = one
        joined = near.pop(other)
        near[one] = (near[one] | joined) - {one, other}
        for rank in joined - {one}:
            near[rank] = (near[rank] - {other}) | {one}
    for bus, rank in owner.items():
        while rank in heir:
            rank = heir[rank]  # noqa: PLW2901 -- one that was joined may have been joined again
        owner[bus] = rank


def _nearest_seed(edges: Mapping[int, Mapping[int, float]], seeds: list[int]) -> dict[int, int]:
    """Bus -> rank of its nearest seed; key (distance, bus, seed)."""
    owner: dict[int, int] = {}
    queue = [(0.0, seed, seed) for seed in seeds]
    heapq.heapify(queue)
    rank = {seed: index for index, seed in enumerate(seeds)}
    while queue:
        distance, bus, seed = heapq.heappop(queue)
        if bus in owner:
            continue
        owner[bus] = rank[seed]
        for neighbour, length in edges[bus].items():
            if neighbour not in owner:
                heapq.heappush(queue, (distance + length, neighbour, seed))
    return owner


def _absorb_useless(case: Case, edges: Mapping[int, Mapping[int, float]], owner: dict[int, int]) -> None:
    """Give each group without a load or without a line inside to the neighbour with the shortest joining branch."""
    loads = {
        bus
        for bus, kind, pd, qd in zip(case.numbers, case.kind, case.pd, case.qd, strict=True)
        if kind == PQ and (pd != 0 or qd != 0)
    }
    while True:
        members: dict[int, set[int]] = {}
        for bus, rank in owner.items():
            members.setdefault(rank, set()).add(bus)
        useless = (
            own
            for _, own in sorted(members.items())
            if not (own & loads and any(not edges[bus].keys().isdisjoint(own) for bus in own))
        )
        given = next(useless, None)
        if given is None or len(members) == 1:
            return
        _, _, heir = min(
            (length, neighbour, owner[neighbour])
            for bus in given
            for neighbour, length in edges[bus].items()
            if neighbour not in given
        )
        owner.update(dict.fromkeys(given, heir))

"""Groups of buses: the thesis's three for case30, electrical nearness for every other case (spec sections 3 and 9).

A grouping is {id: members}, ids "1", "2", ... and members ascending. Merged ids join ids with "_", numeric order.
"""

from __future__ import annotations

import heapq
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


def grouping_of(case: Case, count: int | None = None) -> Grouping:
    """The groups of a case: the thesis's for case30, otherwise ``count`` automatic ones (default: ASKED_GROUPS)."""
    if case.name == "case30" and count is None:
        return CASE30_GROUPS
    return automatic_grouping(case, count or ASKED_GROUPS.get(case.name, 3))


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
    home = {bus: name for name, members in grouping.items() for bus in members}
    own = set(components(group))
    found = set()
    for branch in range(len(case.branches)):
        ends = {home[bus] for bus in case.ends(branch)}
        if ends & own:
            found |= ends - own
    return tuple(sorted(found, key=int))


def adjacent_pairs(case: Case, grouping: Grouping) -> tuple[str, ...]:
    """The merged ids of all pairs of groups that share a branch, ascending."""
    names = sorted(grouping, key=int)
    near = {name: set(neighbours(case, grouping, name)) for name in names}
    return tuple(f"{a}_{b}" for a, b in combinations(names, 2) if b in near[a])


def automatic_grouping(case: Case, count: int) -> Grouping:
    """``count`` connected groups grown around generators; fewer when some have no demand or no line of their own.

    Raises InputError when ``count`` is not between 1 and the number of generator buses.
    """
    if not 1 <= count <= len(case.generator_buses):
        raise InputError(f"{case.name} can be cut into 1 to {len(case.generator_buses)} groups, not {count}")
    edges = _edges(case)
    owner = _nearest_seed(edges, _seeds(case, edges, count))
    _absorb_useless(case, edges, owner)
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


def _distances(edges: Mapping[int, Mapping[int, float]], sources: Iterable[int]) -> dict[int, float]:
    """Shortest electrical distance from the nearest of ``sources`` to every bus."""
    done: dict[int, float] = {}
    queue = [(0.0, bus) for bus in sources]
    heapq.heapify(queue)
    while queue:
        distance, bus = heapq.heappop(queue)
        if bus in done:
            continue
        done[bus] = distance
        for neighbour, length in edges[bus].items():
            if neighbour not in done:
                heapq.heappush(queue, (distance + length, neighbour))
    return done


def _seeds(case: Case, edges: Mapping[int, Mapping[int, float]], count: int) -> list[int]:
    """The reference generator, then always the generator farthest from all seeds so far (ties: lowest bus)."""
    seeds = [case.reference]
    while len(seeds) < count:
        distance = _distances(edges, seeds)
        seeds.append(min((g for g in case.generator_buses if g not in seeds), key=lambda g: (-distance[g], g)))
    return seeds


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
    while len(ranks := sorted(set(owner.values()))) > 1:
        for rank in ranks:
            members = {bus for bus, seed in owner.items() if seed == rank}
            if members & loads and any(edges[bus].keys() & members for bus in members):
                continue
            _, _, heir = min(
                (length, neighbour, owner[neighbour])
                for bus in members
                for neighbour, length in edges[bus].items()
                if neighbour not in members
            )
            owner.update(dict.fromkeys(members, heir))
            break
        else:
            return

"""Seeded runs of whole Raft groups under every fault the world knows (paper, figure 3; how to replay: docs/raft.md).

GRIDLEDGER_SIM_SEEDS=N runs N seeds instead of the default few; GRIDLEDGER_SIM_FIRST=S begins at seed S.
"""

from __future__ import annotations

import os

import pytest

from tests.simulation.raft_world import Faults, World

SEEDS = int(os.environ.get("GRIDLEDGER_SIM_SEEDS", "15"))
FIRST = int(os.environ.get("GRIDLEDGER_SIM_FIRST", "0"))
CHUNK = 5


def _run(world: World, seed: int) -> None:
    try:
        world.run()
    except Exception as failed:
        recent = "\n".join(world.trace[-20:])
        raise AssertionError(f"seed {seed} at {world.now}: {failed}\n{world.faults}\n{recent}") from failed


@pytest.mark.parametrize("first", range(FIRST, FIRST + SEEDS, CHUNK))
def test_figure_3_holds_under_faults(first: int) -> None:
    for seed in range(first, min(first + CHUNK, FIRST + SEEDS)):
        _run(World(seed), seed)


@pytest.mark.parametrize(
    ("servers", "faults"),
    [
        pytest.param(3, Faults(crash=0.6, longest_delay=10), id="crashes"),
        pytest.param(3, Faults(treachery=0.1, longest_delay=80, slowest_save=150), id="forgotten promises"),
        pytest.param(5, Faults(treachery=0.05, partition=0.9, longest_delay=10, slowest_save=3), id="figure 8"),
        pytest.param(5, Faults(loss=0.3, duplication=0.3, longest_delay=250), id="bad network"),
        pytest.param(5, Faults(partition=0.7, longest_delay=20), id="partitions"),
        pytest.param(3, Faults(membership=0.5, crash=0.2, partition=0.2, longest_delay=20), id="membership"),
        pytest.param(3, Faults(compaction=1.0, crash=0.3, loss=0.1, longest_delay=40), id="snapshots"),
        pytest.param(3, Faults(transfer=0.5, loss=0.05, longest_delay=20), id="transfers"),
        pytest.param(3, Faults(clock=0.5, crash=0.1, longest_delay=20), id="clocks"),
        pytest.param(5, Faults(clock=0.5, loss=0.1, partition=0.2, longest_delay=40), id="clocks and partitions"),
        pytest.param(1, Faults(crash=0.5), id="alone"),
    ],
)
def test_each_fault_at_its_worst(servers: int, faults: Faults) -> None:
    for seed in range(1_000_000 + FIRST, 1_000_002 + FIRST + SEEDS // 20):
        _run(World(seed, servers=servers, faults=faults), seed)


def test_a_calm_group_commits_what_it_is_asked() -> None:
    world = World(7, servers=3, faults=Faults(compaction=0))
    _run(world, 7)
    assert len(world.oracle.leaders) == 1
    assert len(world.oracle.acknowledged) > 300


def test_a_leader_whose_clock_jumps_400_days_is_left() -> None:
    outvoted = 0
    for seed in range(5):
        world = World(seed, servers=3, faults=Faults(clock=0.5))
        _run(world, seed)
        outvoted += bool(world.wild)
        assert len(world.oracle.acknowledged) > 100
    assert outvoted >= 2


def test_a_seed_gives_the_same_run_twice() -> None:
    runs = []
    for _ in range(2):
        world = World(11)
        _run(world, 11)
        runs.append((world.oracle.committed, world.oracle.leaders, world.trace, world.random.getstate()))
    assert runs[0] == runs[1]

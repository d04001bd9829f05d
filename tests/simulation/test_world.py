"""Seeded runs of the whole world, from the gateway's queue to the commit hash (``make simulate`` runs more of them)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulation.world.run import world_folder
from tests.simulation.world.world import World

SEEDS = 6


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with world_folder() as made:
        yield made


@pytest.mark.parametrize("seed", range(SEEDS))
def test_the_world_holds_under_faults(seed: int, folder: Path) -> None:
    outcome = World(seed, folder).run()
    assert not outcome.violation, "\n".join((*outcome.recent[-40:], outcome.violation))
    assert outcome.counts


def test_a_world_without_faults_orders_at_once(folder: Path) -> None:
    outcome = World(1, folder, only=frozenset()).run()
    assert not outcome.violation
    assert outcome.acknowledged > 200


def test_a_seed_gives_the_same_run_byte_for_byte(folder: Path) -> None:
    program = "from tests.simulation.world.run import run_seed; print(run_seed(9).digest)"
    other = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    assert World(9, folder).run().digest == World(9, folder).run().digest == other.stdout.strip()


def test_another_seed_gives_another_run(folder: Path) -> None:
    assert World(9, folder).run().digest != World(10, folder).run().digest

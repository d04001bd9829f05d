"""Seeded runs of whole Raft nodes with three groups each, on a virtual clock (docs/raft.md says how to replay one)."""

from __future__ import annotations

import logging
import os

import pytest

from tests.simulation import virtual_loop
from tests.simulation.raft_nodes import NodeWorld

SEEDS = int(os.environ.get("GRIDLEDGER_SIM_SEEDS", "15")) // 3
FIRST = int(os.environ.get("GRIDLEDGER_SIM_FIRST", "0"))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_nodes_agree_on_every_group(seed: int) -> None:
    logging.getLogger("services.orderer.raft").setLevel(logging.ERROR)
    world = NodeWorld(seed)
    virtual_loop.run(world.run)
    assert all(len(history.entries) > 10 for history in world.histories.values())

"""Seeded runs of the whole world, from the gateway's queue to the commit hash (``make simulate`` runs more of them)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from pathlib import Path
from unittest import mock

import pytest

from gridledger.errors import GridLedgerError
from gridledger.ledger.validation import _JudgingRound
from gridledger.protocol.block import Block, HeaderSignature
from services.orderer import membership_follower, sequencer
from services.orderer.chain import Chain
from services.orderer.membership_steps import Rounds, StepKind
from services.orderer.raft.interface import ChangeKind
from services.orderer.raft.wal import Wal
from services.orderer.raft.wal_records import GroupWrite
from tests.simulation.world.disk import Mount
from tests.simulation.world.membership import CHANGED
from tests.simulation.world.run import KINDS, LEAST_SEEDS, Tally, world_folder
from tests.simulation.world.world import ENOUGH, Outcome, World

SEEDS = 6


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with world_folder() as made:
        yield made


@lru_cache
def outcome_of(seed: int, folder: Path) -> Outcome:
    """What comes of a seed; run once for all tests."""
    return World(seed, folder).run()


@pytest.mark.parametrize("seed", range(SEEDS))
def test_the_world_holds_under_faults(seed: int, folder: Path) -> None:
    outcome = outcome_of(seed, folder)
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
    assert World(9, folder).run().digest == outcome_of(9, folder).digest == other.stdout.strip()


def test_another_seed_gives_another_run(folder: Path) -> None:
    assert outcome_of(9, folder).digest != outcome_of(0, folder).digest


# what it is known to catch


def _acknowledge_all(batch: sequencer._Batch, _error: GridLedgerError | None) -> None:
    for item in batch:
        item.token.receipt.settle(item.token.number, None)


def _write_unsynced(self: Wal, writes: Sequence[GroupWrite]) -> None:
    self._append(self._fd, writes)
    self._note(writes)


async def _sign_whatever(self: Chain, block: Block, _most: int) -> HeaderSignature:
    return HeaderSignature(self._signer.fingerprint, self._signer.sign(block.header.text.encode()))


MISTAKES: dict[str, AbstractContextManager[object]] = {
    "a failed batch is acknowledged": mock.patch.object(sequencer, "_settle", _acknowledge_all),
    "the log is written unsynced": mock.patch.object(Wal, "write", _write_unsynced),
    "a copy of a transaction counts": mock.patch.object(_JudgingRound, "_known", return_value=False),
    "what a block holds is not checked": mock.patch.object(Block, "data_hash_holds", return_value=True),
    "the mark moves without a sync": mock.patch.object(Mount, "fdatasync", autospec=True, return_value=None),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_deliberate_mistake_is_seen(mistake: str, folder: Path) -> None:
    with MISTAKES[mistake]:
        outcomes = (World(seed, folder).run() for seed in range(20))
        assert any(outcome.violation for outcome in outcomes)


MISTAKES_IN_CHANGES: dict[str, AbstractContextManager[object]] = {
    "a learner is promoted before it has caught up": mock.patch.object(Rounds, "caught_up", return_value=True),
    "orderers change before Raft has followed": mock.patch.object(sequencer, "check_change"),
    "a new orderer votes at once": mock.patch.dict(
        membership_follower._CHANGES, {StepKind.ADD_LEARNER: ChangeKind.ADD_VOTER}
    ),
    "an orderer signs what does not name it": mock.patch.object(Chain, "_signature", _sign_whatever),
}


@pytest.mark.parametrize("mistake", MISTAKES_IN_CHANGES)
def test_a_mistake_in_a_change_of_orderers_is_seen(mistake: str, folder: Path) -> None:
    with MISTAKES_IN_CHANGES[mistake]:
        outcomes = (World(seed, folder, orderers_change=True).run() for seed in range(20))
        assert any(outcome.violation for outcome in outcomes)


def test_a_fault_that_never_comes_to_pass_fails_a_run() -> None:
    tally = Tally()
    for seed in range(LEAST_SEEDS):
        fired = Counter((CHANGED, *KINDS[1:]) if seed else (CHANGED, *KINDS[2:]))
        tally.add(Outcome(seed, acknowledged=ENOUGH, leader_changes=1, fired=fired))
    assert tally.shortcomings() == [f"in fewer than 1% of the seeds: {KINDS[0]}"]


def test_a_run_in_which_orderers_seldom_change_fails() -> None:
    tally = Tally()
    for seed in range(LEAST_SEEDS):
        fired = Counter((CHANGED, *KINDS) if seed % 11 == 0 else KINDS)
        tally.add(Outcome(seed, acknowledged=ENOUGH, leader_changes=1, fired=fired))
    assert tally.shortcomings() == [f"in fewer than 10% of the seeds: {CHANGED}"]


@pytest.mark.parametrize("seed", range(3))
def test_the_world_holds_while_orderers_come_and_go(seed: int, folder: Path) -> None:
    outcome = World(seed, folder, orderers_change=True).run()
    assert not outcome.violation, "\n".join((*outcome.recent[-40:], outcome.violation))
    assert outcome.fired[CHANGED]


def test_seeds_in_which_little_happened_do_not_count() -> None:
    tally = Tally()
    for acknowledged, changes in ((ENOUGH - 1, 1), (ENOUGH, 0), (ENOUGH, 1)):
        tally.add(Outcome(1, acknowledged=acknowledged, leader_changes=changes))
    assert tally.counted == 1
    assert tally.shortcomings() == ["only 1 of 3 seeds count"]

"""Power losses under real programs: what was acknowledged is there, though all that was not synced may be gone."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Protocol

import pytest

from gridledger import framing
from gridledger.incarnation import Incarnation
from gridledger.ledger import Ledger
from gridledger.ledger.committer import BlockCommitter
from gridledger.ledger.genesis import commit_genesis
from gridledger.ledger.memory_store import MemoryStore
from gridledger.ledger.verify import verify
from gridledger.protocol.block import SignedBlock
from tests.support import power_loss
from tests.support.local_network import LocalNetwork, local_network
from tests.support.network_configs import CHANNEL, few_nodes
from tests.support.paper import PaperChain, PaperNetwork
from tests.support.power_loss import PowerLoss
from tests.support.processes import all_gone
from tests.support.steady_load import Source, running_load

LOSSES = 15
BLOCKS = 600
LEDGER_BYTES = 64 * 1024 * 1024

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(bool(power_loss.why_not()), reason=f"NO POWER LOSS HERE: {power_loss.why_not()}"),
]


def run_until_power_loss(command: Sequence[str], disk: PowerLoss, at: int, *, syncs: bool = True) -> list[str]:
    """Run a program until it writes or syncs for the ``at``th time, and take the power; the lines that it printed."""
    environment = {**os.environ, **disk.environment(at=at, syncs=syncs)}
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, env=environment, timeout=60, check=False
    )
    disk.strike()
    assert done.returncode in (0, -signal.SIGKILL), f"the program ended by itself: {done.stderr[-500:]}"
    return [line.strip() for line in done.stdout.splitlines(keepends=True) if line.endswith("\n")]


class Program(Protocol):
    """What loses its power again and again."""

    def live(self, *, syncs: bool = True) -> None: ...


def live_often(program: Program, *, syncs: bool = True) -> None:
    """Several lives, each to a loss of the power."""
    for _ in range(LOSSES):
        program.live(syncs=syncs)


class Orderer:
    """An orderer alone on its channel, run by a child, with the chain that it last told of."""

    def __init__(self, folder: Path, seed: int) -> None:
        paper = PaperNetwork()
        name, identity = next(iter(paper.orderers.items()))
        paper.config = replace(paper.config, orderers={name: paper.config.orderers[name]})
        Incarnation(name, "0badcafe").write(folder / "data")
        paper.organisations["OrdererMSP"].furnish(identity, folder / name)
        (folder / f"{paper.channel}.genesis").write_bytes(paper.genesis.to_bytes())
        (folder / "roots.pem").write_text("".join(item.root for item in paper.organisations.values()))
        self.chance = Random(seed)
        self.disk = PowerLoss(folder / "data", folder, self.chance)
        self.acknowledged: list[int] = []
        self.chain: list[int] = []
        self._command = ["-m", "tests.support.order_child", str(folder), name]

    def live(self, *, syncs: bool = True) -> None:
        """One life, from a start to the loss of the power; checks what the start has found."""
        begin = max((0, *self.acknowledged, *self.chain)) + 1000
        command = [*self._command, str(begin)]
        told = run_until_power_loss(command, self.disk, self.chance.randint(1, 400), syncs=syncs)
        if not told:
            return  # the power was lost before it had started
        found, *told = told
        chain = [int(number) for number in found.split()[1:]]
        kept = [number for number in chain if number in set(self.acknowledged)]
        assert kept == self.acknowledged, "acknowledged envelopes are lost, doubled or out of order"
        assert chain[: len(self.chain)] == self.chain, "the chain that was there has changed"
        self.chain = chain
        self.acknowledged += [int(number) for number in told]


def test_an_orderer_loses_nothing_acknowledged_with_the_power(tmp_path: Path) -> None:
    orderer = Orderer(tmp_path, seed=12)
    live_often(orderer)
    assert len(orderer.acknowledged) > 100
    assert {"torn write", "unsynced writes lost", "sectors out of order"} & set(orderer.disk.fired)


def test_the_power_loss_of_an_orderer_that_never_synced_is_seen(tmp_path: Path) -> None:
    orderer = Orderer(tmp_path, seed=12)
    with pytest.raises(AssertionError, match=r"are lost|ended by itself"):
        live_often(orderer, syncs=False)


class Committer:
    """A committer over LMDB, run by a child."""

    def __init__(self, folder: Path, seed: int) -> None:
        paper = PaperNetwork()
        chain = PaperChain(paper)
        self.blocks = [
            chain.next(*(paper.transaction({f"k{(n * 7 + m) % 50}": [n, "x" * 500]}) for m in range(n % 3)))
            for n in range(1, BLOCKS + 1)
        ]
        self.hashes = _commit_hashes(paper, self.blocks)
        self.channel = paper.channel
        (folder / "blocks").write_bytes(framing.pack([block.to_bytes() for block in self.blocks]))
        self.ledgers = folder / "ledgers"
        Ledger.create(self.ledgers, paper.genesis, map_bytes=LEDGER_BYTES).close()
        self.chance = Random(seed)
        self.disk = PowerLoss(self.ledgers, folder, self.chance)
        self.told = 1
        self._command = ["-m", "tests.support.commit_child", str(self.ledgers), paper.channel, str(folder / "blocks")]

    def live(self, *, syncs: bool = True) -> None:
        """One life, from a start to the loss of the power; then checks what is there."""
        command = [*self._command, str(self.chance.choice((1, 2, 5)))]
        told = run_until_power_loss(command, self.disk, self.chance.randint(1, 300), syncs=syncs)
        self.told = max(self.told, *map(int, told))
        with Ledger.open(self.ledgers, self.channel) as ledger:
            head = ledger.head
            assert head.height >= self.told, "what was told to be committed is lost"
            assert head.commit_hash == self.hashes[head.height - 1]
            report = verify(ledger)
            assert report.ok, str(report)


def _commit_hashes(paper: PaperNetwork, blocks: Sequence[SignedBlock]) -> list[str]:
    store = MemoryStore()
    commit_genesis(store, paper.genesis)
    ledger = Ledger(paper.channel, store)
    committer = BlockCommitter(ledger)
    hashes = [ledger.commit_hash]
    while len(hashes) <= len(blocks):
        hashes += [item.commit_hash for item in committer.process(blocks[len(hashes) - 1 :])]
    return hashes


def test_a_ledger_loses_nothing_committed_with_the_power(tmp_path: Path) -> None:
    committer = Committer(tmp_path, seed=12)
    live_often(committer)
    assert committer.told > 20
    assert {"torn write", "unsynced writes lost", "sectors out of order"} & set(committer.disk.fired)


def test_the_power_loss_of_a_ledger_that_never_synced_is_seen(tmp_path: Path) -> None:
    committer = Committer(tmp_path, seed=12)
    with pytest.raises(Exception, match=r"lost|ledger|damage|cannot"):
        live_often(committer, syncs=False)


async def _lose_power(network: LocalNetwork, disk: PowerLoss) -> None:
    """Take the power from all nodes at one moment, and start them again."""
    orderers, peers = list(network.profile.orderers), list(network.profile.peers)
    children = [child for name in peers for child in network.children(name)]
    for name in (*orderers, *peers):
        os.kill(network.pid(name), signal.SIGKILL)
    for child in children:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    for name in (*orderers, *peers):
        await network.ended(name)
    await all_gone(children, within_s=10)
    await asyncio.to_thread(disk.strike)
    await asyncio.gather(*(network.start(name) for name in orderers))
    await asyncio.gather(*(network.start(name) for name in peers))


@pytest.mark.deep
async def test_a_network_loses_nothing_acknowledged_with_the_power(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The power of all nodes at once, under load: the history that clients have holds against what is left."""
    (folder := tmp_path / "network").mkdir()
    disk = PowerLoss(folder, tmp_path, Random(5), parts=("blocks", "raft", "ledger"))
    for name, value in disk.environment().items():
        monkeypatch.setenv(name, value)
    raft = {"segment_bytes": 262_144, "snapshot_entries": 60, "trailing_entries": 10}
    config = few_nodes(orderers=3, peers=2, orderer_settings={"raft": raft})
    with local_network(config, folder) as network:
        for round_ in range(3):
            sources = [Source("peer1", CHANNEL, 20), Source("peer2", CHANNEL, 20)]
            async with running_load(network, sources, seconds=4, name=f"round{round_}") as load:
                await load.at(2.5)
                await _lose_power(network, disk)
            assert sum(item.code == "VALID" for item in load.outcomes) > 40
            await load.nothing_lost(network)
    assert {"torn write", "unsynced writes lost", "sectors out of order"} & set(disk.fired)

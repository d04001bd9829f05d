"""Orderers as real processes that lose their disks: none comes back without its log, and each can be let in again."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gridledger import framing
from gridledger.errors import GridLedgerError
from gridledger.network.readmission import Readmission
from tests.support.command import gridledger
from tests.support.local_network import LocalNetwork, local_network
from tests.support.network_configs import CHANNEL, few_nodes
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration


@pytest.fixture
def network(tmp_path: Path) -> Iterator[LocalNetwork]:
    """Snapshots come soon, so that who joins fetches blocks too."""
    settings = {"raft": {"snapshot_entries": 10, "trailing_entries": 2}}
    with local_network(few_nodes(orderers=3, orderer_settings=settings), tmp_path) as running:
        yield running


async def put(network: LocalNetwork, *values: int) -> set[str]:
    """Have transactions committed; their ids."""
    ids = set()
    async with network.gateway("peer1") as gateway:
        contract = gateway.get_network(CHANNEL).get_contract("kv")
        for value in values:
            _, status = await contract.submit_with_status("put", "k", value)
            ids.add(status.tx_id)
    return ids


async def on_chain(network: LocalNetwork, name: str) -> bytes:
    """All blocks that an orderer serves, behind one another."""
    height = (await network.status(name, CHANNEL))["height"]
    async with network.node(name, await network.client("Org1")) as node:
        params = {"from": "0", "count": str(height)}
        frames = node.frames(f"/channels/{CHANNEL}/deliver", params=params)
        return b"".join([framing.unpack(frame, max_frames=2)[0] async for frame in frames])


def data(network: LocalNetwork, name: str) -> Path:
    return network.folder.node(name) / "data"


async def ordering(network: LocalNetwork, value: int) -> None:
    async def taken() -> bool:
        await put(network, value)
        return True

    await eventually(taken, within_s=60, what="a transaction that is taken", ignore=(GridLedgerError,))


async def readmit(network: LocalNetwork, name: str) -> list[str]:
    said: list[str] = []

    async def start() -> None:
        await network.start(name)

    await Readmission(network.folder, name, start=start, say=said.append, timeout_s=120).run()
    return said


async def test_a_wiped_orderer_joins_anew_and_nothing_acknowledged_is_lost(network: LocalNetwork) -> None:
    """It was let in under its name: with two others it elected a leader without what was acknowledged."""
    put_before = await put(network, *range(8))
    lost = "orderer2"
    await network.kill(lost)
    shutil.rmtree(data(network, lost))
    await network.start(lost, wait=False)
    assert await network.ended(lost) == 1
    line = network.log(lost).splitlines()[-1]
    assert line.startswith("error: orderer2 has lost its log")
    assert "gridledger orderer readmit orderer2" in line
    put_after = await put(network, *range(8, 14))

    assert await readmit_through_crashes(network, lost) >= 3
    voters = (await network.status(lost, CHANNEL))["voters"]
    assert sorted(voter.partition("#")[0] for voter in voters) == ["orderer1", "orderer2", "orderer3"]
    # It and one other order on, with everything that was ever acknowledged.
    await network.kill("orderer1")
    await ordering(network, 99)
    chain = await on_chain(network, lost)
    assert chain == (await on_chain(network, "orderer3"))[: len(chain)]
    verdicts = await network.verdicts("peer1", CHANNEL)
    assert put_before | put_after <= verdicts.keys()
    assert await readmit_is_refused_while_it_runs(network, lost)


async def readmit_through_crashes(network: LocalNetwork, name: str) -> int:
    """Begin it again and again, each time cut short behind one request more; how often it was cut short."""

    class CutShort(Readmission):
        left = 0

        async def _ask(self, name: str, request: dict[str, str]) -> dict[str, Any]:
            answer = await super()._ask(name, request)
            self.left -= 1
            if self.left < 0:
                raise Cut
            return answer

    class Cut(BaseException):
        pass

    async def start() -> None:
        if not started:
            started.append(name)
            await network.start(name)
            raise Cut

    started: list[str] = []
    for requests in range(30):
        one = CutShort(network.folder, name, start=start, say=lambda _: None, timeout_s=120)
        one.left = requests
        try:
            await one.run()
        except Cut:
            continue
        return requests
    raise AssertionError("it never ends")


async def test_one_that_is_restored_from_an_older_backup_votes_no_more(network: LocalNetwork) -> None:
    await put(network, *range(4))
    leader = await network.leader(CHANNEL)
    old = min(name for name in network.profile.orderers if name != leader)
    await network.stop(old)
    backup = network.folder.root / "backup"
    shutil.copytree(data(network, old), backup)
    await network.start(old)
    await put(network, *range(4, 10))
    await network.agree(CHANNEL)
    await network.stop(old)
    shutil.rmtree(data(network, old))
    shutil.copytree(backup, data(network, old))
    await network.start(old, wait=False)

    async def said() -> bool:
        return f"{old} comes back in an older state than it was heard in" in network.log(old)

    await eventually(said, within_s=30, what="it says that it was restored")
    await network.stop(old)
    await readmit(network, old)
    await network.kill(leader)
    await ordering(network, 99)


async def readmit_is_refused_while_it_runs(network: LocalNetwork, name: str) -> bool:
    try:
        await readmit(network, name)
    except GridLedgerError as error:
        return "is in use by another process" in error.message
    return False


@pytest.mark.deep
async def test_one_survivor_goes_on_when_a_majority_lost_its_log(network: LocalNetwork) -> None:
    await put(network, *range(6))
    lost, survivor = ("orderer1", "orderer2"), "orderer3"
    height = (await network.agree(CHANNEL))[0]
    for name in lost:
        await network.kill(name)
        shutil.rmtree(data(network, name))
    await network.stop(survivor)
    command = ("orderer", "recover", survivor, "--dir", network.folder.root)
    told = await asyncio.to_thread(gridledger, *command)
    assert (told.returncode, told.stderr.count("\n")) == (1, 1)
    assert "nothing was changed" in told.stderr
    done = await asyncio.to_thread(gridledger, *command, "--force")
    assert done.returncode == 0, done.stderr
    assert f"{CHANNEL}: the last block kept is {height - 1} " in done.stdout
    assert "are lost" in done.stdout
    await network.start(survivor)
    await ordering(network, 50)
    for name in lost:
        await readmit(network, name)
    await network.kill(survivor)
    await ordering(network, 51)
    states = [await network.status(name, CHANNEL) for name in lost]
    assert len({(state["height"], state["last_hash"]) for state in states}) == 1

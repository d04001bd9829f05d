"""A network of three shards that changes under load: an organisation, orderers, addresses, a channel, a group.

No node is restarted but one that moves, nothing acknowledged is lost, and the network that comes up again is the one
that went down.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Iterator
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from gridledger.errors import GridLedgerError
from tests.support.command import gridledger
from tests.support.detached_network import DetachedNetwork, detached_network
from tests.support.network_configs import three_shards
from tests.support.processes import REPOSITORY, free_ports
from tests.support.steady_load import Load, Source, running_load
from tests.support.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.deep, pytest.mark.timeout(1200)]

CHANNEL = "shard1"
SOURCES = [Source("peer1", CHANNEL, 50), Source("peer2", CHANNEL, 50)]
LONGEST_S = 900.0
LONGEST_GAP_S = 10.0
FEEDER_S = 20
ORDERERS = ("orderer2", "orderer4", "orderer5")


@pytest.fixture
def network(tmp_path: Path) -> Iterator[DetachedNetwork]:
    with detached_network(three_shards({CHANNEL: "OutOf(2, all)"}), tmp_path) as network:
        yield network


class Steps:
    """Does one step after another under the load, and notes the longest gap in its answers."""

    def __init__(self, load: Load) -> None:
        self.gaps: dict[str, float] = {}
        self._load = load

    async def do(self, name: str, work: Awaitable[object]) -> None:
        began_s = self._load.now_s
        await work
        ended_s = self._load.now_s
        done = sorted(item.ended_s for item in self._load.outcomes if item.code == "VALID" and item.ended_s >= began_s)
        moments = [began_s, *done, ended_s]
        self.gaps[name] = max(after - before for before, after in pairwise(moments))
        print(f"{name}: {ended_s - began_s:.1f} s, longest gap {self.gaps[name] * 1000:.0f} ms")


def starts(network: DetachedNetwork) -> dict[str, float]:
    """When each node was started that runs now. Its children came later."""
    place = str(network.folder.root / "nodes")
    found: dict[str, float] = {}
    for process in psutil.process_iter(["cmdline", "create_time"]):
        for part in process.info["cmdline"] or ():
            if part.startswith(place) and part.endswith("config.json"):
                node, at = Path(part).parent.name, process.info["create_time"]
                found[node] = min(found.get(node, at), at)
    return found


async def organisation_comes_and_goes(network: DetachedNetwork, port: int) -> None:
    await network.command("org", "add", "Org7", "--channel", CHANNEL)
    await network.command("peer", "add", "peer7", "--organisation", "Org7", "--port", str(port), "--channel", CHANNEL)
    async with network.gateway("peer7") as gateway:
        contract = gateway.get_network(CHANNEL).get_contract("kv")

        async def endorsed() -> bool:
            _, verdict = await contract.submit_with_status(
                "put", "of-org7", 7, endorsing_organisations=["Org7MSP", "Org1MSP"]
            )
            return verdict.code.name == "VALID"

        await eventually(endorsed, within_s=30, what="Org7 endorses", ignore=(GridLedgerError,))
    await network.command("org", "remove", "Org7")
    assert "peer7" not in network.profile.channels[CHANNEL].peers


async def leader_is_replaced(network: DetachedNetwork, new: str, port: int) -> None:
    await network.command("orderer", "replace", await network.leader(CHANNEL), new, "--port", str(port))


async def follower_is_replaced(network: DetachedNetwork, new: str, port: int) -> None:
    leader = await network.leader(CHANNEL)
    old = next(name for name in sorted(network.profile.orderers) if name != leader)
    await network.command("orderer", "replace", old, new, "--port", str(port))


async def group_moves_to_a_new_shard(network: DetachedNetwork, report: Path) -> None:
    """While the feeder streams."""
    feeder = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.feeder", "--rate", "2", "--seconds", str(FEEDER_S), "--scenario", "base"),
        *("--report", str(report), "--dir", str(network.folder.root)),
        cwd=REPOSITORY,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert feeder.stdout is not None
    try:
        said = b""
        while b"frames sent" not in said:
            line = await asyncio.wait_for(feeder.stdout.readline(), 120)
            assert line, said
            said += line
        await network.command(
            "channel",
            "create",
            "shard4",
            "--like",
            CHANNEL,
            "--peer",
            "peer1",
            "--peer",
            "peer2",
            "--application",
            "dvs",
        )
        await network.command("dvs", "move-group", "1", "shard4")
        output, _ = await asyncio.wait_for(feeder.communicate(), FEEDER_S + 120)
        assert feeder.returncode == 0, (said + output).decode()
    finally:
        if feeder.returncode is None:
            feeder.kill()
    found = json.loads(report.read_bytes())
    assert [(item["group"], item["to"]) for item in found["moves"]] == [("1", "shard4")]
    assert found["all"]["faults"] == {}


async def moved(network: DetachedNetwork, ports: list[int]) -> None:
    for name, port in zip(sorted(network.profile.orderers), ports, strict=True):
        await network.command("orderer", "move", name, "--port", str(port))


async def test_a_network_changes_under_load(network: DetachedNetwork, tmp_path: Path) -> None:
    ports = free_ports(6)
    before = starts(network)
    began = time.monotonic()
    async with running_load(network, SOURCES, seconds=LONGEST_S, name="changes") as load:
        steps = Steps(load)
        await steps.do("an organisation joins, endorses, is removed", organisation_comes_and_goes(network, ports[0]))
        await steps.do("an orderer is replaced", follower_is_replaced(network, "orderer4", ports[1]))
        await steps.do("the leader is replaced", leader_is_replaced(network, "orderer5", ports[2]))
        unmoved = starts(network)
        await steps.do("all orderers move to other ports", moved(network, ports[3:]))
        await steps.do("a group moves to a new channel", group_moves_to_a_new_shard(network, tmp_path / "report.json"))
        load.lasts_s = load.now_s
    after = starts(network)
    print(f"all in {time.monotonic() - began:.0f} s; gaps {steps.gaps}")
    for name in network.profile.peers:
        assert after[name] == before[name], f"{name} was restarted"
    for name in network.profile.orderers:
        assert unmoved[name] == before.get(name, unmoved[name]), f"{name} was restarted before it moved"
    await load.nothing_lost(network)
    refused = [item for item in load.outcomes if item.code != "VALID"]
    assert len(refused) <= len(load.outcomes) // 100, [item.why for item in refused[:5]]
    assert max(steps.gaps.values()) < LONGEST_GAP_S, steps.gaps
    await comes_up_as_it_is(network)


async def comes_up_as_it_is(network: DetachedNetwork) -> None:
    """``down`` and ``up``: the network that went down."""
    folder, orderers = network.folder.root, set(network.profile.orderers)
    heights = {channel: await network.agree(channel) for channel in network.profile.channels}
    assert (await asyncio.to_thread(gridledger, "down", "--dir", folder)).returncode == 0
    up = await asyncio.to_thread(gridledger, "up", "--dir", folder, "--detach", timeout_s=180)
    assert up.returncode == 0, up.stderr
    network.follow()
    assert set(network.profile.orderers) == orderers == set(starts(network)) & orderers
    assert "shard4" in heights
    for channel, (height, _) in heights.items():
        assert (await network.agree(channel))[0] >= height
    state = json.loads((await asyncio.to_thread(gridledger, "status", "--dir", folder, "--json")).stdout)
    assert set(state["nodes"]) >= orderers
    async with network.gateway("peer1") as gateway:
        contract = gateway.get_network(CHANNEL).get_contract("kv")
        assert (await contract.submit_with_status("put", "after-all", 1))[1].code.name == "VALID"

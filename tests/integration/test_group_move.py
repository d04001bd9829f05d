"""A group moves to another channel of a real network while the feeder streams, told by the command."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gridledger.cli import main
from tests.support.local_network import LocalNetwork
from tests.support.processes import REPOSITORY

RATE, SECONDS = 8, 16
FRAMES = RATE * SECONDS

pytestmark = [pytest.mark.integration, pytest.mark.deep, pytest.mark.timeout(300)]


async def ask(network: LocalNetwork, peer: str, channel: str, function: str, **argument: Any) -> Any:
    """A query of group 1, at a peer of the channel."""
    async with network.gateway(peer) as gateway:
        contract = gateway.get_network(channel).get_contract("dvs")
        return await contract.evaluate_transaction(function, {"group": "1", **argument})


async def times_on(network: LocalNetwork, peer: str, channel: str, begun: int) -> list[int]:
    """The times of the frames of group 1 that a channel has taken since ``begun``."""
    found = await ask(network, peer, channel, "GetVSI", **{"from": begun, "to": 2**53 - 2, "limit": 1000})
    return [item["time"] for item in found["items"]]


def move(network: LocalNetwork, channel: str) -> int:
    return main(["dvs", "move-group", "1", channel, "--dir", str(network.folder.root)])


async def test_a_group_moves_while_frames_go_on(network: LocalNetwork, tmp_path: Path) -> None:
    """A load is raised after a quarter of the time: the injection and the move come while the frames stream."""
    report, folder, begun = tmp_path / "report.json", network.folder.root, time.time_ns() // 1000
    arguments = ("--scenario", "1a", "--rate", str(RATE), "--seconds", str(SECONDS), "--report", str(report))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.feeder", *arguments, "--dir", str(folder)),
        cwd=REPOSITORY,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    lines: list[str] = []
    try:
        async with asyncio.timeout(120):
            while not lines or "frames sent" not in lines[-1]:
                lines.append((await process.stdout.readline()).decode())
                assert lines[-1], lines
            assert await asyncio.to_thread(move, network, "shard2") == 0
            output = "".join(lines) + (await process.communicate())[0].decode()
    finally:
        if process.returncode is None:
            process.kill()
        assert await asyncio.to_thread(move, network, "shard1") == 0
    assert process.returncode == 0, output
    found = json.loads(report.read_bytes())
    assert found["all"]["faults"] == {}, output
    assert found["all"]["sent"] == found["all"]["valid"] + found["all"]["superseded"]
    assert {group: found["groups"][group]["sent"] for group in ("2", "3")} == {"2": FRAMES, "3": FRAMES}
    missed = found["not_sent_while_moved"]
    assert missed.keys() <= {"1"}
    assert found["groups"]["1"]["sent"] + missed.get("1", 0) == FRAMES
    assert [(item["group"], item["from"], item["to"]) for item in found["moves"]] == [("1", "shard1", "shard2")]
    assert found["longest_gap_s"]["1"] < 10, output
    assert [injection["group"] for injection in found["injections"]] == ["1"]
    vvc = found["vvc_pu"]
    assert vvc["left"] + vvc["injected"] == pytest.approx(vvc["before"], abs=1e-9)
    assert not any((await ask(network, "peer1", "shard1", "GetResources"))["vvc"].values())
    assert sum((await ask(network, "peer3", "shard2", "GetResources"))["vvc"].values()) == pytest.approx(
        found["moves"][0]["vvc_pu"], abs=vvc["injected"] + 1e-9
    )
    after = await times_on(network, "peer3", "shard2", begun)
    before = await times_on(network, "peer1", "shard1", begun)
    assert len(after) > 1
    assert max(before) < min(after)

"""The whole network goes down and comes up again: nothing is lost, and it does not take longer for what it has seen."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from gridledger.network.schema import NetworkConfig
from tests.support.local_network import LocalNetwork, local_network
from tests.support.network_configs import CHANNEL, few_nodes, three_shards
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration
CHANNELS = ("mainchain", "shard1", "shard2", "shard3")
MANY = 2000
COMMITTER = "services.peer.committer"


@pytest.fixture(scope="module")
def config() -> NetworkConfig:
    """Every other peer has a committer for each channel."""
    described = three_shards(dict.fromkeys(CHANNELS, "OutOf(2, all)")).model_dump(mode="json")
    for peer in described["peers"][::2]:
        peer["settings"] = {"committer": {"processes": "per-channel"}}
    return NetworkConfig.model_validate(described)


async def _put_many(network: LocalNetwork, channel: str, first: int, last: int) -> None:
    """Put keys, fifty at a time, each 1 KB."""
    peer = network.profile.channels[channel].peers[0]
    numbers = iter(range(first, last))
    async with network.gateway(peer, max_connections=50) as gateway:
        contract = gateway.get_network(channel).get_contract("kv")

        async def work() -> None:
            for number in numbers:
                await contract.submit_transaction("put", f"key-{number}", {"n": number, "pad": "x" * 1000})

        await asyncio.gather(*(work() for _ in range(50)))


async def _picture(network: LocalNetwork) -> dict[str, Any]:
    """All that a ledger says of itself, on every peer."""
    picture: dict[str, Any] = {}
    for channel, entry in network.profile.channels.items():
        picture[channel] = await network.agree(channel)
        for peer in entry.peers:
            async with network.gateway(peer) as gateway:
                seen = gateway.get_network(channel)
                kv = seen.get_contract("kv")
                info = await seen.get_chain_info()
                block = await seen.get_block(info.height - 1)
                picture[f"{channel} {peer}"] = (
                    info,
                    block.header.hash,
                    await seen.get_history("kv", "counter"),
                    await kv.evaluate_transaction("range", "", ""),
                    (await seen.get_config()).text,
                    sorted((await network.verdicts(peer, channel)).items())[:200],
                )
    return picture


@pytest.mark.deep
async def test_down_and_up_without_loss(config: NetworkConfig, tmp_path: Path) -> None:
    """Stopped cleanly, then killed as a whole while it worked; each time everything is as it was."""
    with local_network(config, tmp_path) as network:
        for channel in CHANNELS:
            await _put_many(network, channel, 0, 20)
            async with network.gateway(network.profile.channels[channel].peers[-1]) as gateway:
                contract = gateway.get_network(channel).get_contract("kv")
                for amount in (1, 10, 100):
                    await contract.submit_transaction("add", "counter", amount)
        before = await _picture(network)
        assert [len(network.children(name, COMMITTER)) for name in ("peer1", "peer2")] == [2, 1]
    for name in (*network.profile.orderers, *network.profile.peers, "ca"):
        assert "Traceback" not in network.log(name)
    with local_network(config, tmp_path) as network:
        assert await _picture(network) == before
        acknowledged: list[int] = []
        async with network.gateway("peer1") as gateway:
            contract = gateway.get_network("mainchain").get_contract("kv")

            async def work(number: int) -> None:
                while True:
                    number += 20
                    await contract.submit_transaction("put", f"late-{number}", number)
                    acknowledged.append(number)

            working = [asyncio.create_task(work(number)) for number in range(20)]
            await eventually(lambda: _length(acknowledged, 100), within_s=20, what="100 transactions")
            # As when the machine loses its power, but for what the kernel still holds.
            for name in (*network.profile.orderers, *network.profile.peers, "ca"):
                os.kill(network.pid(name), signal.SIGKILL)
            results = await asyncio.gather(*working, return_exceptions=True)
        assert all(isinstance(result, Exception) for result in results)
    with local_network(config, tmp_path) as network:
        for channel in CHANNELS:
            await network.agree(channel)
        async with network.gateway("peer6") as gateway:
            contract = gateway.get_network("mainchain").get_contract("kv")
            found = [await contract.evaluate_transaction("get", f"late-{number}") for number in acknowledged]
            assert found == acknowledged
            assert await contract.submit_transaction("add", "counter", 1000) == 1111


async def _length(items: list[int], wanted: int) -> bool:
    return len(items) >= wanted


@pytest.mark.deep
async def test_start_time_does_not_grow(tmp_path: Path) -> None:
    """A start with 2000 transactions on the chain takes no longer than one with none, but for the machine's moods."""
    small, folders = few_nodes(), {"empty": tmp_path / "empty", "full": tmp_path / "full"}
    with local_network(small, folders["empty"]):
        pass
    with local_network(small, folders["full"]) as network:
        await _put_many(network, CHANNEL, 0, MANY)
        before = await network.agree(CHANNEL)
    starts: list[tuple[float, float]] = []
    # Both are started one after the other, so that what else the machine does meets both. A start that has grown is
    # slow each time; one that other work held up is not.
    while len(starts) < 3 and not any(_as_quick(*pair) for pair in starts):
        with local_network(small, folders["empty"]) as network:
            empty_s = network.ready_s
        with local_network(small, folders["full"]) as network:
            starts.append((empty_s, network.ready_s))
            assert await network.agree(CHANNEL) == before
    print(f"starts with an empty ledger and with {MANY} transactions, in s: {starts}")
    assert any(_as_quick(*pair) for pair in starts)


def _as_quick(empty_s: float, full_s: float) -> bool:
    return full_s < empty_s * 1.3 + 1.0

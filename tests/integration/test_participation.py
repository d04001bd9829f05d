"""A channel is made on a running network: nodes join it, transact, are restarted, and leave it again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridledger.client.participation import join_channel, leave_channel, list_channels
from gridledger.client.queries import read_config, read_config_block
from gridledger.errors import ConflictError, PermissionDeniedError
from gridledger.protocol import Block, ConfigUpdate
from gridledger.protocol.block import ZERO_HASH
from gridledger.protocol.config import ChannelConfig
from tests.support.forgery import now_us
from tests.support.local_network import LocalNetwork, local_network
from tests.support.network_configs import CHANNEL, few_nodes
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration

SECOND = "shard2"
ORDERERS = ("orderer1", "orderer2", "orderer3")


@pytest.fixture
def network(tmp_path: Path) -> Iterator[LocalNetwork]:
    with local_network(few_nodes(orderers=3, peers=2, endorsers=1), tmp_path) as network:
        yield network


async def config_of(network: LocalNetwork, channel: str) -> ChannelConfig:
    async with network.node("peer1") as node:
        return await read_config(node, channel)


def genesis_of(config: ChannelConfig) -> Block:
    envelope = ConfigUpdate.build(config).to_bytes()
    return Block.build(
        channel=config.channel, number=0, previous_hash=ZERO_HASH, timestamp_us=now_us(), envelopes=[envelope]
    )


async def told(network: LocalNetwork, name: str) -> dict[str, Any]:
    """What a node tells of the second channel; empty where it is not on it."""
    async with network.node(name) as node:
        return next((item for item in await list_channels(node) if item["name"] == SECOND), {})


async def join(network: LocalNetwork, name: str, genesis: Block) -> dict[str, Any]:
    async with network.node(name) as node:
        return await join_channel(node, genesis)


async def put(
    network: LocalNetwork, channel: str, key: str, peer: str = "peer1", by: Sequence[str] | None = None
) -> None:
    """A transaction through a peer's gateway, endorsed ``by`` these organisations."""
    async with network.gateway(peer) as gateway:
        contract = gateway.get_network(channel).get_contract("kv")
        _, status = await contract.submit_with_status("put", key, 1, endorsing_organisations=by)
        assert status.code.name == "VALID"


async def submit(network: LocalNetwork, following: ChannelConfig) -> None:
    """Change the second channel's orderers."""
    update = ConfigUpdate.build(following, [network.admin("Orderer")], time_us=now_us())
    async with network.node("peer1") as node:
        await node.post("/gateway/submit", update.to_bytes())


async def heights(network: LocalNetwork, *names: str) -> int:
    """The height that these nodes agree on."""

    async def equal() -> int:
        found = {(await network.status(name, SECOND))["height"] for name in names}
        return found.pop() if len(found) == 1 else 0

    return await eventually(equal, within_s=20, what=f"equal heights of {', '.join(names)}")


@pytest.mark.deep
async def test_a_channel_is_made_and_left_while_the_network_runs(network: LocalNetwork) -> None:
    config = replace(await config_of(network, CHANNEL), channel=SECOND, sequence=0)
    genesis = genesis_of(config)
    async with network.node("orderer1", network.admin("Org1")) as node:
        with pytest.raises(PermissionDeniedError):
            await join_channel(node, genesis)
    for name in ("orderer1", "orderer2", "peer1", "peer2"):
        assert (await join(network, name, genesis))["status"] == "active"
    await put(network, SECOND, "a", by=("Org1MSP", "Org2MSP"))
    assert (await join(network, "orderer3", genesis))["consensusRelation"] == "consenter"
    await heights(network, *ORDERERS, "peer1", "peer2")

    for name in (*ORDERERS, "peer1", "peer2"):
        await network.stop(name)
        await network.start(name)
    await network.leader(SECOND)
    await put(network, SECOND, "b", "peer2", by=("Org1MSP", "Org2MSP"))
    assert await heights(network, *ORDERERS, "peer1", "peer2") == 3

    async with network.node("peer2") as node:
        await leave_channel(node, SECOND)
    assert await told(network, "peer2") == {}
    await put(network, CHANNEL, "c", "peer2")
    await put(network, SECOND, "d")

    async with network.node("orderer3") as node:
        with pytest.raises(ConflictError, match="still has the orderer orderer3"):
            await leave_channel(node, SECOND)
    remaining = {name: item for name, item in config.orderers.items() if name != "orderer3"}
    following = replace(
        config, sequence=1, orderers=remaining, departing_orderers={"orderer3": config.orderers["orderer3"]}
    )
    await submit(network, following)

    async def left() -> bool:
        async with network.node("orderer3") as node:
            try:
                await leave_channel(node, SECOND)
            except ConflictError:
                return False
        return True

    await eventually(left, within_s=30, what="Raft has removed orderer3")
    await network.stop("orderer3")
    await network.start("orderer3")
    assert await told(network, "orderer3") == {}
    await put(network, SECOND, "e")
    assert (await network.status("orderer1", SECOND))["voters"] == ["orderer1", "orderer2"]
    await put(network, CHANNEL, "f", "peer2")

    # Both back, by the newest config block, to which the chain leads; the orderer under another Raft name.
    await submit(network, replace(config, sequence=2))
    async with network.node("peer1") as node:
        newest = await read_config_block(node, SECOND)
    async with network.node("orderer3") as node:
        assert (await join_channel(node, genesis, newest))["consensusRelation"] == "consenter"

    async def votes() -> bool:
        return bool((await told(network, "orderer3"))["status"] == "active")

    await eventually(votes, within_s=30, what="orderer3 votes again")
    voters = (await network.status("orderer1", SECOND))["voters"]
    assert [name.partition("#")[0] for name in voters] == list(ORDERERS)
    assert "orderer3" not in voters
    async with network.node("peer2") as node:
        assert (await join_channel(node, genesis, newest))["status"] == "active"
    await heights(network, *ORDERERS, "peer1", "peer2")
    await put(network, SECOND, "g", by=("Org1MSP", "Org2MSP"))

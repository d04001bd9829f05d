"""Orderers as real processes whose disks have changed what they hold."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gridledger import framing
from gridledger.errors import GridLedgerError
from gridledger.identity.signer import SigningIdentity
from gridledger.protocol import Block, HeaderSignature
from services.orderer.block_store import BlockStore
from tests.support.local_network import LocalNetwork, local_network
from tests.support.network_configs import CHANNEL, few_nodes
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration


@pytest.fixture
def network(tmp_path: Path) -> Iterator[LocalNetwork]:
    settings = {"checks": {"compare_s": 0.3, "scrub_bytes_per_s": 1_000_000}}
    with local_network(few_nodes(orderers=3, orderer_settings=settings), tmp_path) as running:
        yield running


async def put(network: LocalNetwork, value: int) -> None:
    async with network.gateway("peer1") as gateway:
        await gateway.get_network(CHANNEL).get_contract("kv").submit_transaction("put", "k", value)


async def follower(network: LocalNetwork) -> str:
    leader = await network.leader(CHANNEL)
    return min(name for name in network.profile.orderers if name != leader)


async def first_block(network: LocalNetwork, name: str, number: int) -> bytes:
    async with network.node(name, await network.client("Org1")) as node:
        params = {"from": str(number), "count": "1"}
        return await anext(node.frames(f"/channels/{CHANNEL}/deliver", params=params))


def fork(folder: Path, signer: SigningIdentity, at: int) -> None:
    """Write a store anew with another block ``at``, and those behind it that follow; correctly signed and synced."""
    blocks = folder / "blocks" / CHANNEL
    old = BlockStore.open(blocks)
    records = [old.record(number) for number in range(old.height)]
    old.close()
    shutil.rmtree(blocks)
    new = BlockStore.open(blocks)
    for record in records:
        block = Block.from_bytes(framing.unpack(record.payload, max_frames=2)[0])
        if record.number >= at and new.last_header is not None:
            block = Block.build(
                channel=CHANNEL,
                number=record.number,
                previous_hash=new.last_header.hash,
                timestamp_us=block.header.timestamp_us,
                envelopes=[b"forged"] if record.number == at else block.envelopes,
            )
        signature = HeaderSignature(signer.fingerprint, signer.sign(block.header.text.encode())).to_bytes()
        new.append(
            block.header,
            block.to_bytes(),
            signature,
            raft_index=record.raft_index,
            config_block=record.config_block,
        )
    new.sync()
    new.close()


async def test_a_forked_orderer_stops_its_channel_and_the_others_go_on(network: LocalNetwork) -> None:
    for value in range(4):
        await put(network, value)
    forked = await follower(network)
    assert await network.stop(forked) == 0
    home = network.folder.node(forked)
    fork(home / "data", SigningIdentity.load(home / "msp"), at=2)
    await network.start(forked, wait=False)

    async def stopped() -> dict[str, Any] | None:
        status = await network.status(forked, CHANNEL)
        return status if status["broken"] else None

    status = await eventually(stopped, within_s=30, what="the fork is found", ignore=(GridLedgerError,))
    assert status is not None
    assert "is another one than a majority of the orderers holds" in status["broken"]
    with pytest.raises(GridLedgerError, match="has stopped on this orderer"):
        await first_block(network, forked, 0)
    await put(network, 9)


async def test_a_rotten_block_is_named_and_not_served(network: LocalNetwork) -> None:
    for value in range(4):
        await put(network, value)
    name = await follower(network)
    assert await network.stop(name) == 0
    path = network.folder.node(name) / "data" / "blocks" / CHANNEL / "blocks.dat"
    data = bytearray(path.read_bytes())
    data[data.index(b'"number":2,')] ^= 1
    path.write_bytes(data)
    await network.start(name)

    async def named() -> bool:
        return (await network.status(name, CHANNEL))["damaged_blocks"] == [2]

    await eventually(named, within_s=30, what="the rotten block is named")
    with pytest.raises(GridLedgerError):
        await first_block(network, name, 2)
    assert f"block 2 in {path.parent} is damaged" in network.log(name)
    await put(network, 9)

"""Who belongs to an organisation that observes a channel: it reads and evaluates at a peer, and does nothing else."""

from __future__ import annotations

import pytest

from gridledger.client.errors import EndorseError
from gridledger.client.node_status import read_node_status
from gridledger.errors import GridLedgerError, PermissionDeniedError
from gridledger.protocol import acls
from gridledger.transport.node_client import NodeClient
from tests.support.forgery import CHANNEL, Forger
from tests.support.local_network import LocalNetwork

pytestmark = pytest.mark.integration


async def test_an_observer_reads_evaluates_and_follows_events(network: LocalNetwork) -> None:
    operator = await network.client("ControlRoom", "operator")
    async with network.gateway("peer1") as gateway, network.gateway("peer2", operator) as observing:
        contract = gateway.get_network(CHANNEL).get_contract("kv")
        _, status = await contract.submit_with_status("announce", "observed", 4)
        channel = observing.get_network(CHANNEL)
        assert (await channel.get_status(status.tx_id, wait_s=10)).code.name == "VALID"
        assert await channel.get_contract("kv").evaluate_transaction("get", "observed") == 4
        assert [entry.value for entry in await channel.get_history("kv", "observed")] == [4]
        assert (await channel.get_block(status.block)).header.number == status.block
        assert (await channel.get_transaction(status.tx_id)).block == status.block
        assert (await channel.get_chain_info()).height > status.block
        assert "ControlRoomMSP" in (await channel.get_config()).organisations
        async for block in channel.block_events(start_block=status.block):
            assert block.number == status.block
            break
        async for full in channel.full_block_events(start_block=status.block):
            assert full.event.number == status.block
            break
        async for event in channel.chaincode_events("kv", start_block=status.block):
            assert event.tx_id == status.tx_id
            break


async def test_an_observer_neither_writes_nor_reads_at_orderers(network: LocalNetwork) -> None:
    operator = await network.client("ControlRoom", "operator")
    async with network.gateway("peer1", operator) as observing, network.gateway("peer1") as gateway:
        contract = observing.get_network(CHANNEL).get_contract("kv")
        with pytest.raises(EndorseError, match=f"may not use {acls.PROPOSE} on {CHANNEL}") as refused:
            await contract.submit_transaction("put", "observed", 5)
        assert refused.value.code == "PERMISSION_DENIED"
        # An endorsed transaction of its own, as a peer in league with it would bring it.
        forger = await Forger.at(network, gateway)
        envelope = (await forger.endorsed("put", "observed", 6)).to_bytes()
        with pytest.raises(PermissionDeniedError, match=f"may not use {acls.SUBMIT}"):
            await observing.node.post("/gateway/submit", envelope)
        entry = network.entry(await network.leader(CHANNEL))
        async with NodeClient(entry.url, operator, network.roots) as orderer:
            with pytest.raises(PermissionDeniedError, match=f"may not use {acls.BROADCAST}"):
                await orderer.post(f"/channels/{CHANNEL}/broadcast", b"")
            for path in (f"/channels/{CHANNEL}", f"/channels/{CHANNEL}/deliver", f"/channels/{CHANNEL}/blocks/0/hash"):
                with pytest.raises(PermissionDeniedError, match=f"may not use {acls.DELIVER}"):
                    await orderer.get(path)
            status = await read_node_status(orderer)
            there = status.channels[CHANNEL]
            assert (there.leader, there.queued, there.commit_hash) == (status.node, None, None)
            assert there.height > 0
            assert there.term is not None
            with pytest.raises(GridLedgerError):
                await orderer.get("/metrics")

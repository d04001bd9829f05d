"""Peers at work: what they tell of themselves, chaincode that arrives, endorsers that differ, clients that leave."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from gridledger import jsontext
from gridledger.client.errors import EndorseError
from gridledger.contract import packaging
from gridledger.errors import GridLedgerError
from gridledger.protocol.config import ChaincodeDefinition
from gridledger.protocol.config_update import ConfigUpdate
from tests.support.forgery import now_us
from tests.support.local_network import LocalNetwork
from tests.support.processes import REPOSITORY
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration
CHANNEL = "shard3"
PEERS = ("peer5", "peer6")


async def test_a_peer_tells_of_its_blocks_its_state_and_itself(network: LocalNetwork) -> None:
    async with network.gateway("peer5") as gateway, network.node("peer6") as other:
        contract = gateway.get_network(CHANNEL).get_contract("kv")
        _, status = await contract.submit_with_status("add", "peer-told", 3)
        height, _ = await network.agree(CHANNEL)
        block = await other.get_json(f"/channels/{CHANNEL}/blocks/{status.block}")
        (told,) = [item for item in block["transactions"] if item["tx_id"] == status.tx_id]
        assert (told["proposal"]["function"], told["code_name"]) == ("add", "VALID")
        state = (await other.get_json("/status"))["channels"][CHANNEL]
        assert state["height"] == height
        assert state["orderer"] in network.profile.orderers
        metrics = (await other.get("/metrics")).decode()
        assert f'gridledger_peer_height_blocks{{channel="{CHANNEL}"}} {height:.1f}' in metrics
        assert (await other.get_json("/version"))["service"] == "peer"


async def test_clients_that_leave_leave_nothing_behind(network: LocalNetwork) -> None:
    path = f"/channels/{CHANNEL}/transactions/{'0' * 64}/status?wait_s=30"
    async with network.node("peer5") as node:

        async def waiters(wanted: int) -> bool:
            return bool((await node.get_json("/status"))["commit_waiters"] == wanted)

        async with network.node("peer5", await network.client("Org5")) as leaving:
            asking = [asyncio.create_task(leaving.get(path)) for _ in range(20)]
            await eventually(lambda: waiters(20), within_s=10, what="20 waiters")
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
        await eventually(lambda: waiters(0), within_s=10, what="no waiters")


async def test_chaincode_arrives_by_a_config_and_then_its_package(network: LocalNetwork, tmp_path: Path) -> None:
    """A definition holds from the next block on, without a restart; it serves where its package is installed."""
    folder = tmp_path / "store"
    folder.mkdir()
    source = (REPOSITORY / "chaincode" / "kv" / "contract.py").read_text()
    (folder / "contract.py").write_text(f"{source}\n# under another name\n")
    package = packaging.pack(folder)
    package_id = packaging.package_id(package)
    async with network.gateway("peer5") as gateway:
        config = await gateway.get_network(CHANNEL).get_config()
        store = ChaincodeDefinition("store", 1, "1.0", package_id, "OutOf(2, all)")
        following = replace(config, sequence=config.sequence + 1, chaincodes={**config.chaincodes, "store": store})
        update = ConfigUpdate.build(following, [network.admin("Org5"), network.admin("Org6")], time_us=now_us())
        async with network.node("peer5", await network.client("Org5")) as node:
            assert jsontext.loads(await node.post("/gateway/submit", update.to_bytes()))["code_name"] == "VALID"
        await network.agree(CHANNEL)

        contract = gateway.get_network(CHANNEL).get_contract("store")
        with pytest.raises(EndorseError) as caught:
            await contract.submit_transaction("put", "k", 1)
        assert caught.value.code == "ENDORSERS_UNAVAILABLE"
        assert {name: text.partition(":")[0] for name, text in caught.value.details["peers"].items()} == dict.fromkeys(
            PEERS, "CHAINCODE_NOT_INSTALLED"
        )

        async with network.node("peer5", network.admin("Org6")) as other_organisation:
            with pytest.raises(GridLedgerError) as refused:
                await other_organisation.post("/packages", package)
            assert refused.value.code == "PERMISSION_DENIED"
        for name in PEERS:
            async with network.node(name) as admin:
                assert jsontext.loads(await admin.post("/packages", package)) == {"id": package_id}
                listed = await admin.get_json("/packages")
                assert package_id in [item["id"] for item in listed["packages"]]

        async def works() -> bool:
            return bool(await contract.submit_transaction("add", "store-sum", 1))

        await eventually(works, within_s=20, what="the chaincode works", ignore=(EndorseError,))
    await network.agree(CHANNEL)


async def test_endorsers_one_block_apart_are_settled(network: LocalNetwork) -> None:
    """Everybody adds to the same few numbers: endorsers keep seeing different versions, and clients never notice."""
    async with network.gateway("peer5") as one, network.gateway("peer6") as other:
        contracts = [gateway.get_network(CHANNEL).get_contract("kv") for gateway in (one, other)]
        codes: Counter[str] = Counter()

        async def add(number: int) -> None:
            for _ in range(15):
                try:
                    await contracts[number % 2].submit_transaction("add", f"peer-sum{number % 3}", 1)
                    codes["VALID"] += 1
                except GridLedgerError as error:
                    codes[error.code] += 1

        await asyncio.gather(*(add(number) for number in range(8)))
        assert set(codes) == {"VALID", "MVCC_READ_CONFLICT"}
        sums = [await contracts[0].evaluate_transaction("get", f"peer-sum{number}") for number in range(3)]
        assert sum(sums) == codes["VALID"]
        await network.agree(CHANNEL)

"""Peers as real processes: the whole way of a transaction, queries, events, refusals at the edge."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gridledger import jsontext
from gridledger.client.connection import Timeouts
from gridledger.client.errors import EndorseError
from gridledger.client.gateway import Gateway
from gridledger.errors import GridLedgerError
from gridledger.protocol.codes import TxValidationCode as Code
from gridledger.protocol.config_update import ConfigUpdate
from gridledger.protocol.proposal import Proposal, SignedProposal
from gridledger.transport.node_client import ConnectionFailed, NodeClient
from tests.support import peer_world as world
from tests.support.processes import children_of
from tests.support.small_network import CHANNEL, SmallNetwork, running
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration


def contract_of(gateway: Gateway):  # type: ignore[no-untyped-def]
    return gateway.get_network(CHANNEL).get_contract("kv")


async def refused(node: NodeClient, path: str, body: bytes) -> GridLedgerError:
    with pytest.raises(GridLedgerError) as caught:
        await node.post(path, body)
    return caught.value


async def test_transaction_queries_and_events(tmp_path: Path) -> None:
    async with running(tmp_path) as network, network.gateway() as gateway, network.node("peer2") as other:
        contract = contract_of(gateway)
        net = gateway.get_network(CHANNEL)
        assert await contract.submit_transaction("add", "k", 2) == 2
        payload, status = await contract.submit_with_status("add", "k", 3)
        assert (payload, status.code) == (5, Code.VALID)
        assert await contract.evaluate_transaction("get", "k") == 5
        await contract.submit_transaction("announce", "e", [1, 2])

        # A refusal carries every endorser's message.
        with pytest.raises(EndorseError) as caught:
            await contract.submit_transaction("add", "k", "three")
        assert caught.value.code == "CHAINCODE_REFUSED"
        assert caught.value.details["endorsers"] == {
            "peer1": "amount must be an integer",
            "peer2": "amount must be an integer",
        }

        # Chain info, blocks, transactions with proof, history, status: the same at both peers.
        height, commit_hash = await network.agree()
        info = await net.get_chain_info()
        assert (info.height, info.commit_hash) == (height, commit_hash)
        block = await net.get_block(info.height - 1)
        assert block.header.hash == info.last_hash
        proved = await net.get_transaction(status.tx_id)
        assert (proved.block, proved.code) == (status.block, Code.VALID)
        assert [item.value for item in await net.get_history("kv", "k")] == [5, 2]
        assert (await net.get_status(status.tx_id)).commit_hash == status.commit_hash
        shown = await other.get_json(f"/channels/{CHANNEL}/blocks/{status.block}")
        assert shown["transactions"][0]["proposal"]["function"] == "add"
        assert shown["transactions"][0]["code_name"] == "VALID"

        # Events, from the first block and resumed from a later one.
        event = await anext(net.chaincode_events("kv", start_block=0, name="Put"))
        assert (event.payload, event.name) == ({"key": "e", "value": [1, 2]}, "Put")
        blocks = net.block_events(start_block=1)
        assert [(await anext(blocks)).number for _ in range(height - 1)] == list(range(1, height))

        # What the peer says of itself.
        state = await other.get_json("/status")
        assert state["channels"][CHANNEL]["height"] == height
        assert state["channels"][CHANNEL]["orderer"] in network.orderers
        metrics = (await other.get("/metrics")).decode()
        assert f'gridledger_peer_height_blocks{{channel="{CHANNEL}"}} {height:.1f}' in metrics
        assert (await other.get_json("/version"))["service"] == "peer"


def _tampered(signed: SignedProposal) -> bytes:
    changed = Proposal.parse(signed.proposal.text.replace('"put"', '"add"'))
    return SignedProposal(changed, signed.signature).to_bytes()


async def test_refusals_at_the_edge(tmp_path: Path) -> None:
    async with running(tmp_path) as network, network.node("peer1") as node:
        now = int(world.now_us())
        fresh = world.proposal("k", 1, time_us=now)
        table = [
            ("/gateway/endorse", b"{", 400, "MALFORMED_JSON"),
            ("/gateway/endorse", b"{}", 400, "MALFORMED_MESSAGE"),
            ("/gateway/endorse", _tampered(fresh), 401, "BAD_CREATOR_SIGNATURE"),
            ("/gateway/endorse", world.proposal("k", time_us=now - 400_000_000).to_bytes(), 400, "PROPOSAL_STALE"),
            ("/gateway/endorse", world.proposal("k", time_us=now, channel="x").to_bytes(), 404, "CHANNEL_UNKNOWN"),
            ("/gateway/endorse", world.proposal("k", time_us=now, chaincode="x").to_bytes(), 404, "CHAINCODE_UNKNOWN"),
            ("/gateway/endorse", world.proposal("k", time_us=now, sequence=9).to_bytes(), 409, "CHAINCODE_SEQUENCE"),
            ("/gateway/submit", b"[]", 400, "MALFORMED_MESSAGE"),
            ("/gateway/submit?wait=never", b"[]", 400, "BAD_REQUEST"),
            ("/gateway/endorse", b"x" * 20_000_000, 413, "BODY_TOO_LARGE"),
            ("/packages", b"x", 403, "PERMISSION_DENIED"),
        ]
        for path, body, status, code in table:
            error = await refused(node, path, body)
            assert (path, error.status, error.code) == (path, status, code)
        for path, status, code in [
            (f"/channels/{CHANNEL}/blocks/99", 404, "BLOCK_NOT_FOUND"),
            (f"/channels/{CHANNEL}/blocks/x", 400, "BAD_REQUEST"),
            (f"/channels/{CHANNEL}/transactions/{'0' * 64}", 404, "TRANSACTION_NOT_FOUND"),
            (f"/channels/{CHANNEL}/transactions/{'0' * 64}/status", 404, "TRANSACTION_NOT_FOUND"),
            (f"/channels/{CHANNEL}/transactions/{'0' * 64}/status?wait_s=0.1", 504, "TIMEOUT"),
            (f"/channels/{CHANNEL}/history/kv", 400, "BAD_REQUEST"),
            ("/channels/none", 404, "CHANNEL_UNKNOWN"),
        ]:
            with pytest.raises(GridLedgerError) as caught:
                await node.get(path)
            assert (path, caught.value.status, caught.value.code) == (path, status, code)

        # Nobody without a certificate, and none of another network's.
        async with NodeClient(network.url("peer1"), None, network.roots) as nobody:
            assert (await refused(nobody, "/gateway/endorse", fresh.to_bytes())).code == "CLIENT_CERTIFICATE_REQUIRED"
        stranger = world.Org("Org1MSP").issue("client1", "client")
        async with NodeClient(network.url("peer1"), stranger, network.roots) as foreign:
            with pytest.raises(ConnectionFailed):
                await foreign.get("/channels")

        # A transaction that is on the ledger is not endorsed again, and its verdict is told again.
        async with network.gateway() as gateway:
            proposal = await contract_of(gateway).new_proposal("put", "once", 1)
            transaction = await proposal.endorse()
            first = await transaction.submit_and_wait()
            assert await transaction.submit_and_wait() == first
            again = await refused(node, "/gateway/endorse", proposal.to_bytes())
            assert (again.status, again.code) == (409, "DUPLICATE_TXID")


async def test_client_that_leaves_leaves_nothing_behind(tmp_path: Path) -> None:
    async with running(tmp_path) as network, network.node("peer1") as node:
        path = f"/channels/{CHANNEL}/transactions/{'0' * 64}/status?wait_s=30"
        async with NodeClient(network.url("peer1"), world.client(), network.roots) as leaving:
            asking = [asyncio.create_task(leaving.get(path)) for _ in range(20)]

            async def waiters(wanted: int) -> bool:
                return bool((await node.get_json("/status"))["commit_waiters"] == wanted)

            await eventually(lambda: waiters(20), within_s=10, what="20 waiters")
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
        await eventually(lambda: waiters(0), within_s=10, what="no waiters")


async def test_chaincode_arrives_by_config_and_package(tmp_path: Path) -> None:
    async with running(tmp_path, without=["peer1", "peer2"]) as network, network.gateway() as gateway:
        with pytest.raises(EndorseError) as caught:
            await contract_of(gateway).submit_transaction("put", "k", 1)
        assert caught.value.code == "ENDORSERS_UNAVAILABLE"
        for name in network.peers:
            assert caught.value.details["peers"][name].startswith("CHAINCODE_NOT_INSTALLED")

        for number in (1, 2):
            async with network.node(f"peer{number}", world.admin(number)) as admin:
                assert jsontext.loads(await admin.post("/packages", network.package)) == {"id": network.package_id}
                listed = await admin.get_json("/packages")
                assert [item["id"] for item in listed["packages"]] == [network.package_id]
        async with network.node("peer1", world.admin(2)) as other_org:
            assert (await refused(other_org, "/packages", network.package)).code == "PERMISSION_DENIED"

        async def works() -> bool:
            await contract_of(gateway).submit_transaction("put", "k", 1)
            return True

        await eventually(works, within_s=20, what="kv works", ignore=(EndorseError,))

        # A second name for it by a config update: holds from the next block on, without a restart.
        definition = replace(network.config.chaincodes["kv"], name="store", policy="OR('Org1MSP.peer')")
        following = replace(network.config, sequence=1, chaincodes={**network.config.chaincodes, "store": definition})
        update = ConfigUpdate.build(following, [world.admin(1), world.admin(2)])
        async with network.node("peer1") as node:
            answer = jsontext.loads(await node.post("/gateway/submit", update.to_bytes()))
            assert answer["code_name"] == "VALID"
        store = gateway.get_network(CHANNEL).get_contract("store")
        assert await store.submit_transaction("add", "k", 1) == 1
        await network.agree()


async def test_revocation_bites_on_open_connections(tmp_path: Path) -> None:
    leaver = world.org(1).issue("leaver", "client")
    async with running(tmp_path) as network, network.gateway(identity=leaver) as gateway:
        await contract_of(gateway).submit_transaction("put", "k", 1)
        stream = gateway.node.lines(f"/channels/{CHANNEL}/events/blocks", params={"from": "0"})
        assert await anext(stream)
        organisation = replace(network.config.organisations["Org1MSP"], crls=(world.org(1).crl(leaver),))
        organisations = {**network.config.organisations, "Org1MSP": organisation}
        following = replace(network.config, sequence=1, organisations=organisations)
        update = ConfigUpdate.build(following, [world.admin(1), world.admin(2)])
        async with network.node("peer1") as node:
            assert jsontext.loads(await node.post("/gateway/submit", update.to_bytes()))["code_name"] == "VALID"
        with pytest.raises(GridLedgerError) as caught:
            await gateway.node.get("/channels")
        assert (caught.value.status, caught.value.code) == (401, "CERTIFICATE_REVOKED")
        # The stream ends; how much of what was committed before still comes is not said.
        async with asyncio.timeout(10):
            with pytest.raises(GridLedgerError):
                await _read_to_the_end(stream)


async def test_peer_stops_when_its_committer_dies(tmp_path: Path) -> None:
    async with running(tmp_path) as network:
        process = network.processes["peer2"]
        os.kill(children_of(process.pid, "services.peer.committer")[0], signal.SIGKILL)

        async def ended() -> bool:
            return not process.running

        await eventually(ended, within_s=20, what="the peer ends")
        lines = [
            line for line in network.log("peer2").splitlines() if "was killed by signal 9; this peer stops" in line
        ]
        assert len([line for line in lines if line.startswith("{")]) == 1
        assert process.stop() == 1


async def test_clean_stop_and_restart_keep_everything(tmp_path: Path) -> None:
    async with running(tmp_path, committer={"processes": "per-channel"}) as network:
        async with network.gateway() as gateway:
            for number in range(5):
                await contract_of(gateway).submit_transaction("put", f"k{number}", number)
        before = await network.agree()
        for name in network.peers:
            assert network.processes[name].stop() == 0
            assert "Traceback" not in network.log(name)
            network.processes[name].start()
        await network.healthy(*network.peers)
        assert await network.agree() == before
        async with network.gateway() as gateway:
            assert await contract_of(gateway).evaluate_transaction("get", "k4") == 4
            await contract_of(gateway).submit_transaction("put", "more", 1)


async def _steady(network: SmallNetwork, rate: float, seconds: float, outcomes: dict[str, str]) -> None:
    """Put keys at a steady rate through peer1, noting what became of each: VALID or the error's code.

    While a leader is elected the gateway may be busy for a moment: the client follows its Retry-After.
    """
    loop = asyncio.get_running_loop()

    async def one(gateway: Gateway, key: str) -> None:
        try:
            await contract_of(gateway).submit_transaction("put", key, key)
            outcomes[key] = "VALID"
        except GridLedgerError as error:
            outcomes[key] = error.code

    async with network.gateway(timeouts=Timeouts(busy_s=10)) as gateway:
        start, tasks = loop.time(), []
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, start + number / rate - loop.time()))
            tasks.append(asyncio.create_task(one(gateway, f"{rate}-{number}")))
        await asyncio.gather(*tasks)


async def _value_of(network: SmallNetwork, name: str, key: str) -> object:
    async with network.gateway(name) as gateway:
        return await contract_of(gateway).evaluate_transaction("get", key)


async def test_killed_leader_loses_no_acknowledged_transaction(tmp_path: Path) -> None:
    async with running(tmp_path) as network:
        outcomes: dict[str, str] = {}
        load = asyncio.create_task(_steady(network, 40, 6, outcomes))
        await eventually(lambda: _count(outcomes, 40), within_s=20, what="load runs")
        async with network.node("orderer1") as node:
            leader = (await node.get_json("/status"))["channels"][CHANNEL]["leader"]
        network.processes[leader].kill()
        await load
        # The gateway retries until its deadline: an election is shorter than that.
        assert set(outcomes.values()) == {"VALID"}
        network.processes[leader].start()
        await network.agree()
        async with network.gateway("peer2") as gateway:
            contract = contract_of(gateway)
            values = await asyncio.gather(*(contract.evaluate_transaction("get", key) for key in outcomes))
        assert values == list(outcomes)


async def test_peer_that_is_killed_catches_up_and_others_stand_in(tmp_path: Path) -> None:
    async with running(tmp_path, peers=3, policy="OutOf(2, all)") as network:
        outcomes: dict[str, str] = {}
        load = asyncio.create_task(_steady(network, 30, 6, outcomes))
        await eventually(lambda: _count(outcomes, 30), within_s=20, what="load runs")
        network.processes["peer2"].kill()
        await eventually(lambda: _count(outcomes, 110), within_s=20, what="load goes on")
        network.processes["peer2"].start()
        await load
        # Of three peers two are enough: nobody noticed.
        assert set(outcomes.values()) == {"VALID"}
        await network.agree()
        assert await _value_of(network, "peer2", next(iter(outcomes))) == next(iter(outcomes))


async def test_endorsers_one_block_apart_are_settled(tmp_path: Path) -> None:
    """Everybody adds to the same few numbers: endorsers keep seeing different versions, and clients never notice."""
    async with running(tmp_path) as network, network.gateway() as one, network.gateway("peer2") as other:
        codes: list[str] = []

        async def add(number: int) -> None:
            contract = contract_of((one, other)[number % 2])
            for _ in range(15):
                try:
                    await contract.submit_transaction("add", f"sum{number % 3}", 1)
                    codes.append("VALID")
                except GridLedgerError as error:
                    codes.append(error.code)

        await asyncio.gather(*(add(number) for number in range(8)))
        assert set(codes) == {"VALID", "MVCC_READ_CONFLICT"}
        sums = [await contract_of(one).evaluate_transaction("get", f"sum{number}") for number in range(3)]
        assert sum(sums) == codes.count("VALID")
        await network.agree()


async def test_policy_that_cannot_be_met_is_told_soon(tmp_path: Path) -> None:
    async with running(tmp_path) as network, network.gateway() as gateway:
        network.processes["peer2"].kill()
        for _ in range(3):
            with pytest.raises(EndorseError) as caught:
                async with asyncio.timeout(6):
                    await contract_of(gateway).submit_transaction("put", "k", 1)
            assert (caught.value.status, caught.value.code) == (503, "ENDORSERS_UNAVAILABLE")
            assert caught.value.details["peers"]["peer2"].startswith("CONNECTION_FAILED")
        network.processes["peer2"].start()
        await network.healthy("peer2")

        async def works() -> bool:
            await contract_of(gateway).submit_transaction("put", "k", 1)
            return True

        await eventually(works, within_s=20, what="the policy is met again", ignore=(EndorseError,))


async def _read_to_the_end(stream: AsyncIterator[bytes]) -> None:
    async for _ in stream:
        pass


async def _count(outcomes: dict[str, str], wanted: int) -> bool:
    return len(outcomes) >= wanted

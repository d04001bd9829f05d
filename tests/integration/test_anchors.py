"""A shard's anchors on mainchain, with real processes: within bounds, and what becomes of a rewritten shard."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridledger.client import Contract
from gridledger.client.anchors import AnchorsLedger, is_anchored
from gridledger.errors import GridLedgerError
from gridledger.evidence.anchor import HeaderTree, leaf_hash
from gridledger.identity.signer import SigningIdentity
from gridledger.protocol.block import Block, BlockHeader
from gridledger.protocol.statements import Head
from services.anchor.ledger import anchors_ledger
from tests.support.anchor_network import (
    AGENTS,
    INTERVAL_S,
    MAINCHAIN,
    SHARD,
    agent_identity,
    anchor_description,
    ledger_folder,
    ordered_anew,
    page,
    put_in_place,
    rewritten,
    shard_state,
)
from tests.support.command import gridledger
from tests.support.local_network import LocalNetwork, local_network
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNetwork]:
    config = anchor_description()
    with local_network(config, tmp_path_factory.mktemp("anchors") / "network", config.companions) as network:
        yield network


async def put_some(contract: Contract, first: int, count: int) -> None:
    for number in range(first, first + count):
        await contract.submit_transaction("put", f"key{number % 7}", {"reading": number})


async def caught_up(network: LocalNetwork, agent: str = AGENTS[0]) -> dict[str, object]:
    """An agent's word once all that its peer has is anchored."""

    async def done() -> dict[str, object]:
        state = await shard_state(network, agent)
        height = (await network.status("peer1", SHARD))["height"]
        return state if state.get("size") == state.get("height") == height else {}

    return await eventually(done, within_s=30, what="the shard is anchored", ignore=(GridLedgerError,))


def command(network: LocalNetwork, *arguments: str) -> tuple[int, str]:
    done = gridledger("anchor", *arguments, "--dir", network.folder.root)
    return done.returncode, done.stdout + done.stderr


async def test_a_shard_is_anchored_within_bounds_under_load(network: LocalNetwork) -> None:
    await caught_up(network)
    lags = []
    async with network.gateway("peer1") as gateway:
        contract = gateway.get_network(SHARD).get_contract("kv")
        load = asyncio.create_task(put_some(contract, 0, 80))
        while not load.done():
            state = await shard_state(network, AGENTS[1])
            lags.append((state["lag_s"], state["lag_blocks"]))
            await asyncio.wait((load,), timeout=0.1)
        await load
    assert max(seconds for seconds, _ in lags) < 3 * INTERVAL_S
    state = await caught_up(network)
    assert (state["alarms"], state["forks"]) == ({}, 0)
    code, told = command(network, "status", "--user", "ControlRoom/admin", "--interval", "1")
    assert code == 0, told
    assert "Org1MSP" in told
    code, told = command(network, "verify", SHARD, "--user", "ControlRoom/admin")
    assert code == 0, told
    assert told.count("anchors agree") == 2
    asked = ("--chaincode", "anchors", "--json", "--user", "ControlRoom/admin", "--dir", network.folder.root)
    done = gridledger("events", MAINCHAIN, *asked)
    names = {json.loads(line)["name"] for line in done.stdout.splitlines()}
    assert "Cosigned" in names, (names, done.stderr)  # one transaction has what both agents signed


async def test_a_block_is_proved_to_be_under_an_anchor(network: LocalNetwork) -> None:
    await caught_up(network)
    async with anchors_ledger(network.profile, await network.client("Org3")) as ledger:
        anchor = await ledger.anchor(SHARD)
    async with network.gateway("peer1") as gateway:
        item = (await gateway.get_network(SHARD).get_headers(2, limit=1)).items[0]
    proof = await page(network, AGENTS[1], f"/channels/{SHARD}/proofs/2", size=str(anchor.size))
    path = [bytes.fromhex(each) for each in proof["path"]]
    assert is_anchored(item, path, anchor)
    assert not is_anchored(item, path[1:], anchor)


async def test_an_agent_goes_on_where_it_was_and_silence_is_an_alarm(network: LocalNetwork) -> None:
    await caught_up(network)
    await network.kill(AGENTS[1])
    async with network.gateway("peer1") as gateway:
        await put_some(gateway.get_network(SHARD).get_contract("kv"), 1000, 3)

    async def late() -> bool:
        return "late" in (await shard_state(network, AGENTS[0])).get("alarms", {})

    await eventually(late, within_s=20, what="silence is an alarm")
    code, told = command(network, "status", "--user", "ControlRoom/admin", "--interval", "1")
    assert code == 1
    assert "are not anchored" in told
    await network.start(AGENTS[1])
    state = await caught_up(network, AGENTS[1])
    assert state["alarms"] == {}
    assert f"{SHARD} is followed from block 0 on" not in network.log(AGENTS[1]).rpartition("is followed")[2]


async def test_a_rewritten_shard_is_caught(network: LocalNetwork, tmp_path: Path) -> None:
    """Both organisations, with the orderer's key and files, drop one transaction from the shard's past."""
    await caught_up(network)
    orderer = SigningIdentity.load(network.folder.node("orderer1") / "msp")
    for name in (*AGENTS, "peer1", "peer2", "orderer1"):
        await network.kill(name)
    (tmp_path / "forged").mkdir()
    true = ledger_folder(network, "peer1", SHARD)
    dropped: list[int] = []

    def without_one(block: Block) -> tuple[bytes, ...]:
        if block.header.number == 5:
            dropped.append(len(block.envelopes))
            return block.envelopes[1:]
        return block.envelopes

    chain = rewritten(true, tmp_path / "forged" / SHARD, orderer, without_one)
    assert dropped
    ordered_anew(network, tmp_path / "forged" / SHARD, orderer)
    await network.start("orderer1")
    for peer in ("peer1", "peer2"):
        put_in_place(tmp_path / "forged" / SHARD, ledger_folder(network, peer, SHARD))
        await network.start(peer)
    for name in AGENTS:
        await network.start(name)

    async def alarmed() -> bool:
        states = [await shard_state(network, name) for name in AGENTS]
        return all("rewritten" in state.get("alarms", {}) for state in states)

    await eventually(alarmed, within_s=30, what="both agents refuse the rewritten chain")
    await _forged_attestations_are_refused(network, chain)
    code, told = command(network, "verify", SHARD, "--user", "ControlRoom/admin")
    assert code == 1
    assert told.count("is not the one that was anchored") == 2
    anchors = ledger_folder(network, "peer3", MAINCHAIN)
    shutil.copytree(anchors, tmp_path / "kept" / MAINCHAIN)
    done = gridledger("verify", tmp_path / "forged" / SHARD, "--anchors", tmp_path / "kept" / MAINCHAIN)
    assert done.returncode == 1
    assert "were changed after Org1MSP, Org2MSP attested" in done.stdout
    whole = gridledger("verify", tmp_path / "forged" / SHARD)
    assert whole.returncode == 0, whole.stdout  # by itself it is a perfect chain


async def _forged_attestations_are_refused(network: LocalNetwork, chain: list[tuple[str, str]]) -> None:
    """What both organisations could say themselves of their other history, with any proof."""
    tree = HeaderTree.from_hashes(leaf_hash(header, commit_hash) for header, commit_hash in chain)
    header, commit_hash = chain[-1]
    head = Head(tree.root().hex(), BlockHeader.parse(header).hash, commit_hash)
    for name in AGENTS:
        async with anchors_ledger(network.profile, agent_identity(network, name)) as ledger:
            await _refused(ledger, tree, head)


async def _refused(ledger: AnchorsLedger, tree: HeaderTree, head: Head) -> None:
    final = await ledger.anchor(SHARD)
    tree.append(b"\0" * 32)
    forged = head._replace(root=tree.root().hex())
    for proof in (tree.consistency(final.size, tree.size), tree.consistency(1, tree.size), []):
        with pytest.raises(GridLedgerError, match="consistency: does not show"):
            await ledger.attest(SHARD, tree.size, forged, height=tree.size, consistency=proof)

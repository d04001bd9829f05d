"""Queries that a client verifies: a block by its data hash, a transaction by its Merkle proof."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridledger.client.queries import (
    find_transactions,
    read_block,
    read_block_by_hash,
    read_headers,
    read_transaction,
    search_transactions,
)
from gridledger.errors import CorruptionError, MalformedMessage
from gridledger.ledger.search import search
from gridledger.protocol import merkle
from gridledger.protocol.block import Block
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.headers import HeadersPage
from gridledger.protocol.proof import ProvedTransaction
from gridledger.protocol.search import TransactionFilter
from tests.support.paper import PaperPeer
from tests.unit.client.paper_gateway import PaperGateway


@pytest.fixture
def peer() -> PaperGateway:
    return PaperGateway()


async def test_a_block_is_taken_only_where_its_hash_holds(peer: PaperGateway, tmp_path: Path) -> None:
    ledger = PaperPeer(tmp_path, peer.paper)
    ledger.commit(peer.paper.transaction({"k": 1}))
    node: Any = peer
    path, block = "/channels/shard1/blocks/1", ledger.chain.blocks[1]
    peer.answers[path] = block.to_bytes()
    assert await read_block(node, "shard1", 1) == block
    for wrong in (Block(block.header, (b"another",)), ledger.chain.blocks[0]):
        peer.answers[path] = wrong.to_bytes()
        with pytest.raises(CorruptionError, match="not block 1 of shard1"):
            await read_block(node, "shard1", 1)
    peer.answers["/channels/shard2/blocks/1"] = block.to_bytes()
    with pytest.raises(CorruptionError, match="not block 1 of shard2"):
        await read_block(node, "shard2", 1)


async def test_headers_are_taken_only_where_each_names_the_one_before(peer: PaperGateway, tmp_path: Path) -> None:
    ledger = PaperPeer(tmp_path, peer.paper)
    for number in range(3):
        ledger.commit(peer.paper.transaction({"k": number}))
    node: Any = peer
    with ledger.ledger.snapshot() as snapshot:
        headers = [snapshot.header(number) for number in range(4)]
    path = "/channels/shard1/headers"
    peer.answers[path] = HeadersPage(tuple(headers[1:]), 4).to_dict()
    page = await read_headers(node, "shard1", 1)
    assert (page.items, page.height) == (tuple(headers[1:]), 4)
    with pytest.raises(CorruptionError, match="not the headers of shard1 from block 1 on"):
        await read_headers(node, "shard1", 1, limit=2)
    for wrong, height in ((headers[2:], 4), (headers[1:2] + headers[3:], 4), (headers[1:], 3)):
        peer.answers[path] = HeadersPage(tuple(wrong), height).to_dict()
        with pytest.raises(CorruptionError, match="not the headers of shard1 from block 1 on"):
            await read_headers(node, "shard1", 1)
    peer.answers[path] = HeadersPage(tuple(headers[1:3]), 4).to_dict()
    peer.answers[path]["items"][1]["header"] = headers[2].header.text.replace(headers[2].header.previous_hash, "0" * 64)
    with pytest.raises(CorruptionError, match="not the headers of shard1 from block 1 on"):
        await read_headers(node, "shard1", 1)


@pytest.mark.parametrize(
    "told", [None, [], {}, {"items": 1, "height": 1}, {"items": [{}], "height": 1}, {"items": [], "height": "1"}]
)
async def test_what_is_no_page_of_headers_is_one_error(peer: PaperGateway, told: Any) -> None:
    node: Any = peer
    peer.answers["/channels/shard1/headers"] = told
    with pytest.raises(MalformedMessage):
        await read_headers(node, "shard1", 0)


async def test_a_transaction_is_taken_only_with_its_proof(peer: PaperGateway, tmp_path: Path) -> None:
    ledger = PaperPeer(tmp_path, peer.paper)
    made = [peer.paper.transaction({"k": number}) for number in range(3)]
    ledger.commit(*made)
    node: Any = peer
    proved = [ledger.ledger.transaction(item.tx_id) for item in made]
    path = f"/channels/shard1/transactions/{made[0].tx_id}"
    peer.answers[path] = proved[0].to_dict()
    assert await read_transaction(node, "shard1", made[0].tx_id) == proved[0]
    for wrong in (proved[1], replace(proved[0], envelope=made[1].to_bytes()), replace(proved[0], block=2)):
        peer.answers[path] = wrong.to_dict()
        with pytest.raises(CorruptionError, match="does not lead from transaction"):
            await read_transaction(node, "shard1", made[0].tx_id)


async def test_another_transaction_under_the_id_is_refused(peer: PaperGateway, tmp_path: Path) -> None:
    ledger = PaperPeer(tmp_path, peer.paper)
    made = [peer.paper.transaction({"k": number}) for number in range(2)]
    ledger.commit(*made, b"no transaction")
    node: Any = peer
    path = f"/channels/shard1/transactions/{made[0].tx_id}"
    peer.answers[path] = replace(ledger.ledger.transaction(made[1].tx_id), tx_id=made[0].tx_id).to_dict()
    with pytest.raises(CorruptionError, match=f"shows transaction {made[1].tx_id} in place of {made[0].tx_id}"):
        await read_transaction(node, "shard1", made[0].tx_id)
    block = ledger.chain.blocks[1]
    unreadable = ProvedTransaction(
        tx_id=made[0].tx_id,
        block=1,
        index=2,
        code=TxValidationCode.VALID,
        envelope=block.envelopes[2],
        header=block.header,
        count=3,
        siblings=tuple(merkle.path(block.envelopes, 2)),
        signature=None,
    )
    assert unreadable.holds()
    peer.answers[path] = unreadable.to_dict()
    with pytest.raises(CorruptionError, match="cannot be read"):
        await read_transaction(node, "shard1", made[0].tx_id)


async def test_a_block_is_taken_only_under_its_hash(peer: PaperGateway, tmp_path: Path) -> None:
    ledger = PaperPeer(tmp_path, peer.paper)
    ledger.commit(peer.paper.transaction({"k": 1}))
    node: Any = peer
    first, block = ledger.chain.blocks
    path = f"/channels/shard1/blocks/by-hash/{block.header.hash}"
    peer.answers[path] = block.to_bytes()
    assert await read_block_by_hash(node, "shard1", block.header.hash) == block
    for wrong in (first, Block(block.header, (b"another",))):
        peer.answers[path] = wrong.to_bytes()
        with pytest.raises(CorruptionError, match=f"not the block of shard1 with the hash {block.header.hash}"):
            await read_block_by_hash(node, "shard1", block.header.hash)


async def test_found_transactions_are_those_that_were_asked_for(peer: PaperGateway, tmp_path: Path) -> None:
    ledger = PaperPeer(tmp_path, peer.paper)
    for number in range(3):
        ledger.commit(peer.paper.transaction({"k": number}))
    with ledger.ledger.snapshot() as snapshot:
        told = search(snapshot, TransactionFilter(creator="client"), limit=9)
    node: Any = peer
    path = "/channels/shard1/transactions"
    peer.answers[path] = told.to_dict()
    by_client = TransactionFilter(creator="client", chaincode="kv")
    assert await search_transactions(node, "shard1", by_client, limit=3, bookmark=None) == told
    with pytest.raises(CorruptionError, match="were not asked for"):
        await search_transactions(node, "shard1", TransactionFilter(mspid="Org2MSP"), limit=3, bookmark=None)
    peer.answers[path] = replace(told, items=(*told.items[:2], replace(told.items[2], function="get"))).to_dict()
    with pytest.raises(CorruptionError, match="were not asked for"):
        await search_transactions(node, "shard1", replace(by_client, function="put"), limit=3, bookmark=None)
    with pytest.raises(CorruptionError, match="more than 2"):
        await search_transactions(node, "shard1", by_client, limit=2, bookmark=None)
    (first, *_) = told.items
    peer.answers[path] = replace(told, items=(first,)).to_dict()
    assert (await find_transactions(node, "shard1", first.tx_id[:3].upper(), limit=3, bookmark=None)).items == (first,)
    other = "0" if first.tx_id[0] != "0" else "1"
    with pytest.raises(CorruptionError, match="were not asked for"):
        await find_transactions(node, "shard1", other, limit=3, bookmark=None)
    answers: list[Any] = [None, [], {}, {**told.to_dict(), "items": [{}]}, {**told.to_dict(), "bookmark": 1}]
    for answer in answers:
        peer.answers[path] = answer
        with pytest.raises(MalformedMessage):
            await find_transactions(node, "shard1", "0", limit=3, bookmark=None)


@pytest.mark.parametrize("told", [None, [], {}, {"proof": 1}, {"proof": {}}, {"tx_id": 1, "code": 0, "proof": {}}])
async def test_what_is_no_proved_transaction_is_one_error(peer: PaperGateway, told: Any) -> None:
    node: Any = peer
    peer.answers["/channels/shard1/transactions/ab"] = told
    with pytest.raises(MalformedMessage):
        await read_transaction(node, "shard1", "ab")

"""What a peer's routes answer of its ledger, as JSON."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gridledger import jsontext
from gridledger.errors import MalformedMessage
from gridledger.protocol.codes import TxValidationCode as Code
from gridledger.protocol.headers import HeadersPage
from gridledger.protocol.proof import ProvedTransaction
from gridledger.protocol.world_state import HistoryPage
from services.peer import queries
from services.peer.channel import Channel
from services.peer.errors import ChaincodeUnknown
from services.peer.queries import (
    block_json,
    chain_info,
    headers_json,
    history_json,
    transaction_json,
    unknown_transaction,
)
from tests.support.paper import PaperNetwork, PaperPeer


class House:
    """A peer with two blocks behind the first: a transaction twice and rubbish, and a new configuration."""

    def __init__(self, folder: Path) -> None:
        self.paper = PaperNetwork()
        self.peer = PaperPeer(folder, self.paper)
        self.channel = Channel(self.peer.ledger)
        self.transaction = self.paper.transaction({"k": {"v": [1.5]}})
        self.update = self.paper.update()
        for block in (self.peer.commit(self.transaction, self.transaction, b"rubbish"), self.peer.commit(self.update)):
            self.channel.committed(block)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_a_block_is_told_with_the_parts_of_its_envelopes(house: House) -> None:
    block = jsontext.loads(block_json(house.peer.ledger, 1))
    header = house.peer.chain.blocks[1].header
    assert (block["hash"], block["header"]["number"]) == (header.hash, 1)
    assert block["orderer"] == house.paper.orderers["orderer1"].fingerprint
    first, copy, rubbish = block["transactions"]
    assert (first["code_name"], copy["code_name"], rubbish["code_name"]) == ("VALID", "DUPLICATE_TXID", "BAD_PAYLOAD")
    assert (first["tx_id"], first["code"]) == (house.transaction.tx_id, int(Code.VALID))
    assert first["proposal"]["function"] == "put"
    assert first["result"]["writes"] == [["k", {"v": [1.5]}]]
    endorsers = [house.paper.peers[name].fingerprint for name in ("peer1", "peer2")]
    assert [item["endorser"] for item in first["endorsements"]] == endorsers
    assert {name: rubbish[name] for name in ("tx_id", "unreadable", "bytes")} == {
        "tx_id": "",
        "unreadable": True,
        "bytes": 7,
    }


def test_a_config_block_is_told_with_its_configuration(house: House) -> None:
    newest = jsontext.loads(block_json(house.peer.ledger, 2))
    assert newest["commit_hash"] == house.peer.ledger.commit_hash
    (told,) = newest["transactions"]
    assert (told["tx_id"], told["config"]["sequence"]) == (house.update.tx_id, 1)
    assert jsontext.loads(block_json(house.peer.ledger, 0))["orderer"] is None


def test_chain_info_is_the_ledgers_head(house: House) -> None:
    info = chain_info(house.channel)
    assert (info.channel, info.height, info.transactions, info.config_sequence) == ("shard1", 3, 5, 1)
    assert (info.commit_hash, info.last_hash) == (house.peer.ledger.commit_hash, house.peer.chain.blocks[2].header.hash)
    assert info.timestamp_us == house.peer.chain.blocks[2].header.timestamp_us
    assert info.size_bytes > 0


def pages(house: House, start: int, limit: int) -> HeadersPage:
    return HeadersPage.from_dict(jsontext.loads(headers_json(house.peer.ledger, start, limit)))


def test_headers_are_told_with_signatures_and_commit_hashes(house: House) -> None:
    page = pages(house, 0, 9)
    assert (page.height, [item.header for item in page.items]) == (3, [b.header for b in house.peer.chain.blocks])
    assert page.items[0].signature is None
    assert page.items[1].signature is not None
    assert page.items[1].signature.orderer == house.paper.orderers["orderer1"].fingerprint
    assert page.items[2].commit_hash == house.peer.ledger.commit_hash
    assert page.follows("shard1", 0)
    assert not page.follows("shard2", 0)
    assert not page.follows("shard1", 1)


def test_a_page_of_headers_is_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [item.header.number for item in pages(house, 1, 1).items] == [1]
    for start, limit in ((3, 9), (2**40, 9), (0, 0)):
        assert pages(house, start, limit) == HeadersPage((), 3)
    monkeypatch.setattr(queries, "MAX_HEADERS", 2)
    assert [item.header.number for item in pages(house, 0, 9).items] == [0, 1]
    monkeypatch.setattr(queries, "MAX_PAGE_BYTES", 10)
    assert [item.header.number for item in pages(house, 1, 9).items] == [1]


def test_a_transaction_is_told_with_its_proof(house: House) -> None:
    told = ProvedTransaction.from_dict(jsontext.loads(transaction_json(house.peer.ledger, house.transaction.tx_id)))
    assert (told.tx_id, told.block, told.code) == (house.transaction.tx_id, 1, Code.VALID)
    assert told.holds()
    missing = unknown_transaction("0" * 64, "shard1")
    assert (missing.status, missing.code, missing.details) == (404, "TRANSACTION_NOT_FOUND", {"tx_id": "0" * 64})


def test_the_history_of_an_unknown_chaincode_is_an_error(house: House) -> None:
    assert jsontext.loads(history_json(house.channel, "kv", "no such key", 9)) == {"items": [], "bookmark": None}
    with pytest.raises(ChaincodeUnknown, match="kw"):
        history_json(house.channel, "kw", "k", 9)
    house.channel.config = replace(house.channel.config, chaincodes={})  # one that was removed keeps its history
    assert len(jsontext.loads(history_json(house.channel, "kv", "k", 9))["items"]) == 1


def test_a_history_is_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        house.peer.commit(house.paper.transaction({"k": number}))

    def values(limit: int) -> list[object]:
        items = jsontext.loads(history_json(house.channel, "kv", "k", limit))["items"]
        return [item["value"] for item in items]

    assert values(100) == [2, 1, 0, {"v": [1.5]}]
    assert values(2) == [2, 1]
    monkeypatch.setattr(queries, "MAX_HISTORY", 3)
    assert values(100) == [2, 1, 0]


def history_pages(house: House, limit: int, key: str = "k") -> tuple[list[object], int]:
    """The values on all pages of a history, and how many pages there are."""
    values: list[object] = []
    bookmark, pages = None, 0
    while True:
        page = HistoryPage.from_dict(jsontext.loads(history_json(house.channel, "kv", key, limit, bookmark)))
        values += [entry.value for entry in page.items]
        bookmark, pages = page.bookmark, pages + 1
        if bookmark is None:
            return values, pages


@pytest.mark.parametrize("key", ["k", "k" * 600])
def test_the_pages_of_a_history_are_all_of_it(house: House, key: str) -> None:
    for number in range(5):
        house.peer.commit(house.paper.transaction({key: number, "other": number}), house.paper.transaction({key: None}))
    whole, one = history_pages(house, 1000, key)
    assert (one, whole[:4], len(whole)) == (1, [None, 4, None, 3], 11 if key == "k" else 10)
    for limit in range(1, 12):
        found, pages = history_pages(house, limit, key)
        assert (found, pages) == (whole, -(-len(whole) // limit))


def test_a_page_of_a_history_is_bounded_in_bytes(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        house.peer.commit(house.paper.transaction({"k": f"{number}" * 100}))
    monkeypatch.setattr(queries, "MAX_HISTORY_BYTES", 150)
    values, pages = history_pages(house, 100)
    assert ([str(value)[0] for value in values[:4]], pages) == (["3", "2", "1", "0"], 3)


def test_a_bookmark_is_good_for_its_own_history_alone(house: House) -> None:
    house.peer.commit(house.paper.transaction({"k": 1, "j": 1}))
    bookmark = jsontext.loads(history_json(house.channel, "kv", "k", 1))["bookmark"]
    assert jsontext.loads(history_json(house.channel, "kv", "k", 1, bookmark))["items"][0]["value"] == {"v": [1.5]}
    for key, wrong in (("j", bookmark), ("k", "x"), ("k", bookmark[:-4])):
        with pytest.raises(MalformedMessage, match="bookmark"):
            history_json(house.channel, "kv", key, 1, wrong)

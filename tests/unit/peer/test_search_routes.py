"""The peer's search: what the routes take and answer."""

from __future__ import annotations

from typing import Any

import pytest

from gridledger.ledger import Ledger
from gridledger.protocol.block import Block
from gridledger.protocol.search import TransactionsPage
from services.peer import routes
from services.peer.channel import Channel
from tests.support.paper import NOW_US, PaperNetwork, PaperPeer
from tests.unit.peer.test_access import asked

PATH = "/channels/shard1/transactions"


@pytest.fixture(scope="module")
def paper() -> PaperNetwork:
    return PaperNetwork()


@pytest.fixture(scope="module")
def ledger(paper: PaperNetwork, tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    """Block 1: put by Org1's client; block 2: get by Org2's, without enough endorsements; block 3: rubbish."""
    peer = PaperPeer(tmp_path_factory.mktemp("ledger"), paper)
    peer.commit(paper.transaction({"k": 1}))
    other = paper.clients["Org2MSP"]
    proposal = paper.proposal("get", client=other)
    peer.commit(paper.transaction(proposal=proposal, client=other, endorsers=["peer1"]))
    peer.commit(b"rubbish")
    return peer.ledger


@pytest.fixture
def ask(paper: PaperNetwork, ledger: Ledger) -> Any:
    async def ask(route: str) -> Any:
        return await asked(Channel(ledger), paper.identity(paper.client), route)

    return ask


@pytest.mark.parametrize(
    ("query", "blocks"),
    [
        ("", [3, 2, 1, 0]),
        ("mspid=Org1MSP", [1]),
        ("creator=client", [2, 1]),
        ("creator=client&mspid=Org2MSP", [2]),
        ("chaincode=kv&function=put", [1]),
        ("code=invalid", [3, 2]),
        ("code=endorsement_policy_failure", [2]),
        ("code=2", [3]),
        ("code=0", [1, 0]),
        ("kind=config", [0]),
        (f"from={NOW_US + 1000}&to={NOW_US + 3000}", [2, 1]),
        ("creator=nobody", []),
    ],
)
async def test_filters(ask: Any, query: str, blocks: list[int]) -> None:
    page = TransactionsPage.from_dict((await ask(f"{PATH}?{query}")).json())
    assert [item.block for item in page.items] == blocks
    assert (page.bookmark, page.indexed, page.height) == (None, 4, 4)


async def test_a_certificate_and_a_prefix(ask: Any, paper: PaperNetwork, ledger: Ledger) -> None:
    fingerprint = paper.client.fingerprint.upper()
    (item,) = (await ask(f"{PATH}?certificate={fingerprint}")).json()["items"]
    assert (item["block"], item["certificate"], item["mspid"]) == (1, paper.client.fingerprint, "Org1MSP")
    assert (await ask(f"{PATH}?prefix={item['tx_id'][:9]}")).json()["items"] == [item]


async def test_pages_are_bounded_and_joined_by_bookmarks(ask: Any) -> None:
    blocks, bookmark, pages = [], "", 0
    while bookmark is not None:
        behind = f"&bookmark={bookmark}" if bookmark else ""
        page = (await ask(f"{PATH}?limit=3{behind}")).json()
        blocks += [item["block"] for item in page["items"]]
        bookmark, pages = page["bookmark"], pages + 1
    assert (blocks, pages) == ([3, 2, 1, 0], 2)
    assert len((await ask(f"{PATH}?limit=100000")).json()["items"]) == 4


@pytest.mark.parametrize(
    "query",
    [
        "code=nonsense",
        "limit=0",
        "bookmark=x",
        "prefix=xyz",
        "prefix=",
        "prefix=00&creator=client",
        "from=-1",
        "kind=x",
    ],
)
async def test_what_cannot_be_searched_is_refused(ask: Any, query: str) -> None:
    assert (await ask(f"{PATH}?{query}")).status_code in (400, 422)


async def test_a_block_by_its_hash(ask: Any, ledger: Ledger) -> None:
    wanted = ledger.block(2)
    path = f"/channels/shard1/blocks/by-hash/{wanted.header.hash.upper()}"
    assert (await ask(path)).json()["header"]["number"] == 2
    assert Block.from_bytes((await ask(f"{path}?format=raw")).content) == wanted
    missing = await ask(f"/channels/shard1/blocks/by-hash/{'0' * 64}")
    assert (missing.status_code, missing.json()["code"]) == (404, "BLOCK_NOT_FOUND")
    assert (await ask("/channels/shard1/blocks/by-hash/abc")).status_code == 400


async def test_searches_at_once_are_bounded(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "MAX_SEARCHES", 0)
    busy = await ask(PATH)
    assert (busy.status_code, busy.json()["code"]) == (429, "BUSY")

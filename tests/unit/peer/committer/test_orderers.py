"""Connections to a channel's orderers: as the configuration names them, and no longer than it does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from gridledger import jsontext
from gridledger.errors import MalformedMessage, UnavailableError
from gridledger.protocol.config import ChannelConfig
from services.peer.committer.orderers import HttpOrderers
from tests.support.paper import PaperNetwork, PaperOrganisation

PAPER = PaperNetwork()


@pytest_asyncio.fixture
async def orderers() -> AsyncIterator[HttpOrderers]:
    made = HttpOrderers("shard1", "peer1", PAPER.peers["peer1"], "")
    await made.follow(PAPER.config)
    yield made
    await made.close()
    assert made.names() == []


async def test_the_configs_orderers_are_known_by_name(orderers: HttpOrderers) -> None:
    assert list(orderers.names()) == ["orderer1", "orderer2", "orderer3"]
    with pytest.raises(UnavailableError, match="no orderer of the channel any more"):
        await orderers.height("orderer9")


async def test_a_connection_stays_while_the_orderer_stays(orderers: HttpOrderers) -> None:
    before = dict(orderers._clients)
    moved = replace(PAPER.config.orderers["orderer2"], url="https://localhost:9")
    remaining = {"orderer1": PAPER.config.orderers["orderer1"], "orderer2": moved}
    await orderers.follow(replace(PAPER.config, orderers=remaining))
    assert list(orderers.names()) == ["orderer1", "orderer2"]
    assert orderers._clients["orderer1"] is before["orderer1"]
    assert orderers._clients["orderer2"] is not before["orderer2"]
    assert orderers._clients["orderer2"].base_url == "https://localhost:9"


async def test_a_connection_ends_with_what_identified_its_orderer(orderers: HttpOrderers) -> None:
    before = dict(orderers._clients)
    organisations, nodes = PAPER.config.organisations, PAPER.config.orderers
    other = replace(organisations["Org2MSP"], roots=(PaperOrganisation("Org2MSP").root,))
    await orderers.follow(replace(PAPER.config, organisations={**organisations, "Org2MSP": other}))
    assert orderers._clients == before  # another organisation's root says nothing of them
    renewed = PAPER.organisations["OrdererMSP"].issue("orderer1", "orderer")
    changed = replace(nodes["orderer1"], certificate=renewed.certificate)
    await orderers.follow(replace(PAPER.config, orderers={**nodes, "orderer1": changed}))
    assert [name for name in before if orderers._clients[name] is not before[name]] == ["orderer1"]
    own = replace(organisations["OrdererMSP"], roots=(PAPER.organisations["OrdererMSP"].root, other.roots[0]))
    await orderers.follow(replace(PAPER.config, organisations={**organisations, "OrdererMSP": own}))
    assert not set(orderers._clients.values()) & set(before.values())


class Node:
    """Stands for a connection: answers with what the test says, and keeps what came."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.posted: list[tuple[str, Any]] = []

    async def get_json(self, path: str, *, timeout_s: float) -> Any:
        assert path == "/channels/shard1"
        return self.answer

    async def post(self, path: str, body: bytes, *, timeout_s: float) -> bytes:
        self.posted.append((path, jsontext.loads(body)))
        return b""

    async def close(self) -> None:
        return


async def test_heights_are_asked_and_progress_is_told(orderers: HttpOrderers) -> None:
    node: Any = Node({"height": 7})
    orderers._clients["orderer1"] = node
    assert await orderers.height("orderer1") == 7
    await orderers.progress("orderer1", 5)
    assert node.posted == [("/channels/shard1/progress", {"peer": "peer1", "height": 5})]
    for answer in ({}, {"height": "7"}, [7], None):
        node.answer = answer
        with pytest.raises(MalformedMessage) as caught:
            await orderers.height("orderer1")
        assert caught.value.status == 502


async def test_orderers_are_looked_for_where_a_newer_config_says() -> None:
    """Until the chain's own is as new."""
    node = PAPER.config.orderers["orderer1"]

    def at(port: int, sequence: int) -> ChannelConfig:
        return replace(
            PAPER.config, sequence=sequence, orderers={"orderer1": replace(node, url=f"https://localhost:{port}")}
        )

    made = HttpOrderers("shard1", "peer1", PAPER.peers["peer1"], "", at(5, 3))
    for port, sequence, expected in ((1, 0, 5), (2, 2, 5), (3, 3, 3), (4, 4, 4)):
        await made.follow(at(port, sequence))
        assert made._clients["orderer1"].base_url == f"https://localhost:{expected}"
    await made.close()

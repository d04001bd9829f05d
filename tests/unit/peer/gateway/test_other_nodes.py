"""Connections to the other nodes: asking a peer for an endorsement, and following the configs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridledger.errors import UnavailableError
from gridledger.transport.call_frames import ENDORSE_HERE
from services.peer.channel import Channel, Channels
from services.peer.endorser.endorser import AdmittedProposal, Endorser
from services.peer.endorser.remote import read_request, write_response
from services.peer.errors import BadEndorsement
from services.peer.gateway import other_nodes
from services.peer.gateway.other_nodes import OtherNodes
from tests.support.paper import NOW_US, PaperNetwork, PaperPeer

PAPER = PaperNetwork()


class Other:
    """The calls to peer1, which endorses, or sends ``rubbish``."""

    def __init__(self, endorser: Endorser) -> None:
        self.endorser = endorser
        self.rubbish: bytes | None = None
        self.closed = False

    async def call(self, kind: int, body: bytes, timeout_s: float) -> bytes:
        assert kind == ENDORSE_HERE
        min_height, signed = read_request(body)
        proposal = self.endorser.admit(signed, PAPER.identity(PAPER.peers["peer2"]))
        response = await self.endorser.endorse(proposal, min_height=min_height)
        return write_response(response) if self.rubbish is None else self.rubbish

    async def close(self) -> None:
        self.closed = True


class Hosts:
    async def run(self, proposal: AdmittedProposal) -> str:
        return PAPER.result(proposal.signed.proposal, {"k": 1}).text


@pytest.fixture
def channel(tmp_path: Path) -> Iterator[Channel]:
    peer = PaperPeer(tmp_path, PAPER)
    yield Channel(peer.ledger)
    peer.ledger.close()


async def test_another_peer_is_asked_for_its_endorsement(channel: Channel) -> None:
    channels = Channels({"shard1": channel})
    endorser = Endorser("peer1", PAPER.peers["peer1"], channels, Hosts(), clock_us=lambda: NOW_US, catch_up_s=1.0)
    nodes = OtherNodes(PAPER.peers["peer2"])
    nodes.follow([channel.config])
    other: Any = Other(endorser)
    nodes._peers["shard1", "peer1"]._calls = other
    peer = channel.config.peers["peer1"]
    proposal = endorser.admit(PAPER.signed_proposal("put", "k", 1), PAPER.identity(PAPER.client))
    response = await nodes.endorse(peer, proposal, 1, 5.0)
    assert response == await endorser.endorse(proposal)
    for other.rubbish in (b"", b"x" * 40, b"\0" * 41 + b"\xff"):
        with pytest.raises(BadEndorsement, match="peer1: an endorsement cannot be read"):
            await nodes.endorse(peer, proposal, 0, 5.0)
    await nodes.close()
    assert other.closed


async def test_a_node_that_left_or_moved_gets_no_more_requests(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(other_nodes, "PROBE_TIMEOUT_S", 0.01)
    nodes = OtherNodes(PAPER.peers["peer2"])
    config = channel.config
    nodes.follow([config])
    before, orderers = dict(nodes._peers), dict(nodes._orderers)
    moved = replace(config.peers["peer2"], url="https://localhost:9")
    nodes.follow([replace(config, peers={"peer2": moved})])
    assert list(nodes._peers) == [("shard1", "peer2")]
    assert nodes._peers["shard1", "peer2"] is not before["shard1", "peer2"]
    assert nodes._orderers == orderers
    with pytest.raises(UnavailableError, match="no peer"):
        await nodes.probe(config.peers["peer1"])
    with pytest.raises(UnavailableError, match="no orderer"):
        await nodes.broadcast("orderer9", "shard1", b"", 1.0)
    await asyncio.gather(*nodes._closing)
    await nodes.close()


async def test_each_channel_says_who_its_nodes_are() -> None:
    nodes, config = OtherNodes(PAPER.peers["peer2"]), PAPER.config
    impostor = PAPER.organisations["Org1MSP"].issue("peer1", "peer")
    other = replace(config.peers["peer1"], certificate=impostor.certificate)
    second = replace(config, channel="shard2", peers={**config.peers, "peer1": other})
    nodes.follow([config, second])
    assert nodes._peers["shard1", "peer2"] is nodes._peers["shard2", "peer2"]  # they agree: one connection
    for channel, certificate in (("shard1", PAPER.peers["peer1"].certificate), ("shard2", impostor.certificate)):
        assert nodes._by_certificate[certificate.fingerprint] is nodes._peers[channel, "peer1"]
    assert nodes._peers["shard1", "peer1"] is not nodes._peers["shard2", "peer1"]
    await nodes.close()

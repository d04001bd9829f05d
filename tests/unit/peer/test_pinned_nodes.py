"""A peer's connections against real TLS servers: nobody stands in for a node whose certificate he has not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response

from gridledger.errors import GridLedgerError
from gridledger.identity.signer import SigningIdentity
from gridledger.transport import call_frames
from gridledger.transport.node_client import ConnectionFailed, WrongNode
from gridledger.web import (
    CallStream,
    PlainRequest,
    PlainRoute,
    Pool,
    ServerSettings,
    TLSFiles,
    WebServer,
    by_certificate,
    create_app,
)
from services.peer.channel import Channel
from services.peer.committer.orderers import HttpOrderers
from services.peer.endorser.endorser import AdmittedProposal
from services.peer.gateway.other_nodes import OtherNodes
from tests.support.paper import NOW_US, PaperNetwork, PaperOrganisation, PaperPeer
from tests.support.processes import free_ports

REFUSED = "this is not (peer1|orderer1)|CERTIFICATE_VERIFY_FAILED"
REACHED = "there is no GET /channels/shard1 here"


class Impostors:
    """A network whose peer1 and orderer1 are dialled at one port, and whoever listens there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_ports(1)[0]
        self.url = f"https://127.0.0.1:{self.port}"
        self.paper = PaperNetwork(urls={"peer1": self.url, "orderer1": self.url})
        self.heard = 0

    def identify(self, certificate: Any) -> Any:
        self.heard += 1
        return self.paper.config.msps.identify(certificate, NOW_US)

    @asynccontextmanager
    async def listening(self, identity: SigningIdentity) -> AsyncIterator[None]:
        home = self.folder / f"msp-{identity.fingerprint[:8]}"
        identity.save(home)
        tls = TLSFiles(home / "cert.pem", home / "key.pem", [self.paper.config.msps.roots_pem()])
        app = create_app("impostor", by_certificate(self.identify))
        app.add_plain_routes([PlainRoute(call_frames.PATH, self.calls)])
        async with WebServer(app, ServerSettings("127.0.0.1", self.port, tls, graceful_stop_s=1)):
            yield

    async def calls(self, _: PlainRequest) -> Response:
        async def ping(_body: bytes, _caller: Any) -> bytes:
            return b""

        pool = Pool("streams", 4, retry_after_s=1.0)
        return CallStream({call_frames.PING: ("ping", ping)}, max_call_bytes=1024, streams=pool)

    def proposal(self) -> AdmittedProposal:
        channel = Channel(PaperPeer(self.folder / "ledger", self.paper).ledger)
        signed, config = self.paper.signed_proposal(), self.paper.config
        return AdmittedProposal(signed, channel, config.chaincodes["kv"], self.paper.identity(self.paper.client))


@pytest.fixture
def impostors(tmp_path: Path) -> Impostors:
    return Impostors(tmp_path)


async def test_a_gateway_tells_no_impostor_anything(impostors: Impostors) -> None:
    paper, proposal = impostors.paper, impostors.proposal()
    peer = paper.config.peers["peer1"]
    for who in (
        paper.organisations["Org1MSP"].issue("mallory", "client"),
        paper.organisations["OrdererMSP"].issue("orderer1", "client"),
        paper.organisations["Org2MSP"].issue("peer1", "peer"),
        paper.organisations["Org1MSP"].issue("peer1", "peer"),
        paper.orderers["orderer2"],
    ):
        nodes = OtherNodes(paper.peers["peer2"])
        nodes.follow([paper.config])
        asked = [
            nodes.endorse(peer, proposal, 0, 5.0),
            nodes.evaluate(peer, proposal, 5.0),
            nodes.probe(peer),
            nodes.broadcast("orderer1", "shard1", b"", 5.0),
        ]
        async with impostors.listening(who):
            for work in asked:
                with pytest.raises(ConnectionFailed, match=REFUSED):
                    await work
        await nodes.close()
    assert impostors.heard == 0


async def test_the_error_names_node_and_fingerprints(impostors: Impostors) -> None:
    paper = impostors.paper
    mallory = paper.organisations["OrdererMSP"].issue("mallory", "client")
    nodes = OtherNodes(paper.peers["peer2"])
    nodes.follow([paper.config])
    async with impostors.listening(mallory):
        with pytest.raises(WrongNode, match="this is not orderer1") as caught:
            await nodes.broadcast("orderer1", "shard1", b"", 5.0)
    assert caught.value.details == {"expected": [paper.orderers["orderer1"].fingerprint], "seen": mallory.fingerprint}
    await nodes.close()


async def test_a_gateway_follows_a_renewed_certificate(impostors: Impostors) -> None:
    paper = impostors.paper
    renewed = paper.organisations["Org1MSP"].issue("peer1", "peer")
    peer, nodes = paper.config.peers["peer1"], OtherNodes(paper.peers["peer2"])
    after = replace(peer, certificate=renewed.certificate)
    nodes.follow([paper.config])
    async with impostors.listening(renewed):
        with pytest.raises(WrongNode):
            await nodes.probe(peer)
        nodes.follow([replace(paper.config, peers={**paper.config.peers, "peer1": after})])
        await nodes.probe(after)
    await nodes.close()


async def test_either_certificate_will_do_during_a_renewal(impostors: Impostors) -> None:
    paper = impostors.paper
    renewed = paper.organisations["Org1MSP"].issue("peer1", "peer")
    both = replace(paper.config.peers["peer1"], renewed=renewed.certificate)
    nodes = OtherNodes(paper.peers["peer2"])
    nodes.follow([replace(paper.config, peers={**paper.config.peers, "peer1": both})])
    for who in (paper.peers["peer1"], renewed):
        async with impostors.listening(who):
            await nodes.probe(both)
    await nodes.close()


@asynccontextmanager
async def committer(impostors: Impostors, local_roots: str = "") -> AsyncIterator[HttpOrderers]:
    orderers = HttpOrderers("shard1", "peer1", impostors.paper.peers["peer1"], local_roots)
    await orderers.follow(impostors.paper.config)
    yield orderers
    await orderers.close()


async def test_a_committer_takes_blocks_from_no_impostor(impostors: Impostors) -> None:
    paper = impostors.paper
    for who in (
        paper.organisations["OrdererMSP"].issue("orderer1", "client"),
        paper.organisations["Org1MSP"].issue("orderer1", "orderer"),
        paper.peers["peer1"],
        paper.orderers["orderer2"],
    ):
        async with impostors.listening(who), committer(impostors, paper.config.msps.roots_pem()) as orderers:
            for work in (
                anext(aiter(orderers.deliver("orderer1", 0))),
                orderers.height("orderer1"),
                orderers.progress("orderer1", 1),
            ):
                with pytest.raises(ConnectionFailed, match=REFUSED):
                    await work
    assert impostors.heard == 0


async def test_who_joins_late_fetches_blocks_after_a_renewal(impostors: Impostors) -> None:
    renewed = impostors.paper.organisations["OrdererMSP"].issue("orderer1", "orderer")
    async with impostors.listening(renewed), committer(impostors) as orderers:
        with pytest.raises(GridLedgerError, match=REACHED):
            await orderers.height("orderer1")
    assert impostors.heard == 1


async def test_a_new_root_that_is_no_other_members_will_do(impostors: Impostors) -> None:
    successor = PaperOrganisation("OrdererMSP renewed")
    renewed = successor.issue("orderer1", "orderer")
    async with impostors.listening(renewed):
        async with committer(impostors, f"# local\n{successor.root}") as orderers:
            with pytest.raises(GridLedgerError, match=REACHED):
                await orderers.height("orderer1")
        assert impostors.heard == 1
        async with committer(impostors) as orderers:
            with pytest.raises(ConnectionFailed, match="CERTIFICATE_VERIFY_FAILED"):
                await orderers.height("orderer1")

"""A channel as the edge sees it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from gridledger.errors import GridLedgerError, PermissionDeniedError
from gridledger.identity.errors import CertificateExpired, UnknownAuthority
from gridledger.protocol.config import Forwarder
from services.peer.channel import Channel, Channels
from tests.support.paper import NOW_US, PaperNetwork, PaperOrganisation, PaperPeer


def test_caller_is_looked_up_on_every_channel(tmp_path: Path) -> None:
    one, two = PaperNetwork("one", organisations=1, policy="'Org1MSP.peer'"), PaperNetwork("two")
    first = Channel(PaperPeer(tmp_path, one).ledger)
    second = Channel(PaperPeer(tmp_path, two).ledger)
    channels = Channels({"one": first, "two": second})
    assert channels.identify(two.clients["Org2MSP"].certificate, NOW_US).mspid == "Org2MSP"
    assert [channel.name for channel in channels.all()] == ["one", "two"]
    with pytest.raises(UnknownAuthority):
        channels.identify(PaperOrganisation("ElsewhereMSP").issue("eve", "client").certificate, NOW_US)
    with pytest.raises(CertificateExpired):
        channels.identify(two.clients["Org2MSP"].certificate, 4_000_000_000_000_000)
    with pytest.raises(GridLedgerError, match="GET /channels lists"):
        channels["three"]


async def test_waiting_for_a_height(tmp_path: Path) -> None:
    paper = PaperNetwork()
    peer = PaperPeer(tmp_path, paper)
    channel = Channel(peer.ledger)
    assert await channel.reach(1, 0.0)
    waits = [asyncio.create_task(channel.reach(height, 5.0)) for height in (3, 2, 3)]
    late = asyncio.create_task(channel.reach(9, 0.05))
    cancelled = asyncio.create_task(channel.reach(4, 5.0))
    await asyncio.sleep(0)
    cancelled.cancel()
    channel.committed(peer.commit(paper.transaction({"k": 1})))
    assert await waits[1]
    assert not waits[0].done()
    channel.committed(peer.commit(paper.transaction({"k": 1})))
    assert all(await asyncio.gather(waits[0], waits[2]))
    assert not await late
    assert channel._waiting == []


def test_who_may_bring_what_another_has_signed(tmp_path: Path) -> None:
    paper = PaperNetwork()
    organisation = paper.organisations["Org2MSP"]
    bridge, namesake = organisation.issue("bridge", "client"), paper.organisations["Org1MSP"].issue("bridge", "client")
    paper.config = replace(paper.config, forwarders=frozenset([Forwarder("Org2MSP", "bridge")]))
    channel = Channel(PaperPeer(tmp_path, paper).ledger)
    creator = paper.client.certificate
    renewed = paper.organisations["Org1MSP"].issue("client", "client")
    for allowed in (paper.client, renewed, paper.peers["peer2"], bridge):
        channel.check_bearer(paper.identity(allowed), creator, NOW_US)
    same_subject_elsewhere, other_role = (
        paper.clients["Org2MSP"],
        paper.organisations["Org1MSP"].issue("client", "admin"),
    )
    assert same_subject_elsewhere.certificate.subject_der == creator.subject_der
    for refused in (same_subject_elsewhere, other_role, namesake, paper.orderers["orderer1"]):
        with pytest.raises(PermissionDeniedError, match="may not bring what 'client' has signed"):
            channel.check_bearer(paper.identity(refused), creator, NOW_US)

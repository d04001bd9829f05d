"""All admins but Org1's sign updates that change Org1: refused at submission, and in blocks, by every node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gridledger.client.queries import read_config
from gridledger.errors import GridLedgerError, PermissionDeniedError
from gridledger.protocol.config import ChannelConfig
from gridledger.protocol.config_update import ConfigUpdate
from tests.support.forgery import Forger, now_us
from tests.support.local_network import LocalNetwork, local_network
from tests.support.network_configs import CHANNEL, few_nodes
from tests.support.paper import PaperOrganisation

pytestmark = [pytest.mark.integration, pytest.mark.deep]

ORDERERS = ("orderer1", "orderer2", "orderer3")
PEERS = ("peer1", "peer2", "peer3")
REFUSALS = ("PERMISSION_DENIED", "INVALID_CONFIG_UPDATE")


@pytest.fixture
def network(tmp_path: Path) -> Iterator[LocalNetwork]:
    with local_network(few_nodes(orderers=3, peers=3, endorsers=2), tmp_path) as network:
        yield network


def attacks(config: ChannelConfig, evil: PaperOrganisation) -> dict[str, ChannelConfig]:
    """What the others would change of Org1, by name."""
    org1, peer1 = config.organisations["Org1MSP"], config.peers["peer1"]
    theirs = replace(peer1, certificate=evil.issue("peer1", "peer").certificate)
    following = replace(config, sequence=config.sequence + 1)

    def entry(**changed: object) -> ChannelConfig:
        changes = {**config.organisations, "Org1MSP": replace(org1, **changed)}  # type: ignore[arg-type]
        return replace(following, organisations=changes)

    return {
        "root": entry(roots=(evil.root,)),
        "peer's certificate": replace(following, peers={**config.peers, "peer1": theirs}),
        "anchor": entry(anchors=("peer1",)),
    }


def without_org1(config: ChannelConfig) -> ChannelConfig:
    others = {mspid: item for mspid, item in config.organisations.items() if mspid != "Org1MSP"}
    return replace(config.with_organisations(others), sequence=config.sequence + 1)


def returned(config: ChannelConfig, first: ChannelConfig, evil: PaperOrganisation) -> ChannelConfig:
    """Org1 back under a root of the others'."""
    again = replace(first.organisations["Org1MSP"], roots=(evil.root,))
    back = config.with_organisations({**config.organisations, "Org1MSP": again})
    return replace(back, sequence=config.sequence + 1)


def signed_by_the_others(network: LocalNetwork, config: ChannelConfig) -> bytes:
    admins = [network.admin(name) for name in ("Org2", "Org3", "Orderer")]
    return ConfigUpdate.build(config, admins, time_us=now_us()).to_bytes()


async def config_at(network: LocalNetwork, peer: str) -> ChannelConfig:
    async with network.node(peer, network.admin("Org2")) as node:
        return await read_config(node, CHANNEL)


async def refused_by_all(network: LocalNetwork, forger: Forger, envelope: bytes) -> None:
    """At each orderer that leads or not, and at each peer's gateway."""
    for peer in ("peer2", "peer3"):
        async with network.node(peer, network.admin("Org2")) as node:
            with pytest.raises(GridLedgerError) as caught:
                await node.post("/gateway/submit", envelope)
        assert caught.value.code in REFUSALS, caught.value
    with pytest.raises(GridLedgerError) as caught:
        await forger.broadcast(envelope)
    assert caught.value.code in REFUSALS, caught.value


async def without_effect(network: LocalNetwork, forger: Forger, envelope: bytes, sequence: int) -> None:
    """Ordered unjudged, it stands in a block, and changes nothing at any node."""
    await forger.broadcast(envelope)
    height, _ = await network.agree(CHANNEL)
    for peer in ("peer2", "peer3"):
        assert await forger.codes(peer, height - 1) == ["INVALID_CONFIG_TRANSACTION"]
    for node in (*ORDERERS, *network.profile.channels[CHANNEL].peers):
        assert (await network.status(node, CHANNEL))["config_sequence"] == sequence, node


async def credulous(network: LocalNetwork) -> None:
    for name in ORDERERS:
        await network.stop(name)
        await network.start(name, "tests.support.credulous_orderer", wait=False)
    await network.leader(CHANNEL)


async def test_the_others_do_not_change_an_organisation(network: LocalNetwork) -> None:
    evil = PaperOrganisation("Org1MSP")
    async with network.gateway("peer2") as gateway:
        forger = await Forger.at(network, gateway)
        tries = attacks(await config_at(network, "peer2"), evil)
        envelopes = {what: signed_by_the_others(network, following) for what, following in tries.items()}
        for envelope in envelopes.values():
            with pytest.raises(PermissionDeniedError) as caught:
                await forger.broadcast(envelope)
            assert caught.value.details["policy"] == "/Channel/Application/Org1MSP/Admins"
            assert caught.value.details["missing"] == ["Org1MSP"]
            await refused_by_all(network, forger, envelope)
        await credulous(network)
        for envelope in envelopes.values():
            await without_effect(network, forger, envelope, 0)
        assert (await forger.contract.submit_with_status("put", "after", 1))[1].code.name == "VALID"


async def test_the_others_do_not_become_an_organisation_by_removal(network: LocalNetwork) -> None:
    evil = PaperOrganisation("Org1MSP")
    async with network.gateway("peer2") as gateway:
        forger = await Forger.at(network, gateway)
        first = await config_at(network, "peer2")
        removed = without_org1(first)
        await network.stop("peer1")
        await forger.broadcast(signed_by_the_others(network, removed))
        network.profile.channels[CHANNEL] = network.profile.channels[CHANNEL].model_copy(
            update={"peers": ("peer2", "peer3")}
        )
        await network.agree(CHANNEL)
        assert (await config_at(network, "peer2")).text == removed.text
        envelope = signed_by_the_others(network, returned(removed, first, evil))
        await refused_by_all(network, forger, envelope)
        await credulous(network)
        await without_effect(network, forger, envelope, 1)

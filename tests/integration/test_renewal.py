"""Nodes renew their certificates one after the other, while clients go on; one that joins afterwards catches up."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from gridledger.client import Contract, EndorseError, Gateway
from gridledger.client.ca import CAClient
from gridledger.errors import GridLedgerError
from gridledger.identity.signer import SigningIdentity
from gridledger.protocol.config import ChannelConfig, Node
from gridledger.protocol.config_update import ConfigUpdate
from tests.support.forgery import now_us
from tests.support.local_network import LocalNetwork, local_network
from tests.support.network_configs import CHANNEL, few_nodes
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration

RENEWED = ("peer2", "orderer1", "orderer2", "orderer3")


def home(network: LocalNetwork, name: str) -> Path:
    return network.folder.node(name) / "msp"


async def renewed(network: LocalNetwork, folder: Path) -> dict[str, SigningIdentity]:
    """A second certificate for each of the nodes, which nobody uses yet."""
    ca, found = network.profile.ca, {}
    for name in RENEWED:
        client = CAClient(ca.url, network.entry(name).organisation, ca.tls_root)
        found[name] = await client.reenroll(SigningIdentity.load(home(network, name)), directory=folder / name)
    return found


def with_nodes(config: ChannelConfig, changed: Mapping[str, Node]) -> ChannelConfig:
    """The configuration that follows, with these nodes."""
    peers = {name: changed.get(name, node) for name, node in config.peers.items()}
    orderers = {name: changed.get(name, node) for name, node in config.orderers.items()}
    return replace(config, sequence=config.sequence + 1, peers=peers, orderers=orderers)


async def update(network: LocalNetwork, gateway: Gateway, following: ChannelConfig) -> None:
    """Have a configuration hold on all nodes."""
    admins = [network.admin(name) for name in ("Org1", "Org2", "Orderer")]
    envelope = ConfigUpdate.build(following, admins, time_us=now_us()).to_bytes()
    await gateway.node.post("/gateway/submit", envelope, params={"wait": "commit"})
    assert await gateway.get_network(CHANNEL).get_config() == following
    await network.agree(CHANNEL)


async def committed(contract: Contract, key: str) -> None:
    """Wait until a transaction goes through: a node that was restarted is found again."""

    async def submitted() -> bool:
        _, status = await contract.submit_with_status("put", key, 1)
        return status.successful

    await eventually(submitted, within_s=20, what=f"a commit of {key}", ignore=(GridLedgerError,))


@pytest.mark.deep
async def test_nodes_renew_their_certificates_while_clients_go_on(tmp_path: Path) -> None:
    with local_network(few_nodes(orderers=3, peers=2), tmp_path / "network") as network:
        async with network.gateway("peer1") as gateway:
            contract = gateway.get_network(CHANNEL).get_contract("kv")
            before = {name: SigningIdentity.load(home(network, name)) for name in RENEWED}
            after = await renewed(network, tmp_path / "renewed")
            await contract.submit_transaction("put", "before", 1)

            # Both certificates are good; each node goes over to its new one by a restart.
            config = await gateway.get_network(CHANNEL).get_config()
            nodes = {**config.peers, **config.orderers}
            both = {name: replace(nodes[name], renewed=after[name].certificate) for name in RENEWED}
            await update(network, gateway, with_nodes(config, both))
            for name in RENEWED:
                await network.stop(name)
                after[name].save(home(network, name))
                await network.start(name)
                await committed(contract, f"with-{name}")

            # Only the new ones are good from now on.
            config = await gateway.get_network(CHANNEL).get_config()
            alone = {
                name: replace(node, certificate=after[name].certificate, renewed=None) for name, node in both.items()
            }
            await update(network, gateway, with_nodes(config, alone))
            await contract.submit_transaction("put", "after", 1)

            # A peer that begins with block 0 meets orderers of which it knows no certificate.
            await network.stop("peer2")
            shutil.rmtree(network.folder.node("peer2") / "data" / "ledger")
            await network.start("peer2")
            await network.agree(CHANNEL)
            await committed(contract, "joined")

            # A node that comes back with its old certificate is another one.
            await network.stop("peer2")
            before["peer2"].save(home(network, "peer2"))
            await network.start("peer2")
            with pytest.raises(EndorseError, match=r"peer2: WRONG_NODE: .*this is not peer2") as caught:
                await contract.submit_transaction("put", "old", 1)
            told = caught.value.details["peers"]["peer2"]
            assert before["peer2"].fingerprint in told
            assert after["peer2"].fingerprint in told

"""What nodes tell of themselves: to members how far their channels are, to their own admins everything."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest

import gridledger as library
from gridledger.client.node_status import NodeStatus
from gridledger.errors import GridLedgerError
from gridledger.network.schema import NetworkConfig
from tests.support.command import gridledger
from tests.support.local_network import LocalNetwork, local_network
from tests.support.network_configs import CHANNEL, few_nodes

pytestmark = pytest.mark.integration
OWN = "own"
"""A channel of peer1 alone."""

TO_MEMBERS = {"node", "mspid", "version", "certificate_not_after_us", "channels"}
TO_ADMINS = {
    "peer1": {"chaincodes", "peers_left_out", "commit_waiters", "settings"},
    "orderer1": {"settings"},
}
OF_A_CHANNEL = {
    "peer1": {"height", "commit_hash", "config_sequence", "leader", "standing"},
    "orderer1": {"channel", "height", "last_hash", "config_sequence", "leader", "term", "standing"},
}
OF_A_CHANNEL_TO_ADMINS = {
    "peer1": {"orderer", "reason", "queued", "behind", "indexed"},
    "orderer1": {
        *("role", "queued", "broken", "clock", "different", "damaged_blocks"),
        *("voters", "learners", "step", "catching_up"),
    },
}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNetwork]:
    described = few_nodes(peers=2).model_dump(mode="json")
    described["channels"][OWN] = {"peers": ["peer1"], "chaincodes": {}}
    described["peers"][1]["settings"] = {**described["peers"][1]["settings"], "metrics_readers": ["Org1MSP/prometheus"]}
    with local_network(NetworkConfig.model_validate(described), tmp_path_factory.mktemp("status")) as network:
        yield network


async def _told(network: LocalNetwork, node: str, organisation: str, user: str) -> dict[str, Any]:
    identity = network.admin(organisation) if user == "admin" else await network.client(organisation, user)
    async with network.node(node, identity) as client:
        return dict(await client.get_json("/status"))


@pytest.mark.parametrize("node", ["peer1", "orderer1"])
@pytest.mark.parametrize("user", ["app", "admin"])
async def test_a_member_hears_how_far_its_channels_are(network: LocalNetwork, node: str, user: str) -> None:
    """An admin of another organisation is a member like others."""
    told = await _told(network, node, "Org2", user)
    assert told.keys() == TO_MEMBERS
    assert told["channels"].keys() == {CHANNEL}
    assert told["channels"][CHANNEL].keys() == OF_A_CHANNEL[node]
    assert (told["node"], told["version"]) == (node, library.__version__)
    # A peer hears of the leader when it has something to be ordered.
    assert told["channels"][CHANNEL]["leader"] in (("orderer1",) if node == "orderer1" else (None, "orderer1"))
    entry = network.folder.node(node) / "msp"
    assert told["certificate_not_after_us"] == type(network.admin("Org1")).load(entry).certificate.not_after_us


@pytest.mark.parametrize(("node", "organisation"), [("peer1", "Org1"), ("orderer1", "Orderer")])
async def test_a_nodes_own_admin_hears_all(network: LocalNetwork, node: str, organisation: str) -> None:
    told = await _told(network, node, organisation, "admin")
    assert told.keys() == TO_MEMBERS | TO_ADMINS[node]
    assert told["channels"].keys() == {CHANNEL, OWN}
    assert told["channels"][OWN].keys() == OF_A_CHANNEL[node] | OF_A_CHANNEL_TO_ADMINS[node]
    assert told["settings"]["name"] == node
    read = NodeStatus.from_dict(told)
    assert read.channels[OWN].queued == 0
    if node == "peer1":
        assert (read.commit_waiters, read.channels[OWN].behind) == (0, 0)
        assert read.channels[OWN].indexed == read.channels[OWN].height


async def test_a_client_of_the_nodes_organisation_is_no_admin(network: LocalNetwork) -> None:
    told = await _told(network, "peer1", "Org1", "app")
    assert told.keys() == TO_MEMBERS
    assert told["channels"].keys() == {CHANNEL, OWN}


async def test_a_reader_hears_of_a_channel_at_an_orderer_what_members_hear(network: LocalNetwork) -> None:
    path, everything = f"/channels/{CHANNEL}", OF_A_CHANNEL["orderer1"] | OF_A_CHANNEL_TO_ADMINS["orderer1"]
    for organisation, members in (("Org2", OF_A_CHANNEL["orderer1"]), ("Orderer", everything)):
        async with network.node("orderer1", network.admin(organisation)) as node:
            assert (await node.get_json(path)).keys() == members
    async with network.node("orderer1", network.admin("Org2")) as node:
        with pytest.raises(GridLedgerError) as caught:
            await node.get_json(f"/channels/{OWN}")
    assert (caught.value.status, caught.value.code) == (401, "UNKNOWN_AUTHORITY")


async def test_names_and_faults_of_channels_are_told_to_whom_they_concern(network: LocalNetwork) -> None:
    for organisation, channels, left_out in (("Org2", [CHANNEL], set()), ("Org1", [CHANNEL, OWN], {"left_out"})):
        async with network.node("peer1", network.admin(organisation)) as node:
            assert sorted((await node.get_json("/channels"))["channels"]) == sorted(channels)
            peers = (await node.get_json(f"/channels/{CHANNEL}/peers"))["peers"]
            assert peers["peer2"].keys() == {"mspid", "url"} | left_out
            with pytest.raises(GridLedgerError) as caught:
                await node.get_json("/channels/nowhere")
            assert OWN not in caught.value.message
            assert caught.value.details == {}
            assert (await node.get_json("/healthz")).keys() == {"service", "node", "status"}


async def test_metrics_are_for_own_admins_and_whom_the_node_names(network: LocalNetwork) -> None:
    """Prometheus comes as a client whom peer2's settings name."""
    prometheus, other = await network.client("Org1", "prometheus"), await network.client("Org1", "app")
    for node, identity, may in (
        ("peer1", network.admin("Org1"), True),
        ("orderer1", network.admin("Orderer"), True),
        ("peer2", prometheus, True),
        ("peer1", prometheus, False),
        ("peer2", other, False),
        ("peer2", network.admin("Org1"), False),
        ("orderer1", network.admin("Org1"), False),
    ):
        async with network.node(node, identity) as client:
            with nullcontext() if may else pytest.raises(GridLedgerError, match="metrics are for admins of the node's"):
                assert b"gridledger_http_requests_total" in await client.get("/metrics")


async def test_the_command_asks_as_one_user(network: LocalNetwork) -> None:
    """It needs nobody else's key; what the user may not read is said to be so."""
    mine = network.profile.user("Org1", "admin")
    away = mine.with_name("away")
    mine.rename(away)
    try:
        shown = await asyncio.to_thread(gridledger, "status", "--dir", network.folder.root, "--user", "Org2/admin")
    finally:
        away.rename(mine)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert f"{OWN}: nothing is told to this user" in shown.stdout
    assert f"{CHANNEL}: leader orderer1, peers agree" in shown.stdout
    assert f"peer1        up    {library.__version__}" in shown.stdout


async def test_the_command_asks_as_the_networks_first_user(network: LocalNetwork) -> None:
    shown = await asyncio.to_thread(gridledger, "status", "--dir", network.folder.root, "--json")
    state = json.loads(shown.stdout)
    assert shown.returncode == 0
    assert state["channels"][OWN]["peers"].keys() == {"peer1"}
    assert state["told"].keys() == {"orderer1", "peer1", "peer2"}
    assert network.profile.user_folder() == network.profile.user("Org1", "admin")

"""A network that changes while it is used: organisations, peers, channels and orderers come, move and go; what was
acknowledged stays, and the network starts again as it now is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from gridledger.client.profile import load_profile
from gridledger.errors import GridLedgerError, InputError
from gridledger.network.changes.changing_network import ChangingNetwork
from gridledger.network.changes.channels import create_channel, leave
from gridledger.network.changes.orderers import move_orderer, replace_orderer
from gridledger.network.changes.organisations import add_organisation, remove_organisation
from gridledger.network.changes.peers import add_peer, move_peer, remove_peer
from gridledger.network.config_changes import present_config
from gridledger.network.schema import NodeSpec, OrganisationSpec
from gridledger.protocol.codes import TxValidationCode as Code
from tests.support.command import gridledger
from tests.support.local_network import LocalNetwork, local_network
from tests.support.network_configs import CHANNEL, few_nodes
from tests.support.processes import free_ports
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration

ORG3 = OrganisationSpec(name="Org3", mspid="Org3MSP", kind="application")


class CutShort(Exception):
    """A command that ends in the midst of its work."""


def changing(network: LocalNetwork) -> ChangingNetwork:
    return ChangingNetwork(network.folder, print)


async def through_cuts(network: LocalNetwork, change: Callable[[ChangingNetwork], Awaitable[None]]) -> int:
    """Make a change that is cut short behind each step that is new; how often it was."""
    seen: set[str] = set()

    def say(line: str) -> None:
        if line not in seen:
            seen.add(line)
            raise CutShort(line)

    for _ in range(100):
        try:
            await change(ChangingNetwork(network.folder, say))
        except CutShort:
            continue
        return len(seen)
    raise AssertionError(f"it does not end: {seen}")


def renewed(network: LocalNetwork) -> None:
    """Have the test know the network as it now is."""
    network.profile = load_profile(network.folder.root)
    network.roots = network.profile.roots.read_text(encoding="ascii")


async def put(network: LocalNetwork, peer: str, channel: str = CHANNEL, *, endorsed_by: str | None = None) -> str:
    """Have a transaction committed through a peer; its id."""
    async with network.gateway(peer) as gateway:
        contract = gateway.get_network(channel).get_contract("kv")
        organisations = [endorsed_by] if endorsed_by else None
        _, status = await contract.submit_with_status("put", peer, 1, endorsing_organisations=organisations)
        assert status.code is Code.VALID
        return status.tx_id


@asynccontextmanager
async def under_load(network: LocalNetwork, acknowledged: set[str]) -> AsyncIterator[None]:
    """Transactions through peer1, one behind the other, while the block lasts; those that committed are noted."""
    ended = asyncio.Event()

    async def submit() -> None:
        async with network.gateway("peer1") as gateway:
            contract = gateway.get_network(CHANNEL).get_contract("kv")
            while not ended.is_set():
                try:
                    _, status = await contract.submit_with_status("put", "load", len(acknowledged))
                except GridLedgerError:
                    continue
                acknowledged.add(status.tx_id)

    work = asyncio.create_task(submit())
    try:
        yield
    finally:
        before = len(acknowledged)

        async def goes_on() -> bool:
            return len(acknowledged) > before

        await eventually(goes_on, within_s=30, what="transactions that commit")
        ended.set()
        await work


async def on_chain(network: LocalNetwork, peer: str, acknowledged: set[str]) -> bool:
    verdicts = await network.verdicts(peer, CHANNEL)
    return all(verdicts.get(tx_id) == [Code.VALID] for tx_id in acknowledged)


@pytest.mark.deep
async def test_an_organisation_comes_endorses_and_goes(tmp_path: Path) -> None:
    config, acknowledged = few_nodes(orderers=3, peers=2, endorsers=1), set[str]()
    port, moved = free_ports(2)
    with local_network(config, tmp_path) as network:
        pids = {name: network.pid(name) for name in ("ca", "orderer1", "orderer2", "orderer3", "peer1")}
        async with under_load(network, acknowledged):
            peer3 = NodeSpec(name="peer3", organisation="Org3", port=port)
            assert await through_cuts(network, lambda here: add_organisation(here, ORG3, [CHANNEL])) >= 3
            assert await through_cuts(network, lambda here: add_peer(here, peer3, [CHANNEL])) >= 4
            renewed(network)
            acknowledged.add(await put(network, "peer3", endorsed_by="Org3MSP"))
            await create_channel(changing(network), "more", like=CHANNEL, peers=["peer1", "peer3"])
            renewed(network)
            await put(network, "peer3", "more")
            await move_peer(changing(network), "peer2", moved)
            renewed(network)
            acknowledged.add(await put(network, "peer2"))
            await leave(changing(network), "more", "peer3")
            assert await through_cuts(network, lambda here: remove_organisation(here, "Org3")) >= 3
        renewed(network)
        assert network.folder.node("peer3.removed-1").exists()
        assert not network.folder.node("peer3").exists()
        assert await on_chain(network, "peer2", acknowledged)
        # Nobody was started anew but the peer that moved.
        assert pids == {name: network.pid(name) for name in pids}
        assert not any(network.log(name).count('"message": "listening"') > 1 for name in pids)
    with local_network(config, tmp_path) as again:
        assert again.entry("peer2").url.endswith(f":{moved}")
        assert again.profile.channels["more"].peers == ("peer1",)
        assert "peer3" not in again.profile.peers
        await put(again, "peer1", "more")
        await put(again, "peer2")
        await again.agree(CHANNEL)
        assert await on_chain(again, "peer1", acknowledged)


async def an_update_travels_before_it_holds(network: LocalNetwork, file: Path) -> None:
    """What would be changed is written for others to sign, and holds when somebody submits it."""
    place = ("--dir", str(network.folder.root))

    async def anchors() -> tuple[str, ...]:
        return (await present_config(network.profile, CHANNEL)).organisations["Org2MSP"].anchors

    change = ("org", "update", "Org2", "--anchor", "peer2", "--channel", CHANNEL, "--output", str(file))
    assert (await asyncio.to_thread(gridledger, *change, *place)).returncode == 0
    assert await anchors() == ()
    submit = ("channel", "update", "submit", str(file), "--user", "Org1/admin")
    assert (await asyncio.to_thread(gridledger, *submit, *place)).returncode == 0
    assert await anchors() == ("peer2",)


async def test_what_a_channel_cannot_be_without_is_told_before_anything_changes(tmp_path: Path) -> None:
    config = few_nodes(peers=2)
    with local_network(config, tmp_path) as network:
        with pytest.raises(InputError, match=f"{CHANNEL} cannot be without Org2MSP"):
            await remove_organisation(changing(network), "Org2")
        await an_update_travels_before_it_holds(network, tmp_path / "update.json")
        await remove_peer(changing(network), "peer2")
        assert network.folder.node("peer2.removed-1").exists()
        renewed(network)
        with pytest.raises(InputError, match="peer1 is the only peer of"):
            await remove_peer(changing(network), "peer1")
        assert load_profile(network.folder.root).channels[CHANNEL].peers == ("peer1",)


@pytest.mark.deep
async def test_an_orderer_is_replaced_and_another_one_moves(tmp_path: Path) -> None:
    config, acknowledged = few_nodes(orderers=3), set[str]()
    port, moved = free_ports(2)
    with local_network(config, tmp_path) as network:
        async with under_load(network, acknowledged):
            leader = await network.leader(CHANNEL)
            other = next(name for name in network.profile.orderers if name != leader)
            replacing = partial(replace_orderer, old=leader, new="orderer4", port=port)
            assert await through_cuts(network, replacing) >= 5
            renewed(network)
            await move_orderer(changing(network), other, moved)
            renewed(network)
        assert await on_chain(network, "peer1", acknowledged)
    with local_network(config, tmp_path) as again:
        assert again.profile.orderers.keys() == {"orderer1", "orderer2", "orderer3", "orderer4"} - {leader}
        assert again.entry(other).url.endswith(f":{moved}")
        await put(again, "peer1")
        await again.agree(CHANNEL)
        assert await on_chain(again, "peer1", acknowledged)

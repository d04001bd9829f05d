"""Orderers as real processes that are replaced one after another under load, with kill -9 at every step."""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from gridledger.client import Gateway
from gridledger.client.profile import NodeEntry
from gridledger.client.queries import read_config_block
from gridledger.errors import GridLedgerError
from gridledger.incarnation import Incarnation, node_of
from gridledger.network.bootstrap import described_node, furnish_node
from gridledger.network.changes.changing_network import ChangingNetwork
from gridledger.network.changes.enrolment import enroll_node
from gridledger.network.processes import services_of
from gridledger.network.schema import NodeSpec
from gridledger.protocol.config import Node
from gridledger.protocol.config_update import ConfigUpdate
from tests.support.forgery import now_us
from tests.support.local_network import LocalNetwork, local_network
from tests.support.network_configs import CHANNEL, few_nodes
from tests.support.processes import hold_ports
from tests.support.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.deep, pytest.mark.timeout(600)]

WITHIN_S = 60.0


@pytest.fixture
def network(tmp_path: Path) -> Iterator[LocalNetwork]:
    """Snapshots come soon, so that who joins fetches blocks too."""
    settings = {"raft": {"snapshot_entries": 20, "trailing_entries": 5}}
    with local_network(few_nodes(orderers=3, orderer_settings=settings), tmp_path) as running:
        yield running


class Load:
    """One client that goes on, and what was acknowledged to it."""

    def __init__(self, gateway: Gateway) -> None:
        self._contract = gateway.get_network(CHANNEL).get_contract("kv")
        self.acknowledged: list[str] = []

    async def run(self) -> None:
        """Send until cancelled; a refusal while nobody leads is no matter."""
        while True:
            try:
                _, status = await self._contract.submit_with_status("put", "k", len(self.acknowledged))
            except GridLedgerError:
                await asyncio.sleep(0.05)
            else:
                self.acknowledged.append(status.tx_id)

    async def more(self, count: int) -> None:
        """Wait until so many more are acknowledged."""
        until = len(self.acknowledged) + count

        async def enough() -> bool:
            return len(self.acknowledged) >= until

        await eventually(enough, within_s=WITHIN_S, what=f"{count} transactions more")


@asynccontextmanager
async def load_on(network: LocalNetwork) -> AsyncIterator[Load]:
    async with network.gateway("peer1") as gateway:
        load = Load(gateway)
        running = asyncio.create_task(load.run())
        try:
            yield load
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


async def new_orderer(network: LocalNetwork, name: str) -> Node:
    """Enrol an orderer and furnish its folder; its process is known to the test's network, and not started."""
    (port,) = hold_ports([0])
    spec = NodeSpec(name=name, organisation="Orderer", port=port, settings=network.config.orderers[0].settings)
    network.config = network.config.model_copy(update={"orderers": (*network.config.orderers, spec)})
    changing, home = ChangingNetwork(network.folder, say=lambda _: None), network.folder.node(name)
    await enroll_node(changing, spec, "orderer")
    furnish_node(network.config, network.folder, spec, [CHANNEL])
    # The orderers of the genesis block may all be gone: this says who there is now.
    newest = await changing.from_a_peer(CHANNEL, partial(read_config_block, channel=CHANNEL))
    (home / "channels" / f"{CHANNEL}.config").write_bytes(newest)
    Incarnation(name, secrets.token_hex(4), joins=True).write(home / "data")
    entry = NodeEntry(url=network.config.url(spec), organisation="Orderer", mspid="OrdererMSP")
    network.profile = network.profile.model_copy(update={"orderers": {**network.profile.orderers, name: entry}})
    stages = services_of(network.config, network.folder)
    network.know(next(service for stage in stages for service in stage if service.name == name))
    return described_node(network.config, network.folder, spec)


async def replace_orderer(network: LocalNetwork, gone: str, new: Node) -> None:
    """Have the configuration name ``new`` in place of ``gone``."""
    admins = [network.admin(name) for name in ("Org1", "Orderer")]

    async def taken() -> bool:
        async with network.gateway("peer1") as gateway:
            config = await gateway.get_network(CHANNEL).get_config()
            if new.name in config.orderers:
                return True
            nodes = {name: node for name, node in config.orderers.items() if name != gone}
            after = replace(config.with_orderers({**nodes, new.name: new}), sequence=config.sequence + 1)
            envelope = ConfigUpdate.build(after, admins, time_us=now_us()).to_bytes()
            await gateway.node.post("/gateway/submit", envelope, params={"wait": "commit"})
            return False

    await eventually(taken, within_s=WITHIN_S, what=f"{new.name} in the configuration", ignore=(GridLedgerError,))


class Replacement:
    """One replacement under way, and who may be killed in it."""

    def __init__(self, network: LocalNetwork, gone: str, new: str) -> None:
        self.network = network
        self.gone = gone
        self.new = new
        self.killed: list[str] = []

    async def state(self) -> dict[str, Any]:
        """What whoever leads says; empty where nobody does."""
        for name in self.network.profile.orderers:
            with suppress(GridLedgerError):
                state = await self.network.status(name, CHANNEL)
                if state["role"] == "leader":
                    return state
        return {}

    async def until(self, condition: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        """Wait until the leader's state is so."""

        async def found() -> dict[str, Any]:
            state = await self.state()
            return state if state and condition(state) else {}

        return await eventually(found, within_s=WITHIN_S, what=what)

    async def kill_leader(self) -> None:
        state = await self.until(lambda _: True, "a leader")
        await self.kill(state["leader"])

    async def kill(self, name: str) -> None:
        self.killed.append(name)
        await self.network.kill(name)

    def joins(self, state: dict[str, Any]) -> bool:
        return self.new in map(node_of, (*state["learners"], *state["voters"]))

    def votes(self, state: dict[str, Any]) -> bool:
        return self.new in map(node_of, state["voters"])

    def done(self, state: dict[str, Any]) -> bool:
        return self.votes(state) and self.gone not in map(node_of, state["voters"])


async def kill_the_leader_before_the_new_one_comes(now: Replacement) -> None:
    await now.kill_leader()
    await now.network.start(now.new, wait=False)


async def kill_the_new_one_as_a_learner(now: Replacement) -> None:
    await now.network.start(now.new, wait=False)
    await now.until(now.joins, "the learner")
    await now.kill(now.new)


async def kill_the_leader_within_a_round(now: Replacement) -> None:
    """The new one hangs as soon as it is a learner, and goes on when another one leads."""
    await now.network.start(now.new, wait=False)
    await now.until(now.joins, "the learner")
    now.network.pause(now.new)
    try:
        await now.kill_leader()
    finally:
        now.network.resume(now.new)


async def kill_the_leader_at_the_promotion(now: Replacement) -> None:
    await now.network.start(now.new, wait=False)
    await now.until(now.votes, "the promotion")
    await now.kill_leader()


async def kill_the_new_one_before_the_removal(now: Replacement) -> None:
    await now.network.start(now.new, wait=False)
    await now.until(now.votes, "the promotion")
    await now.kill(now.new)


async def kill_the_leader_after_the_removal(now: Replacement) -> None:
    await now.network.start(now.new, wait=False)
    await now.until(now.done, "the removal")
    await now.kill_leader()


KILLS: list[Callable[[Replacement], Awaitable[None]]] = [
    kill_the_leader_before_the_new_one_comes,
    kill_the_new_one_as_a_learner,
    kill_the_leader_within_a_round,
    kill_the_leader_at_the_promotion,
    kill_the_new_one_before_the_removal,
    kill_the_leader_after_the_removal,
]


async def test_a_kill_at_any_step_of_a_replacement_only_delays_it(network: LocalNetwork) -> None:
    """The leader is replaced by turns with one that follows, until none of the first three is left."""
    orderers = list(network.profile.orderers)
    async with load_on(network) as load:
        await load.more(30)
        for number, kill in enumerate(KILLS, 4):
            leader = await network.leader(CHANNEL)
            gone = leader if number % 2 else next(name for name in orderers if name != leader)
            new = await new_orderer(network, f"orderer{number}")
            await replace_orderer(network, gone, new)
            now = Replacement(network, gone, new.name)
            await kill(now)
            for name in now.killed:
                await network.start(name, wait=False)
            await now.until(now.done, f"{kill.__name__}: {new.name} in the place of {gone}")
            await removed(network, gone)
            orderers = [*(name for name in orderers if name != gone), new.name]
            network.profile = network.profile.model_copy(
                update={"orderers": {name: network.profile.orderers[name] for name in orderers}}
            )
            await load.more(10)
    await network.agree(CHANNEL)
    verdicts = await network.verdicts("peer1", CHANNEL)
    assert verdicts.keys() >= set(load.acknowledged)
    async with network.gateway("peer1") as gateway:
        config = await gateway.get_network(CHANNEL).get_config()
    assert sorted(config.orderers) == sorted(orderers)


async def removed(network: LocalNetwork, name: str) -> None:
    """Wait until an orderer says that it is removed, and stop it."""

    async def says() -> bool:
        async with httpx.AsyncClient(verify=ssl.create_default_context(cafile=network.profile.roots)) as client:
            answer = await client.get(f"{network.entry(name).url}/healthz")
        return answer.json()["status"] == "removed"

    await eventually(says, within_s=WITHIN_S, what=f"{name} saying that it is removed", ignore=(httpx.HTTPError,))
    state = await network.status(name, CHANNEL)
    assert state["standing"] == "removed"
    assert "is removed" in network.log(name)
    await network.stop(name)

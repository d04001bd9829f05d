"""Orderers come and go by the channel's configuration, on virtual clocks and without faults."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from gridledger.incarnation import Incarnation, node_of
from gridledger.protocol import ChannelConfig
from gridledger.protocol.config_parts import Node
from services.orderer.errors import OrdererRemoved
from services.orderer.raft.interface import Role
from tests.simulation.world.machines import CHANNEL, OrdererMachine
from tests.simulation.world.run import world_folder
from tests.simulation.world.world import World

LONGEST_S = 60.0
Change = Callable[["ChangingWorld"], Awaitable[None]]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with world_folder() as made:
        yield made


class ChangingWorld(World):
    """A world whose orderers a test changes while clients send."""

    def __init__(self, seed: int, folder: Path, change: Change) -> None:
        super().__init__(seed, folder, only=frozenset())
        self._folder = folder
        self._change = change

    async def _go_through(self) -> None:
        for machine in self.machines.values():
            machine.start()
        self.clients.start()
        await self.until(lambda: self.leader is not None, "a leader")
        await self.until(lambda: len(self.oracle.acknowledged) > 30, "30 transactions")
        await self._change(self)
        ordered = len(self.oracle.acknowledged)
        await self.until(lambda: len(self.oracle.acknowledged) > ordered + 30, "30 transactions more")
        self.clients.stop()
        await self.until(self._of_one_mind, "one mind")
        await self.clients.last()
        await self.until(lambda: self.oracle.all_found and self._of_one_mind(), "one mind at the end")
        self._check_end()

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        await self._until(condition, LONGEST_S, every_s=0.05)
        assert condition() or self._violation, f"no {what} within {LONGEST_S} s: {self._minds()}"

    @property
    def leader(self) -> OrdererMachine | None:
        return next((machine for machine in self.orderers.values() if machine.leads), None)

    def voters(self) -> set[str]:
        """The names of Raft's voters, as the leader has them; none while others join or go."""
        leader = self.leader
        if leader is None or leader.orderer is None:
            return set()
        membership = leader.orderer.consensus.status(CHANNEL).membership
        return set() if membership.learners else {node_of(voter) for voter in membership.voters}

    def standing(self, name: str) -> str:
        orderer = self.orderers[name].orderer
        return "" if orderer is None else orderer.channels[CHANNEL].follower.standing

    def new_orderer(self, name: str) -> Node:
        """Furnish the machine of an orderer that the channel has not yet."""
        identity = self.paper.organisations["OrdererMSP"].issue(name, "orderer")
        self.paper.organisations["OrdererMSP"].furnish(identity, self._folder / name)
        some = next(iter(self.orderers.values())).settings
        machine = OrdererMachine(self, some.model_copy(update={"name": name, "identity": self._folder / name}))
        Incarnation(name, "00c0ffee", joins=True).write(machine.settings.data, machine.disk.mount(lambda: None))
        machine.furnished = True
        self.orderers[name] = self.machines[name] = machine
        self.network.urls[f"https://{name}"] = name
        return Node(name, "OrdererMSP", f"https://{name}", identity.certificate)

    def config(self) -> ChannelConfig:
        ledger = next(iter(self.peers.values())).ledger
        assert ledger is not None
        return ledger.config()

    async def set_orderers(self, *nodes: Node) -> None:
        """The admins change the channel's orderers to these."""
        peer = next(iter(self.peers.values()))
        assert peer.life is not None
        self.paper.config = self.config()
        after = self.paper.config.with_orderers({node.name: node for node in nodes})
        update = self.paper.update(orderers=after.orderers, departing_orderers=after.departing_orderers)
        await peer.life.do(peer.order(update.tx_id, update.to_bytes()))
        await self.until(lambda: self.config().orderers.keys() == after.orderers.keys(), "the new configuration")


def run(seed: int, folder: Path, change: Change) -> None:
    outcome = ChangingWorld(seed, folder, change).run()
    assert not outcome.violation, "\n".join((*outcome.recent[-60:], outcome.violation))


async def replace_orderer(world: ChangingWorld, gone: str) -> None:
    new = world.new_orderer("orderer4")
    rest = [node for node in world.config().orderers.values() if node.name != gone]
    await world.set_orderers(*rest, new)
    world.orderers["orderer4"].start()
    wanted = {"orderer4", *(node.name for node in rest)}
    await world.until(lambda: world.voters() == wanted, f"{gone} removed and orderer4 voting")
    assert world.leader is not None
    assert world.leader.name != gone
    await world.until(lambda: world.standing("orderer4") == "voter", "orderer4 knowing that it votes")
    await world.until(lambda: world.standing(gone) == "removed", f"{gone} knowing that it is removed")
    world.orderers[gone].gone = True
    await check_removed(world, gone)


async def check_removed(world: ChangingWorld, gone: str) -> None:
    """It says so, takes no envelopes, and disturbs nobody."""
    orderer = world.orderers[gone].orderer
    assert orderer is not None
    assert orderer.removed_channels() == [CHANNEL]
    assert orderer.describe(CHANNEL)["standing"] == "removed"
    with pytest.raises(OrdererRemoved, match=f"{gone} is no orderer of {CHANNEL} any more: ask .*orderer4"):
        orderer.channels[CHANNEL].follower.check_removed()
    await world.until(lambda: orderer.consensus.status(CHANNEL).role is Role.FOLLOWER, "end of its campaign")
    staying, until = world.orderers["orderer4"].orderer, world.loop.time() + 10.0
    assert staying is not None
    term = staying.consensus.status(CHANNEL).term
    while world.loop.time() < until:
        assert orderer.consensus.status(CHANNEL).role is Role.FOLLOWER
        await asyncio.sleep(0.05)
    assert staying.consensus.status(CHANNEL).term == term


@pytest.mark.parametrize("seed", range(3))
def test_a_leader_is_replaced(seed: int, folder: Path) -> None:
    async def change(world: ChangingWorld) -> None:
        assert world.leader is not None
        await replace_orderer(world, world.leader.name)

    run(seed, folder, change)

"""Orderers come and go by the channel's configuration, on virtual clocks and without faults."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from gridledger.incarnation import node_of
from gridledger.protocol import ChannelConfig, ConfigUpdate
from gridledger.protocol.config_parts import Node
from gridledger.protocol.config_update import is_config_block
from services.orderer.chain import Chain, fetched_block
from services.orderer.errors import OrdererRemoved, OrderersChanging
from services.orderer.raft.interface import Membership, Role
from tests.simulation.world.machines import CHANNEL
from tests.simulation.world.membership import furnish
from tests.simulation.world.orderer_machine import OrdererMachine
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
        return furnish(self, name, "00c0ffee")

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


def test_a_leader_is_replaced(folder: Path) -> None:
    async def change(world: ChangingWorld) -> None:
        assert world.leader is not None
        await replace_orderer(world, world.leader.name)

    run(1, folder, change)


def test_a_follower_is_replaced(folder: Path) -> None:
    async def change(world: ChangingWorld) -> None:
        assert world.leader is not None
        await replace_orderer(world, next(name for name in world.orderers if name != world.leader.name))

    run(2, folder, change)


STEPS: dict[str, Callable[[Membership, str], bool]] = {
    "the learner is added": lambda members, _: "orderer4" in map(node_of, members.learners),
    "it is promoted": lambda members, _: "orderer4" in map(node_of, members.voters),
    "the other one is removed": lambda members, gone: gone not in map(node_of, members.voters),
}
"""By what the leader's membership, in force before it is committed, shows that a step is under way."""


@pytest.mark.parametrize(("killed", "replaced"), [("whoever leads", "leader"), ("both", "follower")])
@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_any_step_only_delays(step: str, killed: str, replaced: str, folder: Path) -> None:
    async def change(world: ChangingWorld) -> None:
        assert world.leader is not None
        leader = world.leader.name
        gone = leader if replaced == "leader" else next(name for name in world.orderers if name != leader)
        killing = asyncio.ensure_future(kill_at(world, step, gone, killed))
        await replace_orderer(world, gone)
        assert killing.done(), f"{step}: nobody was killed"
        killing.result()

    run(sum(map(ord, step + killed + replaced)), folder, change)


async def kill_at(world: ChangingWorld, step: str, gone: str, killed: str) -> None:
    """Kill whoever is meant as soon as the leader takes a step, and start it again two seconds later."""

    def under_way() -> bool:
        leader = world.leader
        if leader is None or leader.orderer is None or "orderer4" not in world.orderers:
            return False
        return STEPS[step](leader.orderer.consensus.status(CHANNEL).membership, gone)

    while not under_way():  # noqa: ASYNC110 - nothing tells of a step that is not committed yet
        await asyncio.sleep(0.001)
    assert world.leader is not None
    machines = [world.leader]
    if killed == "both":
        machines.append(world.orderers["orderer4"])
    for machine in machines:
        await machine.end(power=True)
    await asyncio.sleep(2.0)
    for machine in machines:
        if machine.life is None:
            machine.start()


def test_all_orderers_are_replaced_and_every_block_can_be_verified(folder: Path) -> None:
    """Their successors keep the signatures of those that were there when a block was made."""

    async def change(world: ChangingWorld) -> None:
        for number in (4, 5, 6):
            gone, new = f"orderer{number - 3}", world.new_orderer(f"orderer{number}")
            rest = [node for node in world.config().orderers.values() if node.name != gone]
            await world.set_orderers(*rest, new)
            world.orderers[new.name].start()
            await world.until(lambda: world.voters() == set(world.config().orderers), f"{gone} replaced by {new.name}")
            world.orderers[gone].gone = True
            await world.orderers[gone].end(power=False)
        for name in world.config().orderers:
            orderer = world.orderers[name].orderer
            assert orderer is not None
            check_signatures(orderer.channels[CHANNEL].chain)

    run(7, folder, change)


def check_signatures(chain: Chain) -> None:
    """Each block has the signature of an orderer of its time."""
    config, last = ConfigUpdate.parse(chain.store.block(0).envelopes[0]).config, chain.header(0)
    for number in range(1, chain.height):
        block = fetched_block(config, last, chain.store.record(number).payload).block
        last = block.header
        if is_config_block(block):
            config = ConfigUpdate.parse(block.envelopes[0]).config


def test_orderers_are_added_and_removed(folder: Path) -> None:
    async def change(world: ChangingWorld) -> None:
        names = list(world.config().orderers)
        for number in (4, 5):
            new = world.new_orderer(f"orderer{number}")
            await world.set_orderers(*world.config().orderers.values(), new)
            world.orderers[new.name].start()
            names.append(new.name)
            await world.until(lambda: world.voters() == set(names), f"{new.name} voting")
        for number in (1, 5, 3, 2):
            gone = f"orderer{number}"
            names.remove(gone)
            await world.set_orderers(*(world.config().orderers[name] for name in names))
            await world.until(lambda: world.voters() == set(names), f"{gone} removed")
            world.orderers[gone].gone = True

    run(8, folder, change)


def test_one_that_was_removed_while_it_was_down_learns_of_it(folder: Path) -> None:
    async def change(world: ChangingWorld) -> None:
        assert world.leader is not None
        gone = next(name for name in world.orderers if name != world.leader.name)
        await world.orderers[gone].end(power=True)
        new = world.new_orderer("orderer4")
        rest = [node for node in world.config().orderers.values() if node.name != gone]
        await world.set_orderers(*rest, new)
        world.orderers["orderer4"].start()
        await world.until(lambda: world.voters() == {"orderer4", *(node.name for node in rest)}, f"{gone} removed")
        world.orderers[gone].start()
        await world.until(lambda: world.standing(gone) == "removed", f"{gone} knowing that it is removed")
        world.orderers[gone].gone = True
        await check_removed(world, gone)

    run(9, folder, change)


def test_an_orderer_that_comes_before_its_configuration_waits_for_it(folder: Path) -> None:
    async def change(world: ChangingWorld) -> None:
        new = world.new_orderer("orderer4")
        world.orderers["orderer4"].start()
        await world.until(lambda: world.standing("orderer4") == "removed", "orderer4 knowing that it is not named")
        orderer = world.orderers["orderer4"].orderer
        assert orderer is not None
        assert orderer.removed_channels() == []
        await world.set_orderers(*world.config().orderers.values(), new)
        await world.until(lambda: "orderer4" in world.voters(), "orderer4 voting")

    run(11, folder, change)


def test_a_new_orderer_that_never_comes_is_given_up(folder: Path) -> None:
    async def change(world: ChangingWorld) -> None:
        before = list(world.config().orderers.values())
        new = world.new_orderer("orderer4")
        world.orderers["orderer4"].gone = True
        await world.set_orderers(*before[1:], new)
        with pytest.raises(OrderersChanging, match="the last change of orderers is under way"):
            await world.set_orderers(*before[1:])
        await world.set_orderers(*before)
        await world.until(lambda: world.voters() == {node.name for node in before}, "what was there before")

    run(10, folder, change)

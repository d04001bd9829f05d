"""Changes of a channel's orderers in the simulated world: its admins add, remove and replace them while all else fails.

Which changes a seed makes is drawn from it. Each is one config update, signed by the orderers' admin; that Raft follows
is the orderers' own work. At the steps on the way one of the orderers often crashes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from gridledger.incarnation import Incarnation, node_of
from gridledger.protocol import ChannelConfig
from gridledger.protocol.config_parts import Node
from services.orderer.errors import OrderersChanging
from services.orderer.membership_steps import has_followed
from tests.simulation.world.machines import CHANNEL
from tests.simulation.world.membership_oracle import Change
from tests.simulation.world.orderer_machine import OrdererMachine
from tests.simulation.world.peer_machine import PeerMachine

if TYPE_CHECKING:
    from tests.simulation.world.world import World

SHARE = 0.25
"""Of so many seeds the orderers are to change; of some no change is followed before they end."""

LEAST, MOST = 2, 5
"""How few and how many orderers a channel may have here."""

NEW_ORDERERS = tuple(f"orderer{number}" for number in range(4, 16))
URLS = {name: f"https://{name}" for name in NEW_ORDERERS}

WEIGHTS = {
    "add": 2,
    "remove": 2,
    "replace": 3,
    "replace the leader": 3,
    "remove the leader": 1,
    "replace a lost one": 3,
    "replace in vain": 1,
}

KINDS = (
    "orderer added",
    "orderer removed",
    "orderer replaced",
    "change of the leader",
    "lost orderer replaced",
    "back from a new orderer that never comes",
    "two changes of orderers at once",
    "change of orderers refused",
    "all first orderers gone",
    "late peer",
    "leader down at a step of a change",
    "joining or leaving orderer down at a step of a change",
    "another orderer down at a step of a change",
)
"""What must come to pass in one seed of a hundred at least."""

CHANGED = "change of orderers"
LEAST_CHANGED = 0.1
"""In so many seeds the orderers must change."""

_ORDER_S = 10.0
"""How long an admin waits for the outcome of an update before it sends it again."""
_TIMES = 30


def furnish(world: World, name: str, word: str) -> Node:
    """The machine of an orderer that the channel has not yet: with an empty disk but for what says that it joins."""
    some = next(iter(world.orderers.values())).settings
    machine = OrdererMachine(world, some.model_copy(update={"name": name, "identity": some.identity.parent / name}))
    Incarnation(name, word, joins=True).write(machine.settings.data, machine.disk.mount(lambda: None))
    machine.furnished = True
    world.orderers[name] = world.machines[name] = machine
    certificate = world.paper.organisations["OrdererMSP"].issue(name, "orderer").certificate
    return Node(name, "OrdererMSP", URLS[name], certificate)


class MembershipChanges:
    """Changes the orderers of one seed's channel, where the seed says so or ``wanted`` does."""

    def __init__(self, world: World, wanted: bool | None) -> None:
        self._world = world
        chance = self._chance = world.chance
        drawn = chance.random() < SHARE
        self.drawn = drawn if wanted is None else wanted
        self.done = not self.drawn
        """Whether a seed has made its changes, or has none to make."""
        self._plan = chance.choices(list(WEIGHTS), list(WEIGHTS.values()), k=chance.choice((1, 2, 3, 4, 6)))
        self._crashes_at_steps = chance.choice((0.0, 0.3, 0.7)) if self.drawn else 0.0
        self._first = self._followed = frozenset(world.orderers)
        self._new = iter(NEW_ORDERERS)
        self._tasks: list[asyncio.Task[None]] = []

    # when

    def start(self) -> None:
        """Begin."""
        if self.drawn:
            self._begin(self._go_through_plan())

    async def stop(self) -> None:
        """Make no more changes, and crash nobody. What was sent last may still have effect."""
        self._crashes_at_steps = 0.0
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def look(self) -> None:
        """Note that Raft has followed a change, once it has."""
        wanted = frozenset(self._config.orderers)
        if wanted == self._followed or not self.has_followed():
            return
        gone, new = self._followed - wanted, wanted - self._followed
        self._followed = wanted
        self._world.note(f"Raft has followed: {', '.join(sorted(wanted))}")
        self._world.fired(CHANGED)
        self._world.fired("orderer replaced" if gone and new else "orderer removed" if gone else "orderer added")
        if not self._first & wanted:
            self._world.fired("all first orderers gone")

    async def late_peer(self) -> PeerMachine | None:
        """A peer that has nothing yet, in some of the seeds whose orderers changed. Of the orderers that were removed
        all end but one, where a peer can find the present ones through none but those of the genesis block."""
        now, chance = self._config.orderers.keys(), self._chance
        if not self.drawn or chance.random() < 0.4:
            return None
        up = {name for name in now if self._world.orderers[name].life is not None}
        guides = [machine for name in sorted(self._first) if (machine := self._world.orderers[name]).leads_to(up)]
        if not guides:
            return None
        present = [machine for machine in guides if machine.name in now]
        kept = None if present else chance.choice(guides)
        for name, machine in self._world.orderers.items():
            if name not in now and machine is not kept:
                await machine.end(power=False)
        organisation = self._world.paper.organisations["Org1MSP"]
        return PeerMachine(self._world, organisation.issue("peer3", "peer"))

    def has_followed(self) -> bool:
        """Whether somebody leads, and the voters there are the orderers of the newest configuration."""
        for machine in self._world.orderers.values():
            if machine.leads and machine.orderer is not None:
                return has_followed(self._config.orderers, machine.orderer.consensus.status(CHANNEL).membership)
        return False

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(self._world.loop.create_task(work, context=self._world.faults.context))

    async def _go_through_plan(self) -> None:
        chance = self._chance
        await asyncio.sleep(chance.choice((0.5, 1.5, 4.0)))
        for kind in self._plan:
            self._world.note(f"orderers: {kind}")
            await self._make(kind)
            await asyncio.sleep(chance.choice((0.0, 0.5, 3.0)) * chance.random())
        self.done = True

    # one change

    @property
    def _config(self) -> ChannelConfig:
        return self._world.members.config

    async def _make(self, kind: str) -> None:
        """Make one change, of this kind if it can be made."""
        faults, before = self._world.faults, self._config.orderers
        if kind == "add" and len(before) < MOST:
            await self._change(None, self._furnish())
        elif kind.startswith("remove") and (len(before) > 3 or (len(before) > LEAST and faults.may_ruin())):
            await self._change(self._one_of(before, kind), None)
        elif kind == "replace in vain":
            await self._replace_in_vain(self._one_of(before, kind), self._furnish())
        elif kind == "replace a lost one" and await self._until_followed() and faults.may_ruin():
            before = self._config.orderers
            gone = self._one_of(before, kind)
            await self._lose(self._world.orderers[gone])
            if await self._change(gone, self._furnish()):
                self._world.fired("lost orderer replaced")
        else:
            gone = self._one_of(before, kind)
            if await self._change(gone, self._furnish()) and self._chance.random() < 0.2 and faults.may_ruin():
                await asyncio.sleep(3.0 * self._chance.random())
                await self._lose(self._world.orderers[gone])

    async def _until_followed(self) -> bool:
        """Wait until Raft has followed the last change: who has not joined cannot be replaced."""
        for _ in range(100):
            if self.has_followed():
                return True
            await asyncio.sleep(0.1)
        return False

    def _one_of(self, orderers: Mapping[str, Node], kind: str) -> str:
        leaders = [name for name in orderers if self._world.orderers[name].leads]
        if leaders and kind.endswith("leader"):
            return leaders[0]
        return self._chance.choice(list(orderers))

    def _furnish(self) -> Node:
        return furnish(self._world, next(self._new), f"{self._chance.getrandbits(32):08x}")

    async def _lose(self, machine: OrdererMachine) -> None:
        """An orderer ends for good."""
        machine.gone = True
        await machine.end(power=True)

    async def _change(self, gone: str | None, new: Node | None) -> bool:
        """Have one orderer go and another come; whether this is in the configuration now."""
        world, chance, before = self._world, self._chance, self._config.orderers
        after = {name: node for name, node in before.items() if name != gone}
        if new is not None:
            after[new.name] = new
            if chance.random() < 0.3:
                world.faults.start(world.orderers[new.name])
        if chance.random() < 0.25:
            self._begin(self._change_besides())
        leads = gone is not None and world.orderers[gone].leads
        if not await self._order(before, after):
            return False
        if leads:
            world.fired("change of the leader")
        if new is not None:
            await asyncio.sleep(chance.choice((0.0, 0.5, 3.0)) * chance.random())
            world.faults.start(world.orderers[new.name])
        return True

    async def _change_besides(self) -> None:
        """Another admin makes another change at the same time, or a moment later."""
        await asyncio.sleep(self._chance.choice((0.0, 0.1, 1.0)) * self._chance.random())
        before, new = self._config.orderers, self._furnish()
        if len(before) == MOST:
            return
        self._world.fired("two changes of orderers at once")
        if await self._order(before, {**before, new.name: new}, times=1):
            self._world.faults.start(self._world.orderers[new.name])

    async def _replace_in_vain(self, gone: str, new: Node) -> None:
        """The new orderer never comes, so the admins go back to the one that it was to replace."""
        before = self._config.orderers
        after = {**{name: node for name, node in before.items() if name != gone}, new.name: new}
        if await self._order(before, after):
            await asyncio.sleep(4.0 * self._chance.random())
            if await self._order(after, before):
                self._world.fired("back from a new orderer that never comes")

    async def _order(self, before: Mapping[str, Node], after: Mapping[str, Node], times: int = _TIMES) -> bool:
        """Have the orderers be ``after`` instead of ``before``; whether they are. Tried until another change is made,
        ``times`` at most."""
        for _ in range(times):
            if self._config.orderers.keys() == before.keys():
                await self._order_once(after)
            if self._config.orderers.keys() == after.keys():
                return True
            if self._config.orderers.keys() != before.keys():
                return False
            await asyncio.sleep(0.3)
        return False

    async def _order_once(self, after: Mapping[str, Node]) -> None:
        world, paper, config = self._world, self._world.paper, self._config
        running = [peer for peer in world.peers.values() if peer.name in world.network.services]
        if not running:
            return
        peer = self._chance.choice(running)
        assert peer.life is not None
        following = config.with_orderers(after)
        paper.config = config
        update = paper.update(
            [paper.orderer_admin], orderers=following.orderers, departing_orderers=following.departing_orderers
        )
        ordering = peer.life.do(peer.order(update.tx_id, update.to_bytes()))
        await asyncio.wait((ordering,), timeout=_ORDER_S)
        error = ordering.exception() if ordering.done() and not ordering.cancelled() else None
        world.note(f"orderers {', '.join(after)}: {error or 'ordered'}")
        if isinstance(error, OrderersChanging):
            world.fired("change of orderers refused")
        elif error is None and ordering.done():
            await asyncio.sleep(0.2)  # until somebody has applied it

    # crashes at the steps

    def crash_at(self, change: Change) -> None:
        """Raft's members change: let somebody crash now, or in a moment."""
        world, chance = self._world, self._chance
        world.note(f"{change.raft_id} {change.what}")
        if chance.random() >= self._crashes_at_steps:
            return
        named = world.orderers.get(node_of(change.raft_id))
        leaders = [machine for machine in world.orderers.values() if machine.leads]
        others = [machine for machine in world.orderers.values() if machine is not named and machine not in leaders]
        who = chance.choice(("leader", "named", "other"))
        machines = leaders if who == "leader" else others if who == "other" else [] if named is None else [named]
        if machines:
            delay_s = chance.choice((0.0, 0.001, 0.01, 0.3)) * chance.random()
            power, machine = chance.random() < 0.5, chance.choice(machines)
            world.loop.call_later(delay_s, self._crash, machine, power, who, context=world.faults.context)

    def _crash(self, machine: OrdererMachine, power: bool, who: str) -> None:
        if machine.life is not None and self._crashes_at_steps:
            said = {"leader": "leader", "named": "joining or leaving orderer", "other": "another orderer"}[who]
            self._world.fired(f"{said} down at a step of a change")
            self._world.faults.crash(machine, power)

"""What goes wrong in the simulated world, and how often: drawn from the seed, counted where it comes to pass."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from gridledger.errors import CorruptionError, GridLedgerError
from gridledger.incarnation import Incarnation, node_of
from services.orderer.membership import change_membership
from tests.simulation.world.machines import CHANNEL, Machine
from tests.simulation.world.network import Weather
from tests.simulation.world.orderer_machine import OrdererMachine
from tests.simulation.world.writer import SimulatedWriter

if TYPE_CHECKING:
    from tests.simulation.world.world import World

WEIGHTS = {
    "kill": 3,
    "power loss": 3,
    "power loss soon": 4,
    "power loss of all": 1,
    "hang": 3,
    "stop": 1,
    "transfer": 1,
    "cut": 3,
    "weather": 3,
    "clock": 2,
    "full disk": 1,
    "slow disk": 1,
    "broken streams": 2,
    "config": 1,
    "lost disk of a peer": 1,
    "lost disk of an orderer": 0.3,
    "rot in the log": 0.3,
    "rot in the blocks": 0.3,
    "rot in the mark": 0.4,
    "failed sync": 1,
}
"""What is drawn, and how often in proportion. Some cost an orderer what it had: one of a seed."""

_MARK = f"/disk/blocks/{CHANNEL}/synced.json"

CLOCK_JUMPS_S = (-3600.0, -120.0, -5.0, -0.5, 0.5, 2.0)
FAR_JUMPS_S = (400.0, 3600.0, 400 * 86_400.0)
"""Beyond what the other orderers accept. One orderer of a seed has such a clock at most, and then none is lost for
good: with one gone, and an entry far ahead in the log of one of the other two, nothing is ordered until that time has
come (or an operator has one of them recover): the other refuses it, and only who has the entry can lead."""

KINDS = (
    "kill",
    "power loss",
    "power loss in a disk call",
    "power loss of all",
    "unsynced writes lost",
    "torn write",
    "sectors out of order",
    "hang of the leader",
    "hang of a follower",
    "hang of a peer",
    "stop in order",
    "transfer of leadership",
    "cut connection",
    "connection cut one way",
    "lost message",
    "lost answer",
    "late message",
    "doubled message",
    "clock jump",
    "clock far ahead",
    "full disk",
    "slow disk",
    "broken stream of blocks",
    "tampered block",
    "tampered block between orderers",
    "failed fetch between orderers",
    "snapshot from another orderer",
    "config update",
    "lost disk of a peer",
    "lost disk of an orderer",
    "readmission of an orderer",
    "rot in the log",
    "rot in the blocks",
    "rot in the mark",
    "failed sync",
)
"""What must come to pass in one seed of a hundred at least."""


class Faults:
    """Draws a fault now and then. ``only`` names the kinds to draw, all if None."""

    def __init__(self, world: World, only: frozenset[str] | None) -> None:
        self._world = world
        self._chance = world.chance
        self.context = contextvars.Context()
        self.turns = 0
        least = world.chance.randint(5, 12)
        self._next_at = 1.0
        self._pending: list[asyncio.Task[None]] = []
        chosen = {kind: weight for kind, weight in WEIGHTS.items() if only is None or kind in only}
        self._kinds, self._weights = list(chosen), list(chosen.values())
        self.possible = bool(chosen)
        """Whether anything can go wrong at all."""
        self.least = least if self.possible else 0
        self.readmitting: list[asyncio.Future[None]] = []
        self._admin = world.paper.organisations["OrdererMSP"].issue("admin", "admin")
        self._wild = world.chance.choice([*world.orderers.values(), *[None] * 6])
        self._ruined = self._wild is not None
        world.network.fetch_fault = world.chance.choice((None, None, None, "breaks", "tampers"))

    # when

    async def turn(self) -> None:
        """Let something go wrong if it is time."""
        world = self._world
        if world.loop.time() < self._next_at or not self._kinds:
            return
        self._next_at = world.loop.time() + self._chance.choice((0.1, 0.5, 1.0, 2.0)) * (0.5 + self._chance.random())
        self.turns += 1
        (kind,) = self._chance.choices(self._kinds, self._weights)
        if self.turns >= self.least and not world.oracle.leader_changes:
            kind = "transfer"
        world.note(f"fault: {kind}")
        await getattr(self, f"_do_{kind.replace(' ', '_')}")()

    async def end(self) -> None:
        """Mend everything, and start all that is down."""
        world = self._world
        world.note("calm")
        await self.stop()
        world.network.cut = set()
        world.network.weather = Weather()
        world.network.refuse_deliver, world.network.tampers, world.network.fetch_fault = 0.0, None, None
        SimulatedWriter.slowest_s = 0.0
        for machine in world.machines.values():
            machine.disk.full, machine.disk.fail_syncs = False, 0
            machine.clock_off_us = 0
            if machine.mount is not None:
                machine.mount.lose_power_at = None
            if machine.life is not None:
                machine.life.go_on()
        for machine in world.machines.values():
            await machine.at_rest.wait()
            self.start(machine)

    async def stop(self) -> None:
        """Let nothing more happen."""
        while self._pending:
            pending, self._pending = self._pending, []
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)

    def _later(self, delay_s: float, work: Callable[[], Coroutine[Any, Any, None] | None]) -> None:
        async def wait() -> None:
            await asyncio.sleep(delay_s)
            following = work()
            if following is not None:
                await following

        self._pending.append(asyncio.ensure_future(wait()))

    def _pause_s(self) -> float:
        return self._chance.choice((0.05, 0.5, 1.5, 4.0)) * (0.5 + self._chance.random())

    # machines that go down and come up

    def _running(self) -> list[Machine]:
        return [machine for machine in self._world.machines.values() if machine.life is not None]

    def _one(self) -> Machine | None:
        """A machine that is up, an orderer more often than a peer, the leader more often than the others."""
        running = self._running()
        leaders = [machine for machine in running if isinstance(machine, OrdererMachine) and machine.leads]
        if leaders and self._chance.random() < 0.3:
            return self._chance.choice(leaders)
        return self._chance.choice(running) if running else None

    def _one_orderer(self) -> OrdererMachine | None:
        running = [machine for machine in self._running() if isinstance(machine, OrdererMachine)]
        return self._chance.choice(running) if running else None

    def start(self, machine: Machine) -> None:
        """Start a machine, unless it is up or never comes back."""
        if machine.life is None and machine.at_rest.is_set() and not machine.gone:
            if not machine.disk.full and not machine.disk.fail_syncs and machine.excuse in ("full disk", "failed sync"):
                machine.excuse = ""
            machine.start()

    async def _start_after(self, machine: Machine) -> None:
        await machine.at_rest.wait()
        self.start(machine)

    def crash(self, machine: Machine, power: bool) -> None:
        """Take a machine down, and up again after a while."""
        self._pending.append(asyncio.ensure_future(self._down(machine, power=power)))

    async def _down(self, machine: Machine, *, power: bool) -> None:
        await machine.end(power=power)
        self._later(self._pause_s(), partial(self._start_after, machine))

    def ended(self, machine: Machine, error: BaseException) -> None:
        """A machine's process ended by itself: somebody starts it again, unless it can never be."""
        if machine.excuse == "rot in the mark" and isinstance(error, CorruptionError):
            machine.disk.remove(_MARK)
            machine.excuse = ""
        elif machine.excuse in ("rot in the log", "rot in the blocks") and isinstance(error, CorruptionError):
            machine.gone = True
            self._begin_readmission(machine)
        self._world.loop.call_soon(self.crash, machine, False, context=self.context)

    async def _do_kill(self) -> None:
        machine = self._one()
        if machine is not None:
            self._world.fired("kill")
            await self._down(machine, power=False)

    async def _do_power_loss(self) -> None:
        machine = self._one()
        if machine is not None:
            self._world.fired("power loss")
            await self._down(machine, power=True)

    async def _do_power_loss_soon(self) -> None:
        machine = self._one()
        if machine is not None and machine.mount is not None:
            machine.mount.lose_power_at = self._chance.randrange(25)

    async def _do_power_loss_of_all(self) -> None:
        self._world.fired("power loss of all")
        for machine in self._running():
            await self._down(machine, power=True)

    async def _do_stop(self) -> None:
        machine = self._one_orderer()
        if machine is None or machine.orderer is None or machine.name not in self._world.network.services:
            return
        life, orderer = machine.life, machine.orderer
        assert life is not None
        handing_over = life.do(orderer.hand_over())
        await asyncio.wait((handing_over,), timeout=2.0)
        if machine.life is life:
            self._world.fired("stop in order")
            await machine.stop()
            self._later(self._pause_s(), partial(self._start_after, machine))

    async def _do_transfer(self) -> None:
        leaders = [machine for machine in self._world.orderers.values() if machine.leads]
        others = [machine for machine in self._world.orderers.values() if not machine.leads and machine.life]
        if not leaders or not others:
            return
        leader, to = leaders[0], self._chance.choice(others).name
        life, orderer = leader.life, leader.orderer
        assert life is not None
        assert orderer is not None

        async def transfer() -> None:
            with suppress(GridLedgerError):
                await orderer.transfer_leadership(CHANNEL, to)
                self._world.fired("transfer of leadership")

        life.do(transfer())

    async def _do_hang(self) -> None:
        machine = self._one()
        if machine is None or machine.life is None:
            return
        life = machine.life
        orderer = isinstance(machine, OrdererMachine)
        leads = isinstance(machine, OrdererMachine) and machine.leads
        self._world.fired("hang of the leader" if leads else "hang of a follower" if orderer else "hang of a peer")
        life.hang()

        self._later(self._pause_s(), life.go_on)

    # the network

    async def _do_cut(self) -> None:
        chance, network = self._chance, self._world.network
        names = list(self._world.machines)
        kind = chance.choice(("halves", "one way", "leader", "heal"))
        network.cut = set()
        if kind == "halves":
            side = [name for name in names if chance.random() < 0.5]
            network.cut = {(a, b) for a in names for b in names if (a in side) != (b in side)}
        elif kind == "one way":
            victim = chance.choice(names)
            network.cut = {(victim, name) for name in names}
        elif kind == "leader":
            leaders = [name for name, machine in self._world.orderers.items() if machine.leads]
            network.cut = {pair for one in leaders for name in names for pair in ((one, name), (name, one))}

        def heal() -> None:
            network.cut = set()

        self._later(self._pause_s(), heal)

    async def _do_weather(self) -> None:
        chance, network = self._chance, self._world.network
        network.weather = Weather(
            loss=chance.choice((0.0, 0.01, 0.1, 0.3)),
            duplication=chance.choice((0.0, 0.1, 0.5)),
            delay_s=chance.choice((0.001, 0.02, 0.2)),
            lost_answers=chance.choice((0.0, 0.0, 0.2)),
        )

        def clear_up() -> None:
            network.weather = Weather()

        self._later(self._pause_s(), clear_up)

    async def _do_broken_streams(self) -> None:
        network = self._world.network
        network.refuse_deliver = 0.5
        network.tampers = self._chance.choice([None, *self._world.orderers])

        def mend() -> None:
            network.refuse_deliver, network.tampers = 0.0, None

        self._later(2 * self._pause_s(), mend)

    # clocks and disks

    async def _do_clock(self) -> None:
        machine = self._one_orderer()
        if machine is not None:
            far = self._wild is not None and self._chance.random() < 0.7
            if far and self._wild is not None:
                machine = self._wild
            jump_s = self._chance.choice(FAR_JUMPS_S if far else CLOCK_JUMPS_S)
            machine.clock_off_us = int(jump_s * 1_000_000)
            self._world.note(f"{machine.name}: its clock is {jump_s} s off")
            self._world.fired("clock far ahead" if far else "clock jump")

            def mend() -> None:
                machine.clock_off_us = 0

            self._later(self._pause_s(), mend)

    async def _do_full_disk(self) -> None:
        machine = self._one()
        if machine is None or machine.excuse:
            return
        machine.disk.full, machine.excuse = True, "full disk"

        def make_room() -> None:
            machine.disk.full = False

        self._later(self._pause_s(), make_room)

    async def _do_slow_disk(self) -> None:
        SimulatedWriter.slowest_s = self._chance.choice((0.1, 0.5))
        self._world.fired("slow disk")

        def mend() -> None:
            SimulatedWriter.slowest_s = 0.0

        self._later(self._pause_s(), mend)

    async def _do_lost_disk_of_a_peer(self) -> None:
        peer = self._chance.choice(list(self._world.peers.values()))
        if peer.life is not None:
            self._world.fired("lost disk of a peer")
            await peer.end(power=True)
            peer.wipe()
            self._later(self._pause_s(), partial(self._start_after, peer))

    async def _do_lost_disk_of_an_orderer(self) -> None:
        """The disk comes back empty, and the orderer is let in anew."""
        machine = self._one_orderer()
        if machine is not None and self.may_ruin():
            self._world.fired("lost disk of an orderer")
            await machine.end(power=True)
            machine.gone = True
            self._begin_readmission(machine)

    def _begin_readmission(self, machine: Machine) -> None:
        assert isinstance(machine, OrdererMachine)
        self.readmitting.append(self._world.loop.create_task(self._readmit(machine), context=self.context))

    async def _readmit(self, machine: OrdererMachine) -> None:
        """What ``gridledger orderer readmit`` does, over and over until it is done."""
        await asyncio.sleep(self._pause_s())
        await machine.at_rest.wait()
        machine.disk.wipe()
        machine.excuse, machine.rotten = "", False
        incarnation = Incarnation(machine.name, f"{self._chance.getrandbits(32):08x}", joins=True)
        incarnation.write(machine.settings.data, machine.disk.mount(lambda: None))
        raft_id = incarnation.raft_id
        while True:
            state = await self._at_leader("show", raft_id)
            if state is None:
                self._world.note(f"{raft_id} is let in no more")
                return
            if raft_id in state["voters"]:
                break
            members = [*state["voters"], *state["learners"]]
            old = [name for name in members if node_of(name) == machine.name and name != raft_id]
            if old:
                await self._at_leader("remove", old[0])
            elif machine.gone:
                machine.gone = False
                self.start(machine)
            await asyncio.sleep(0.2)
        self._world.note(f"{raft_id} votes")
        self._world.fired("readmission of an orderer")

    async def _at_leader(self, change: str, raft_id: str) -> dict[str, Any] | None:
        """Ask whoever leads; what that says. ``show`` is asked until somebody answers, other changes once; None where
        the orderer has left the channel."""
        while node_of(raft_id) in self._world.members.config.orderers:
            for leader in [machine for machine in self._world.orderers.values() if machine.leads]:
                assert leader.life is not None
                assert leader.orderer is not None
                work = change_membership(leader.orderer, self._admin.certificate, CHANNEL, change, raft_id)
                asked = leader.life.do(work)
                await asyncio.wait((asked,), timeout=5.0)
                if asked.done() and not asked.cancelled() and asked.exception() is None:
                    return asked.result()
            if change != "show":
                return {}
            await asyncio.sleep(0.2)
        return None

    def may_ruin(self) -> bool:
        """Of three orderers one may lose what it had: a majority has not."""
        before, self._ruined = self._ruined, True
        return not before

    async def _do_rot_in_the_log(self) -> None:
        """A bit flips in a batch of the log that is not the last: nothing tells a rotten last batch from a torn one."""
        machine = self._one_orderer()
        if machine is None or not self.may_ruin():
            return
        await machine.end(power=True)
        name = self._chance.choice([name for name in sorted(machine.disk.names) if name.endswith(".wal")])
        content = machine.disk.names[name].content
        last = content.rfind(b"GLWB", 0, len(content.rstrip(b"\0")))
        if last > 12:
            self._rot(machine, "rot in the log", name, self._chance.randrange(12, last))
        self._later(self._pause_s(), partial(self._start_after, machine))

    async def _do_rot_in_the_blocks(self) -> None:
        """A bit flips in a block or in its place in the file of offsets."""
        machine = self._one_orderer()
        if machine is None or not self.may_ruin():
            return
        await machine.end(power=False)
        name = f"/disk/blocks/{CHANNEL}/blocks.{self._chance.choice(('dat', 'idx'))}"
        if name in machine.disk.names and (size := len(machine.disk.names[name].content)):
            machine.rotten = True
            self._rot(machine, "rot in the blocks", name, self._chance.randrange(size))
        self._later(self._pause_s(), partial(self._start_after, machine))

    async def _do_rot_in_the_mark(self) -> None:
        """A bit flips in the mark: the orderer says so, its operator removes the file, and nothing is lost."""
        machine = self._one_orderer()
        if machine is None or machine.excuse:
            return
        await machine.end(power=False)
        if _MARK in machine.disk.names:
            size = len(machine.disk.names[_MARK].content)
            self._rot(machine, "rot in the mark", _MARK, self._chance.randrange(size))
        self._later(self._pause_s(), partial(self._start_after, machine))

    def _rot(self, machine: Machine, kind: str, name: str, offset: int) -> None:
        machine.disk.rot(name, offset)
        machine.excuse = kind
        self._world.fired(kind)

    async def _do_failed_sync(self) -> None:
        machine = self._one_orderer()
        if machine is not None and not machine.excuse:
            machine.disk.fail_syncs, machine.excuse = self._chance.choice((1, 1, 2)), "failed sync"

    async def _do_config(self) -> None:
        """The admins change how blocks are cut."""
        running = [peer for peer in self._world.peers.values() if peer.name in self._world.network.services]
        if not running:
            return
        peer = self._chance.choice(running)
        assert peer.ledger is not None
        assert peer.life is not None
        config = peer.ledger.config()
        paper = self._world.paper
        paper.config = config
        update = paper.update(batch=replace(config.batch, max_message_count=self._chance.choice((2, 10, 100))))
        ordering = peer.life.do(peer.order(update.tx_id, update.to_bytes()))

        async def see() -> None:
            await asyncio.wait((ordering,), timeout=10.0)
            if ordering.done() and not ordering.cancelled() and ordering.exception() is None:
                self._world.fired("config update")

        self._pending.append(asyncio.ensure_future(see()))

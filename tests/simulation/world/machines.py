"""A machine of the simulated world, an orderer's or a peer's, from its disk's first start to its last."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Protocol

from gridledger.protocol.block import Block, BlockHeader
from tests.simulation.world.disk import Mount, PowerLost, SimulatedDisk
from tests.simulation.world.life import Life, WorldLoop
from tests.simulation.world.membership_oracle import MembershipOracle
from tests.simulation.world.network import Network
from tests.simulation.world.oracle import WorldOracle, require
from tests.support.paper import NOW_US

CHANNEL = "shard1"


class Surroundings(Protocol):
    """What a machine needs of the world."""

    chance: Random
    loop: WorldLoop
    network: Network
    oracle: WorldOracle
    members: MembershipOracle
    genesis: Block
    faulty: bool

    def note(self, said: str) -> None: ...

    def fired(self, kind: str) -> None: ...

    def fail(self, said: str) -> None: ...

    def saw_time(self, header: BlockHeader) -> None: ...

    def machine_ended(self, machine: Machine, error: BaseException) -> None: ...

    def power_lost(self, machine: Machine) -> None: ...


class Machine:
    """One machine: its disk, its clock, and the life that it leads now, if it is up.

    ``excuse`` says why its process may end by itself or refuse to start; ``gone`` that it never comes back.
    """

    def __init__(self, name: str, world: Surroundings) -> None:
        self.name = name
        self.world = world
        self.disk = SimulatedDisk(
            Random(world.chance.getrandbits(64)), lambda said: world.note(f"{name}: {said}"), world.fired
        )
        self.clock_off_us = 0
        self.life: Life | None = None
        self.mount: Mount | None = None
        self.running: asyncio.Task[None] | None = None
        self.excuse = ""
        self.gone = False
        self.at_rest = asyncio.Event()
        """Not about to end."""
        self.at_rest.set()

    def clock_us(self) -> int:
        """Microseconds since 1970 by this machine's clock."""
        return NOW_US + int(self.world.loop.time() * 1_000_000) + self.clock_off_us

    def start(self) -> None:
        """Begin the next life."""
        require(self.life is None, f"{self.name} is up")
        life = self.life = Life(self.name, self.world.loop)
        mount = self.mount = self.disk.mount(lambda: self._power_lost(life))
        self.world.note(f"{self.name} starts")
        self.running = life.do(self._live(life, mount))

    def _power_lost(self, life: Life) -> None:
        life.cut_off = True
        self.world.power_lost(self)

    async def _live(self, life: Life, mount: Mount) -> None:
        try:
            await self.work(life, mount)
        except (PowerLost, asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as error:
            if not life.cut_off:
                self.world.network.services.pop(self.name, None)
                self.world.machine_ended(self, error)

    async def work(self, life: Life, mount: Mount) -> None:
        """What its processes do."""
        raise NotImplementedError

    async def end(self, *, power: bool) -> None:
        """Kill its processes, with ``power`` by taking the power from the machine."""
        life, mount = self.life, self.mount
        if life is None or mount is None:
            return
        self.life = None
        self.at_rest.clear()
        self.world.network.services.pop(self.name, None)
        self.world.note(f"{self.name} {'loses power' if power else 'ends'}")
        life.cut_off = mount.dead = True
        await life.end()
        if power:
            self.disk.lose_power()
        else:
            self.disk.release()
        self.at_rest.set()

    async def stop(self) -> None:
        """Have its processes stop in order."""
        life, running, mount = self.life, self.running, self.mount
        if life is None or running is None or mount is None or life.cut_off:
            return
        self.world.network.services.pop(self.name, None)
        running.cancel()
        await asyncio.wait((running,), timeout=5.0)
        if self.life is life:
            await self.end(power=False)

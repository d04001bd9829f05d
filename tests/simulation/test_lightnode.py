"""Seeded runs of a light node on a simulated disk and network: kills, power losses, full and failing disks, answers
that are lost or overtake one another. What was acknowledged is on the ledger in the end, once, and in its order."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from gridledger.errors import GridLedgerError
from services.lightnode.aside import Aside
from services.lightnode.forwarder import Forwarder
from services.lightnode.journal import Journal
from services.lightnode.keys import Keys
from services.lightnode.lane import Lane
from services.lightnode.recorder.bodies import Bodies, Body
from services.lightnode.recorder.recorder import Bounds, Recorder
from services.lightnode.recorder.records import Entry
from tests.simulation import virtual_loop
from tests.simulation.world.disk import Mount, PowerLost, SimulatedDisk
from tests.support.fake_section import FakeSection, inline

SEEDS = 12
DEVICES = ("pmu-1", "meter-7", "relay-3")
FOLDER = Path("/node")
BOUNDS = Bounds(max_bytes=30_000, segment_bytes=3000)
EVENTS = 60


class World:
    """One light node, its devices, and what befalls them."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.chance = Random(seed)
        self.fired: Counter[str] = Counter()
        self.disk = SimulatedDisk(Random(seed + 1), lambda _: None, lambda kind: self.fired.update((kind,)))
        self.section = FakeSection(chance=Random(seed + 2))
        self.section.latency_s = 0.05
        self.keys = Keys(folder)
        self.acknowledged: dict[str, list[str]] = {device: [] for device in DEVICES}
        self.journal: Journal | None = None
        for device in DEVICES:
            self.section.admit(device, self.keys.key(device).public)

    async def run(self) -> None:
        posting = [asyncio.create_task(self._post(device)) for device in DEVICES]
        while not all(task.done() for task in posting):
            await self._life(asyncio.gather(*posting))
        await asyncio.gather(*posting)
        self.disk.full, self.disk.fail_syncs, self.section.away = False, 0, False
        self.section._chance = None
        await self._last_life()
        self._judge()

    async def _life(self, done: asyncio.Future[list[None]]) -> None:
        """Run the node until something ends it: its disk, a kill, or the end."""
        died = asyncio.Event()
        mount = self.disk.mount(lambda: None)
        if self.chance.random() < 0.5:
            mount.lose_power_at = self.chance.randrange(300)
        try:
            node = self._opened(mount)
        except (PowerLost, GridLedgerError):
            self._power_off(mount)
            return
        self.journal, forwarder, recorder = node
        work = [asyncio.create_task(one) for one in (self.journal.run(), forwarder.run(), self._befall())]
        for task in work:
            task.add_done_callback(lambda _: died.set())
        kill = self.chance.uniform(0.5, 40)
        death = asyncio.create_task(died.wait())
        await asyncio.wait((death, done), timeout=kill, return_when=asyncio.FIRST_COMPLETED)
        death.cancel()
        self.journal = None
        if mount.dead or recorder.failed or self.chance.random() < 0.5:
            mount.dead = True
            self._power_off(mount)
        mount.dead = True  # a kill: what the program does no more has no effect
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        self.disk.release()
        self.fired["life"] += 1

    def _opened(self, mount: Mount) -> tuple[Journal, Forwarder, Recorder]:
        recorder = Recorder(FOLDER, BOUNDS, mount)
        bodies = Bodies(FOLDER / "bodies", 1 << 30, mount)
        aside = Aside(FOLDER / "aside", mount)
        lanes = [
            Lane(device, self.section.channel, self.section, recorder, keys=self.keys, aside=aside, in_thread=inline)
            for device in DEVICES
        ]
        forwarder = Forwarder(lanes, Random(3), rate=1000.0, at_once=2)
        journal = Journal(
            recorder,
            bodies,
            lambda: 0,
            lambda records: forwarder.has_news({record.entry.device for record in records}),
            in_thread=inline,
        )
        return journal, forwarder, recorder

    def _power_off(self, mount: Mount) -> None:
        mount.dead = True
        self.disk.lose_power()
        self.disk.full, self.disk.fail_syncs = False, 0

    async def _befall(self) -> None:
        """Now and then the ledger goes away, and the disk is full or fails a flush."""
        while True:
            await asyncio.sleep(self.chance.uniform(0.2, 8))
            what = self.chance.randrange(4)
            if what == 0:
                self.section.away = not self.section.away
            elif what == 1:
                self.disk.full = not self.disk.full
            elif what == 2 and self.chance.random() < 0.3:
                self.disk.fail_syncs = 1
            else:
                self.section.away = self.disk.full = False

    async def _post(self, device: str) -> None:
        """Send one event after the other; those that are not acknowledged are not sent again."""
        for number in range(EVENTS):
            await asyncio.sleep(self.chance.uniform(0, 1.0))
            while self.journal is None:  # noqa: ASYNC110 - the loop's time is virtual
                await asyncio.sleep(0.3)
            body = None
            if device == "meter-7":
                body = Body(self.chance.randbytes(16), f'{{"n":{number}}}')
                entry = Entry(device, "reading", number, body_hash=body.sha256)
            else:
                entry = Entry(device, self.chance.choice(("alarm", "health")), number, f'{{"n":{number}}}')
            with suppress(GridLedgerError, TimeoutError):
                async with asyncio.timeout(20):
                    await self.journal.record(entry, body)
                    self.acknowledged[device].append(entry.body_sha256)

    async def _last_life(self) -> None:
        mount = self.disk.mount(lambda: None)
        _, forwarder, recorder = self._opened(mount)
        work = asyncio.create_task(forwarder.run())
        async with asyncio.timeout(3600):
            while recorder.waiting:  # noqa: ASYNC110 - the loop's time is virtual
                await asyncio.sleep(1)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        assert recorder.damaged == 0 or self.fired["sectors out of order"]

    def _judge(self) -> None:
        """The section checked each event's place and proof; here it is asked whether they are the right ones."""
        for device in DEVICES:
            entries = [
                Entry(device, event["kind"], event["time_us"], event.get("body"), event.get("body_hash"))
                for event, _, _ in self.section.devices[device].events
            ]
            there = [entry.body_sha256 for entry in entries]
            assert len(set(there)) == len(there), f"{device}: an event is there twice"
            times = [entry.time_us for entry in entries]
            assert times == sorted(times), f"{device}: out of order"
            missing = set(self.acknowledged[device]) - set(there)
            assert not missing, f"{device}: {len(missing)} acknowledged events are lost"


@pytest.mark.parametrize("seed", range(SEEDS))
def test_what_was_acknowledged_is_on_the_ledger_once_and_in_order(seed: int, tmp_path: Path) -> None:
    world = World(seed, tmp_path)
    virtual_loop.run(world.run)
    assert sum(map(len, world.acknowledged.values())) > 10


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1000, 1300))
def test_the_same_for_many_more_seeds(seed: int, tmp_path: Path) -> None:
    virtual_loop.run(World(seed, tmp_path).run)


def test_the_seeds_meet_each_fault(tmp_path: Path) -> None:
    fired: Counter[str] = Counter()
    for seed in range(6):
        world = World(seed, tmp_path / str(seed))
        virtual_loop.run(world.run)
        fired.update(world.fired)
    faults = ("power loss in a disk call", "torn write", "unsynced writes lost", "full disk", "failed sync", "life")
    assert [fault for fault in faults if not fired[fault]] == []

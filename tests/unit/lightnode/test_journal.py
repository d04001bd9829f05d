from __future__ import annotations

import asyncio
import errno
from collections.abc import Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gridledger.disk import Piece
from gridledger.errors import BusyError
from services.lightnode.errors import BodyGone, RecorderFull
from services.lightnode.journal import MAX_QUEUED, Journal
from services.lightnode.recorder.bodies import Bodies, Body
from services.lightnode.recorder.recorder import Bounds, Recorder
from services.lightnode.recorder.records import Entry, Record
from tests.support.unsynced_disk import UnsyncedDisk

HOUR_US = 3_600_000_000


class CountingDisk(UnsyncedDisk):
    def __init__(self) -> None:
        self.flushes = 0
        self.full = False

    def fdatasync(self, descriptor: int) -> None:
        self.flushes += 1

    def pwrite(self, descriptor: int, pieces: Sequence[Piece], offset: int) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "no")
        super().pwrite(descriptor, pieces, offset)


class Opened:
    def __init__(self, folder: Path, group_s: float, bounds: Bounds) -> None:
        self.disk = CountingDisk()
        self.recorder = Recorder(folder, bounds, self.disk)
        self.bodies = Bodies(folder / "bodies", 10_000, self.disk)
        self.told: list[Record] = []
        self.journal = Journal(self.recorder, self.bodies, lambda: HOUR_US, self.told.extend, group_s=group_s)


@asynccontextmanager
async def opened(folder: Path, group_s: float = 0.05, bounds: Bounds | None = None):
    made = Opened(folder, group_s, bounds or Bounds())
    work = asyncio.create_task(made.journal.run())
    await asyncio.sleep(0)
    try:
        yield made
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


def entry(number: int, kind: str = "health", device: str = "d") -> Entry:
    return Entry(device, kind, number, "{}")


async def test_events_that_come_together_are_flushed_together(tmp_path):
    async with opened(tmp_path) as node:
        records = await asyncio.gather(*(node.journal.record(entry(number)) for number in range(50)))
    assert [record.number for record in records] == list(range(1, 51))
    assert node.disk.flushes == 1
    assert node.told == records


async def test_a_critical_event_takes_those_that_wait_with_it_at_once(tmp_path):
    async with opened(tmp_path, group_s=3600) as node:
        waiting = asyncio.create_task(node.journal.record(entry(1)))
        await asyncio.sleep(0)
        assert (await node.journal.record(entry(2, "alarm"))).number == 2
        assert (await waiting).number == 1


async def test_an_event_that_waits_waits_for_a_bounded_time(tmp_path):
    async with opened(tmp_path, group_s=0.01) as node, asyncio.timeout(5):
        assert (await node.journal.record(entry(1))).number == 1


async def test_the_same_event_again_is_answered_with_the_record_that_there_is(tmp_path):
    async with opened(tmp_path) as node:
        first, again = await asyncio.gather(node.journal.record(entry(1)), node.journal.record(entry(1)))
        later = await node.journal.record(entry(1))
        other = await node.journal.record(entry(2))
    assert first == again == later
    assert other.number == 2


async def test_a_full_disk_refuses_and_takes_the_same_event_later(tmp_path):
    async with opened(tmp_path) as node:
        node.disk.full = True
        with pytest.raises(RecorderFull):
            await node.journal.record(entry(1, "alarm"))
        node.disk.full = False
        assert (await node.journal.record(entry(1, "alarm"))).number == 1


async def test_the_fault_of_one_event_is_not_that_of_others(tmp_path):
    async with opened(tmp_path, bounds=Bounds(max_waiting=2)) as node:
        events = [entry(number) for number in range(3)] + [entry(1, device="other")]
        outcomes = await asyncio.gather(*map(node.journal.record, events), return_exceptions=True)
    assert [type(one) for one in outcomes] == [Record, Record, RecorderFull, Record]


async def test_more_events_than_may_wait_are_refused_as_busy(tmp_path):
    node = Opened(tmp_path, 1.0, Bounds())
    work = [asyncio.create_task(node.journal.record(entry(number))) for number in range(MAX_QUEUED)]
    await asyncio.sleep(0)
    with pytest.raises(BusyError):
        await node.journal.record(entry(MAX_QUEUED))
    for task in work:
        task.cancel()


async def test_what_waits_is_recorded_when_the_node_stops(tmp_path):
    async with opened(tmp_path, group_s=3600) as node:
        waiting = asyncio.create_task(node.journal.record(entry(1)))
        await asyncio.sleep(0.01)
    assert (await waiting).number == 1


def body(number: int) -> Body:
    return Body(bytes([number]) * 16, f'{{"kwh":{number}}}')


def test_bodies_are_read_again_and_deleted_one_by_one(tmp_path):
    disk = UnsyncedDisk()
    bodies = Bodies(tmp_path, 10_000, disk)
    bodies.add([body(1), body(2)], HOUR_US)
    bodies.add([body(3)], 5 * HOUR_US)
    bodies = Bodies(tmp_path, 10_000, disk)
    assert [bodies.get(body(number).sha256) for number in (1, 2, 3)] == [body(1), body(2), body(3)]
    bodies.delete(body(1).sha256)
    bodies.delete(body(3).sha256)
    for gone in (1, 3):
        with pytest.raises(BodyGone):
            bodies.get(body(gone).sha256)
    assert b'kwh\\":1' not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert bodies.get(body(2).sha256) == body(2)
    bodies = Bodies(tmp_path, 10_000, disk)
    assert bodies.get(body(2).sha256) == body(2)
    with pytest.raises(BodyGone):
        bodies.get(body(1).sha256)


def test_a_torn_body_is_cut_off(tmp_path):
    disk = UnsyncedDisk()
    Bodies(tmp_path, 10_000, disk).add([body(1)], HOUR_US)
    path = next(tmp_path.iterdir())
    whole = path.read_bytes()
    path.write_bytes(whole + body(2).line()[:-5])
    bodies = Bodies(tmp_path, 10_000, disk)
    assert path.read_bytes() == whole
    bodies.add([body(3)], HOUR_US)
    assert Bodies(tmp_path, 10_000, disk).get(body(3).sha256) == body(3)


def test_bodies_have_a_bound_and_a_full_disk_leaves_them_as_they_were(tmp_path):
    disk = CountingDisk()
    bodies = Bodies(tmp_path, 150, disk)
    bodies.add([body(1)], HOUR_US)
    disk.full = True
    with pytest.raises(RecorderFull):
        bodies.add([body(2)], HOUR_US)
    disk.full = False
    bodies.add([body(2)], HOUR_US)
    with pytest.raises(RecorderFull, match="max_body_bytes"):
        bodies.add([body(3)], HOUR_US)
    assert Bodies(tmp_path, 150, disk).get(body(2).sha256) == body(2)

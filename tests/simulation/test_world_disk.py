"""The simulated disk: what was synced is there after every power loss, and everything else may be gone."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from gridledger.files import write_atomically
from tests.simulation.world.disk import Mount, PowerLost, SimulatedDisk

PATH = Path("/d/file")
MADE = os.O_RDWR | os.O_CREAT


class Machine:
    """A disk, its mount, and how often each fault came to pass."""

    def __init__(self, seed: int = 1) -> None:
        self.fired: Counter[str] = Counter()
        self.disk = SimulatedDisk(Random(seed), lambda _: None, lambda kind: self.fired.update((kind,)))
        self.mount = self.mounted()

    def mounted(self) -> Mount:
        return self.disk.mount(lambda: None)

    def holds_durably(self, content: bytes) -> int:
        """Make the file with this content, name and all."""
        descriptor = self.mount.open(PATH, MADE)
        self.mount.pwrite(descriptor, (content,), 0)
        self.mount.fsync(descriptor)
        self.mount.sync_folder(PATH.parent)
        return descriptor

    def after_power_loss(self) -> bytes | None:
        self.disk.lose_power()
        self.mount = self.mounted()
        return self.mount.read(PATH) if self.mount.exists(PATH) else None


@pytest.mark.parametrize("seed", range(20))
def test_what_was_synced_is_there_and_the_rest_in_parts(seed: int) -> None:
    machine = Machine(seed)
    descriptor = machine.holds_durably(b"a" * 2000)
    machine.mount.pwrite(descriptor, (b"b" * 2000,), 2000)
    found = machine.after_power_loss()
    assert found is not None
    assert found[:2000] == b"a" * 2000
    assert set(found[2000:]) <= set(b"b\0")


def test_every_way_to_lose_what_was_not_synced_comes_to_pass() -> None:
    fired: Counter[str] = Counter()
    lengths = set()
    for seed in range(40):
        machine = Machine(seed)
        descriptor = machine.holds_durably(b"a" * 2000)
        machine.mount.pwrite(descriptor, (b"b" * 2000,), 2000)
        lengths.add(len(machine.after_power_loss() or b""))
        fired += machine.fired
    assert fired.keys() == {"unsynced writes lost", "torn write", "sectors out of order"}
    assert {2000, 4000} < lengths


def test_a_name_without_its_folders_sync_may_be_gone() -> None:
    found = set()
    for seed in range(20):
        machine = Machine(seed)
        descriptor = machine.mount.open(PATH, MADE)
        machine.mount.pwrite(descriptor, (b"a",), 0)
        machine.mount.fsync(descriptor)
        found.add(machine.after_power_loss())
    assert found == {None, b"a"}


def test_after_a_failed_sync_the_next_one_saves_nothing() -> None:
    machine = Machine()
    descriptor = machine.holds_durably(b"a" * 100)
    machine.mount.pwrite(descriptor, (b"b" * 100,), 0)
    machine.disk.fail_syncs = 1
    with pytest.raises(OSError, match="Input"):
        machine.mount.fsync(descriptor)
    assert machine.mount.pread(descriptor, 100, 0) == b"b" * 100  # so says the cache
    machine.mount.fsync(descriptor)
    assert machine.mount.read(PATH) == b"a" * 100  # which a program drops that reads anew
    assert machine.after_power_loss() == b"a" * 100


def test_a_full_disk_takes_what_fits_and_says_so() -> None:
    machine = Machine()
    descriptor = machine.holds_durably(b"a" * 100)
    machine.disk.full = True
    with pytest.raises(OSError, match="No space"):
        machine.mount.pwrite(descriptor, (b"b" * 100,), 50)
    assert machine.mount.pread(descriptor, 200, 0) == b"a" * 50 + b"b" * 50


def test_a_file_replaced_whole_is_the_old_or_the_new_at_any_moment() -> None:
    found = set()
    for call in range(12):
        for seed in range(10):
            machine = Machine(seed)
            machine.holds_durably(b"old")
            machine.mount.lose_power_at = call
            try:
                write_atomically(PATH, b"new", mode=0o600, disk=machine.mount)
            except PowerLost:
                assert machine.fired["power loss in a disk call"]
            else:
                assert machine.after_power_loss() == b"new"
                continue
            found.add(machine.after_power_loss())
    assert found == {b"old", b"new"}


def test_a_machine_that_is_off_does_nothing() -> None:
    machine = Machine()
    descriptor = machine.holds_durably(b"a")
    machine.mount.lose_power_at = 0
    for _ in range(2):
        with pytest.raises(PowerLost):
            machine.mount.truncate(descriptor, 0)
    assert machine.after_power_loss() == b"a"


def test_a_rotten_bit_is_seen_by_who_reads() -> None:
    machine = Machine()
    machine.holds_durably(b"\0\0\0")
    machine.disk.rot(str(PATH), 1)
    found = machine.mount.read(PATH)
    assert found[0] == found[2] == 0
    assert found[1].bit_count() == 1

"""A holder's files: nothing that was acknowledged is lost, whatever happens at whichever of the disk's calls."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from gridledger.disk import Piece, SystemDisk
from gridledger.errors import CorruptionError
from gridledger.sharing import commitment
from services.vault.errors import HolderFull, HolderOut, ShareMissing
from services.vault.holder.log import NO_HEAD, heads
from services.vault.holder.store import Bounds, Store
from tests.simulation.world.disk import PowerLost, SimulatedDisk
from tests.support.small_disk import small_disk

FOLDER = Path("/holder")


def root_of(share: bytes) -> str:
    return commitment.root(share).hex()


def opened(disk: SimulatedDisk) -> tuple[Store, object]:
    mount = disk.mount(lambda: None)
    return Store(FOLDER, lambda: 7, disk=mount), mount


def simulated(seed: int = 1) -> SimulatedDisk:
    return SimulatedDisk(Random(seed), lambda _: None, lambda _: None)


def put(store: Store, name: str, share: bytes, version: int = 1, **more: bool) -> str:
    return store.put((name, version), share, root_of(share), **more)


def test_shares_are_there_again(tmp_path: Path) -> None:
    store = Store(tmp_path, lambda: 7)
    assert store.log_head == NO_HEAD
    first = put(store, "o", b"share" * 1000)
    assert put(store, "o", b"share" * 1000) == first  # the same again changes nothing
    put(store, "o.1", b"", version=2)
    assert store.delete(("o", 1)) != first
    store.close()
    assert sorted(path.name for path in (tmp_path / "shares").iterdir()) == ["o.1.2"]
    again = Store(tmp_path, lambda: 7)
    assert again.held().keys() == {("o.1", 2)}
    assert again.log_head == store.log_head
    assert again.read(("o.1", 2)) == b""
    with pytest.raises(ShareMissing):
        again.read(("o", 1))
    assert heads(tmp_path / "log.jsonl")[again.log_head] == 3
    assert (tmp_path / "shares" / "o.1.2").stat().st_mode & 0o777 == 0o600


def test_bytes_on_disk_are_the_shares(tmp_path: Path) -> None:
    store = Store(tmp_path, lambda: 7)
    put(store, "o", bytes(10_000))
    assert sum(path.stat().st_size for path in (tmp_path / "shares").iterdir()) == 10_000
    assert (tmp_path / "log.jsonl").stat().st_size < 400


@pytest.mark.parametrize("way", ["power", "kill"])
@pytest.mark.parametrize("step", ["put", "rebuild", "delete"])
def test_it_is_cut_short_at_each_call_of_the_disk(step: str, way: str) -> None:
    calls = 0
    while True:
        for seed in range(6):
            done = cut_short(step, way, calls, seed)
        if done:
            break
        calls += 1
    assert calls > 3, "the loop must have gone through every call"


def cut_short(step: str, way: str, at: int, seed: int) -> bool:
    """Lose the power, or be killed, at this call of the disk; whether the step was over before."""
    disk = simulated(seed * 1000 + at)
    store, mount = opened(disk)
    kept, new = b"kept" * 500, b"new" * 3000
    put(store, "kept", kept)
    if step != "put":
        put(store, "o", new)
    mount.lose_power_at = at  # type: ignore[attr-defined]
    over = True
    try:
        if step == "delete":
            store.delete(("o", 1))
        else:
            put(store, "o", new, rebuilt=step == "rebuild")
    except PowerLost:
        over = False
    except HolderOut:
        raise AssertionError("a power loss is no failed flush") from None
    (disk.release if way == "kill" else disk.lose_power)()
    again, _ = opened(disk)
    assert again.read(("kept", 1)) == kept
    held = again.held()
    if ("o", 1) in held:
        assert again.read(("o", 1)) == new
        assert held["o", 1].root == root_of(new)
    elif step == "put":
        assert not over, "what was acknowledged is there"
    else:
        assert step == "delete", "a share that is repaired is never away"
    assert {Path(name).name for name in disk.names if "/shares/" in name} == {f"{key[0]}.1" for key in held}
    put(again, "o", new)  # the dealer sends it again
    assert again.read(("o", 1)) == new
    again.close()
    assert opened(disk)[0].held().keys() == {("kept", 1), ("o", 1)}
    return over


@pytest.mark.parametrize("seed", range(25))
def test_many_lives(seed: int) -> None:
    chance, disk = Random(seed), simulated(seed)
    known: dict[tuple[str, int], bytes] = {}
    unsure: set[tuple[str, int]] = set()
    for _ in range(8):
        store, mount = opened(disk)
        held = store.held()
        assert {key for key in held if key not in unsure} == known.keys() - unsure
        for key in known.keys() - unsure:
            assert store.read(key) == known[key]
        known = {key: store.read(key) for key in held}
        unsure.clear()
        mount.lose_power_at = chance.randint(0, 60)  # type: ignore[attr-defined]
        key = ("o0", 1)
        try:
            while True:
                key = (f"o{chance.randint(0, 5)}", 1)
                if chance.random() < 0.3:
                    store.delete(key)
                    known.pop(key, None)
                else:
                    share = known.get(key) or chance.randbytes(chance.randint(0, 3000))
                    put(store, key[0], share)
                    known[key] = share
        except PowerLost:
            unsure.add(key)
        disk.lose_power()


def test_a_full_disk_takes_nothing_and_loses_nothing() -> None:
    disk = simulated()
    store, _ = opened(disk)
    put(store, "kept", b"kept")
    head = store.log_head
    disk.full = True
    with pytest.raises(HolderFull, match="no space left") as full:
        put(store, "o", b"x" * 9000)
    assert full.value.status == 507
    assert store.log_head == head
    assert store.held().keys() == {("kept", 1)}
    assert store.read(("kept", 1)) == b"kept"
    disk.full = False
    put(store, "o", b"x" * 9000)
    store.close()
    assert opened(disk)[0].held().keys() == {("kept", 1), ("o", 1)}


def test_a_disk_that_fills_between_share_and_line_takes_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", mib=1) as disk:
        folder = disk.root / "holder"
        folder.mkdir()
        store = Store(folder, lambda: 7)
        put(store, "kept", b"kept")
        head = store.log_head
        for free_kib in range(0, 120, 4):
            disk.fill(free_kib=free_kib)
            try:
                put(store, f"o{free_kib}", bytes(64 * 1024))
            except HolderFull:
                assert store.log_head == head
            else:
                break
            disk.make_room()
            assert [path.name for path in (folder / "shares").iterdir()] == ["kept.1"]
        else:
            raise AssertionError("there was room in the end")
        store.close()
        assert Store(folder, lambda: 7).held().keys() == {("kept", 1), (f"o{free_kib}", 1)}


class FullForLines(SystemDisk):
    """A disk that has room for shares, and none for the log."""

    full = False

    def pwrite(self, descriptor: int, pieces: Sequence[Piece], offset: int) -> None:
        if self.full and pieces[-1] == b"\n":
            super().pwrite(descriptor, (b"half a li",), offset)
            raise OSError(errno.ENOSPC, "No space left on device")
        super().pwrite(descriptor, pieces, offset)


def test_a_share_whose_line_finds_no_room_is_taken_back(tmp_path: Path) -> None:
    disk = FullForLines()
    store = Store(tmp_path, lambda: 7, disk=disk)
    put(store, "kept", b"kept")
    disk.full = True
    with pytest.raises(HolderFull):
        put(store, "o", b"x")
    assert [path.name for path in (tmp_path / "shares").iterdir()] == ["kept.1"]
    assert (tmp_path / "log.jsonl").read_bytes().count(b"\n") == 1
    with pytest.raises(HolderFull):
        store.delete(("kept", 1))
    assert store.read(("kept", 1)) == b"kept"
    disk.full = False
    put(store, "o", b"x")
    store.close()
    assert Store(tmp_path, lambda: 7).held().keys() == {("kept", 1), ("o", 1)}


def test_after_a_failed_flush_nothing_is_trusted_until_it_is_opened_again() -> None:
    disk = simulated()
    store, _ = opened(disk)
    put(store, "kept", b"kept")
    disk.fail_syncs = 1
    with pytest.raises(HolderOut, match="what the disk holds is unknown"):
        put(store, "o", b"x")
    for work in (lambda: put(store, "p", b"x"), lambda: store.read(("kept", 1)), lambda: store.delete(("kept", 1))):
        with pytest.raises(HolderOut):
            work()
    store.close()
    again, _ = opened(disk)
    assert again.read(("kept", 1)) == b"kept"


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_last_line_is_cut_away_and_its_share_found(tmp_path: Path, cut: int) -> None:
    store = Store(tmp_path, lambda: 7)
    put(store, "kept", b"kept")
    put(store, "o", b"x")
    store.close()
    log = tmp_path / "log.jsonl"
    log.write_bytes(log.read_bytes()[:-cut])
    again = Store(tmp_path, lambda: 7)
    assert again.held().keys() == {("kept", 1), ("o", 1)}
    assert b'"found"' in log.read_bytes().splitlines()[-1]
    assert len(heads(log)) == 2


@pytest.mark.parametrize("place", [5, 60, 200])
def test_a_line_that_was_changed_is_no_torn_one(tmp_path: Path, place: int) -> None:
    store = Store(tmp_path, lambda: 7)
    put(store, "a", b"a")
    put(store, "b", b"b")
    store.close()
    log = tmp_path / "log.jsonl"
    data = bytearray(log.read_bytes())
    data[place] ^= 1
    log.write_bytes(data)
    with pytest.raises(CorruptionError, match=f"line {2 if place == 200 else 1} is not the one that was written"):
        Store(tmp_path, lambda: 7)
    with pytest.raises(CorruptionError):
        heads(log)
    assert (tmp_path / "shares" / "a.1").exists()


def test_half_written_files_and_lost_ones_are_recognised(tmp_path: Path) -> None:
    store = Store(tmp_path, lambda: 7)
    put(store, "kept", b"kept")
    put(store, "gone", b"gone")
    store.close()
    (tmp_path / "shares" / ".o.1.123.456").write_bytes(b"half")
    (tmp_path / "shares" / "gone.1").unlink()
    again = Store(tmp_path, lambda: 7)
    assert again.held().keys() == {("kept", 1)}
    assert [path.name for path in (tmp_path / "shares").iterdir()] == ["kept.1"]
    assert b'"lost"' in (tmp_path / "log.jsonl").read_bytes().splitlines()[-1]
    (tmp_path / "shares" / "kept.1").unlink()
    with pytest.raises(ShareMissing, match="gone from the disk"):
        again.read(("kept", 1))
    assert not again.held()


def test_a_holder_keeps_no_more_than_its_bounds(tmp_path: Path) -> None:
    store = Store(tmp_path, lambda: 7, Bounds(max_shares=2, max_bytes=10))
    put(store, "a", b"aaaa")
    with pytest.raises(HolderFull, match="10 bytes at most"):
        put(store, "b", b"b" * 7)
    put(store, "b", b"bbbb")
    with pytest.raises(HolderFull, match="keeps 2 shares"):
        put(store, "c", b"")


def test_the_same_share_heals_what_the_disk_has_changed(tmp_path: Path) -> None:
    store = Store(tmp_path, lambda: 7)
    put(store, "o", b"right")
    (tmp_path / "shares" / "o.1").write_bytes(b"wrong")
    assert store.read(("o", 1)) == b"wrong"
    put(store, "o", b"right")
    assert store.read(("o", 1)) == b"right"


CHILD = """
import sys
from pathlib import Path
from gridledger.sharing import commitment
from services.vault.holder.store import Store
store = Store(Path(sys.argv[1]), lambda: 7)
number = 0
while True:
    share = bytes([number % 256]) * 20_000
    store.put((f"o{number}", 1), share, commitment.root(share).hex())
    print(number, flush=True)
    if number % 3 == 2:
        store.delete((f"o{number - 1}", 1))
        print("-", number - 1, flush=True)
    number += 1
"""


def test_kill_9_of_a_process_that_stores(tmp_path: Path) -> None:
    chance = Random(5)
    for life in range(4):
        folder = tmp_path / str(life)
        folder.mkdir()
        with subprocess.Popen([sys.executable, "-c", CHILD, str(folder)], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            lines = [child.stdout.readline() for _ in range(chance.randint(2, 40))]
            os.kill(child.pid, signal.SIGKILL)
            lines += child.stdout.readlines()
        told = [line for line in lines if line.endswith("\n")]
        gone = {int(line.split()[1]) for line in told if line.startswith("-")}
        stored = {int(line) for line in told if not line.startswith("-")} - gone
        store = Store(folder, lambda: 7)
        latest = max(stored)
        for number in stored - {latest, latest - 1}:  # the last deletion may not have been told
            assert store.read((f"o{number}", 1)) == bytes([number % 256]) * 20_000
        assert not {(f"o{number}", 1) for number in gone} & store.held().keys()
        store.close()
        heads(folder / "log.jsonl")

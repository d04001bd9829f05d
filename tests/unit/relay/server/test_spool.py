"""The spool of a relay: what was added is there after any crash, in order, within its bounds."""

from __future__ import annotations

import errno
import hashlib
import logging
from pathlib import Path
from random import Random
from typing import Any

import pytest

from gridledger.disk import SystemDisk
from gridledger.errors import DiskFailed, NoSpaceLeft
from services.relay.errors import SpoolFull
from services.relay.server.spool import Spool
from services.relay.server.taken import Taken
from tests.simulation.world.disk import SimulatedDisk


def taken(minute: int, text: str = "") -> Taken:
    text = text or f"text of {minute}\n"
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    return Taken(minute, text, sha256, "text", sha256, 1)


def minutes_in(spool: Spool) -> list[int]:
    return [item.taken.minute for item in spool]


def reopened(spool: Spool, path: Path) -> Spool:
    spool.close()
    return Spool.open(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "relays" / "spool"


def test_what_waits_is_there_after_a_restart_in_order(path: Path) -> None:
    spool = Spool.open(path)
    numbers = [spool.add(taken(minute)) for minute in (7, 5, 6)]
    spool.done(numbers[1])
    spool = reopened(spool, path)
    assert [(item.number, item.taken) for item in spool] == [(1, taken(7)), (3, taken(6))]
    assert spool.holds(7, taken(7).sha256)
    assert not spool.holds(5, taken(5).sha256)
    assert spool.add(taken(8)) == 4


def test_an_empty_spool_takes_no_room(path: Path) -> None:
    spool = Spool.open(path)
    empty = path.stat().st_size
    for minute in range(100):
        spool.done(spool.add(taken(minute)))
    assert path.stat().st_size == empty
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_done_with_is_thrown_out_of_the_file(path: Path) -> None:
    spool = Spool.open(path)
    first = spool.add(taken(1))
    for minute in range(2, 60):
        spool.done(spool.add(taken(minute, "x" * 60_000)))
    assert path.stat().st_size < 2_000_000
    spool = reopened(spool, path)
    assert [item.number for item in spool] == [first]


@pytest.mark.parametrize("cut", [1, 5, 9, 40])
def test_a_torn_tail_is_cut_off(path: Path, cut: int) -> None:
    spool = Spool.open(path)
    spool.add(taken(1))
    whole = path.stat().st_size
    spool.add(taken(2))
    spool.close()
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - cut)
    spool = Spool.open(path)
    assert minutes_in(spool) == [1]
    assert path.stat().st_size == whole
    spool.add(taken(3))
    assert minutes_in(reopened(spool, path)) == [1, 3]


def test_a_damaged_record_costs_itself_only(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool = Spool.open(path)
    for minute in range(5):
        spool.add(taken(minute))
    spool.close()
    content = bytearray(path.read_bytes())
    place = content.index(b"text of 2")
    content[place] ^= 4
    path.write_bytes(content)
    with caplog.at_level(logging.ERROR):
        spool = Spool.open(path)
    assert minutes_in(spool) == [0, 1, 3, 4]
    assert "the spool is damaged" in caplog.text
    assert path.with_suffix(".damaged").read_bytes() == bytes(content)
    assert minutes_in(reopened(spool, path)) == [0, 1, 3, 4]


@pytest.mark.parametrize("content", [b"\0" * 5000, b"no spool at all", b"gridledger", b"{" * 100_000])
def test_any_file_in_its_place_gives_a_spool_that_works(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    spool = Spool.open(path)
    assert minutes_in(spool) == []
    spool.add(taken(1))
    assert minutes_in(reopened(spool, path)) == [1]


def test_random_damage_never_invents_a_capture(path: Path) -> None:
    spool = Spool.open(path)
    for minute in range(20):
        spool.add(taken(minute))
    spool.close()
    whole = path.read_bytes()
    known = {taken(minute) for minute in range(20)}
    for seed in range(200):
        chance = Random(seed)
        content = bytearray(whole)
        for _ in range(chance.randrange(1, 6)):
            content[chance.randrange(len(content))] = chance.randrange(256)
        del content[chance.randrange(len(content)) :]
        path.write_bytes(content)
        spool = Spool.open(path)
        assert {item.taken for item in spool} <= known, seed
        spool.close()


def test_a_full_spool_keeps_the_oldest_and_refuses_the_newest(path: Path) -> None:
    spool = Spool.open(path, max_captures=3)
    numbers = [spool.add(taken(minute)) for minute in range(3)]
    with pytest.raises(SpoolFull, match="it takes no more until the ledger takes some; the oldest are kept") as full:
        spool.add(taken(3))
    assert full.value.code == "SPOOL_FULL"
    assert minutes_in(spool) == [0, 1, 2]
    spool.done(numbers[0])
    spool.add(taken(4))


class _Failing(SystemDisk):
    """Writes half of what it is given, and then nothing more."""

    def __init__(self, number: int) -> None:
        self.number: int | None = number

    def pwrite(self, descriptor: int, pieces: Any, offset: int) -> None:
        if self.number is None:
            super().pwrite(descriptor, pieces, offset)
            return
        data = b"".join(pieces)
        super().pwrite(descriptor, (data[: len(data) // 2],), offset)
        raise OSError(self.number, "failed")


@pytest.mark.parametrize(("number", "told"), [(errno.ENOSPC, NoSpaceLeft), (errno.EIO, DiskFailed)])
def test_a_failing_disk_is_told_and_harms_nothing(path: Path, number: int, told: type[Exception]) -> None:
    Spool.open(path).close()
    disk = _Failing(number)
    spool = Spool.open(path, disk=disk)
    with pytest.raises(told):
        spool.add(taken(1))
    assert minutes_in(spool) == []
    disk.number = None
    spool.add(taken(2))
    assert minutes_in(reopened(spool, path)) == [2]


@pytest.mark.parametrize("seed", range(30))
def test_power_loss_takes_nothing_that_was_added(seed: int) -> None:
    chance = Random(seed)
    disk = SimulatedDisk(chance, lambda _: None, lambda _: None)
    path = Path("data/spool")
    waiting: dict[int, Taken] = {}
    for life in range(5):
        spool = Spool.open(path, disk=disk.mount(lambda: None))
        found = {item.number: item.taken for item in spool}
        # What was done with may come back, since nobody waits for that to be durable.
        assert waiting.items() <= found.items()
        waiting = found
        for step in range(chance.randrange(8)):
            if waiting and chance.random() < 0.4:
                number = chance.choice(sorted(waiting))
                spool.done(number)
                del waiting[number]
            else:
                item = taken(life * 100 + step, "t" * chance.randrange(1, 2000))
                waiting[spool.add(item)] = item
        disk.lose_power()


def test_a_spool_of_too_many_bytes_is_full(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.relay.server.spool.MAX_BYTES", 1000)
    spool = Spool.open(path)
    number = spool.add(taken(1, "x" * 1000))
    with pytest.raises(SpoolFull):
        spool.add(taken(2))
    spool.done(number)
    spool.add(taken(2))


def test_what_is_set_aside_leaves_the_spool_for_bounded_files(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.relay.server.spool.MAX_REFUSED_BYTES", 800)
    spool = Spool.open(path)
    for minute in range(20):
        file = spool.set_aside(spool.add(taken(minute)), "too old")
    assert len(spool) == 0
    assert len(reopened(spool, path)) == 0
    assert '"minute":19' in file.read_text()
    assert file.stat().st_size <= 800
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["refused", "refused.old", "spool"]


def test_what_cannot_be_set_aside_stays(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool.open(path)
    number = spool.add(taken(1))
    (path.parent / "refused").mkdir()
    with pytest.raises(DiskFailed):
        spool.set_aside(number, "too old")
    assert len(reopened(spool, path)) == 1

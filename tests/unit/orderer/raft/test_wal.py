"""The write-ahead log: what was written is there after any crash, and damage is told, not read."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gridledger.disk import SYSTEM_DISK, Disk, SystemDisk
from gridledger.errors import DiskFailed, OtherFormat
from services.orderer.raft import wal as wal_module
from services.orderer.raft.errors import RaftConfigError, WalCorrupt
from services.orderer.raft.interface import Membership, Snapshot
from services.orderer.raft.messages import HardState
from services.orderer.raft.wal import HEADER_BYTES, SEGMENT_HEADER_BYTES, Wal
from services.orderer.raft.wal_records import GroupRecord, GroupWrite
from tests.support.failing_disk import run_with_failing_flushes
from tests.support.unsynced_disk import UnsyncedDisk
from tests.unit.orderer.raft.rig import entries

ABC = Membership(frozenset("abc"))
SMALL = 600
LARGE = 1 << 16


class Syncing(SystemDisk):
    """A disk that syncs batches by this function."""

    def __init__(self, sync: Callable[[int], None]) -> None:
        self._sync = sync

    def fdatasync(self, descriptor: int) -> None:
        self._sync(descriptor)


def begin(group: str) -> GroupWrite:
    return GroupWrite(group, created=ABC)


def put(group: str, first: int, count: int = 1, term: int = 1, *, commit: int = 0) -> GroupWrite:
    return GroupWrite(group, entries=entries((term,) * count, first), hard_state=HardState(term, "a", commit))


def snap(group: str, index: int, term: int = 1, *, reset: bool = False) -> GroupWrite:
    return GroupWrite(group, snapshot=Snapshot(index, term, ABC, b"state"), reset=reset)


def held(folder: Path, segment_bytes: int = LARGE, disk: Disk = SYSTEM_DISK) -> dict[str, GroupRecord]:
    """What a log says when it is opened (and closed)."""
    wal = Wal(folder, segment_bytes, disk)
    wal.close()
    return wal.groups


def indexes(record: GroupRecord) -> list[int]:
    return [entry.index for entry in record.entries]


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.wal"))


def written(folder: Path, *batches: list[GroupWrite], segment_bytes: int = LARGE, disk: Disk = SYSTEM_DISK) -> Path:
    wal = Wal(folder, segment_bytes, disk)
    for batch in batches:
        wal.write(batch)
    wal.close()
    return folder


def test_what_was_written_is_there(tmp_path: Path) -> None:
    written(tmp_path, [begin("g")], [put("g", 1, 3)], [put("g", 3, 2, term=2, commit=2)])
    record = held(tmp_path)["g"]
    assert [(e.index, e.term) for e in record.entries] == [(1, 1), (2, 1), (3, 2), (4, 2)]
    assert (record.hard_state, record.membership, record.snapshot) == (HardState(2, "a", 2), ABC, None)


def test_one_write_takes_more_entries_than_the_system_takes_pieces(tmp_path: Path) -> None:
    written(tmp_path, [begin("g")], [put("g", 1, 3000)], [put("g", 3001)], segment_bytes=1 << 20)
    assert indexes(held(tmp_path)["g"]) == list(range(1, 3002))


def test_two_groups_share_a_log_and_a_batch(tmp_path: Path) -> None:
    syncs: list[int] = []
    wal = Wal(tmp_path, LARGE, Syncing(syncs.append))
    wal.write([begin("g"), begin("h")])
    wal.write([put("g", 1, 2), put("h", 1, 5, term=3)])
    wal.write([snap("h", 4, 3), put("g", 3)])
    wal.close()
    assert len(syncs) == 3
    found = held(tmp_path)
    assert (indexes(found["g"]), indexes(found["h"])) == ([1, 2, 3], [5])
    assert found["h"].snapshot is not None


def test_a_removed_group_is_gone_and_may_begin_anew(tmp_path: Path) -> None:
    written(tmp_path, [begin("g")], [put("g", 1, 3)], [GroupWrite("g", removed=True)])
    assert held(tmp_path) == {}
    written(tmp_path, [begin("g")], [put("g", 1)])
    assert indexes(held(tmp_path)["g"]) == [1]


def test_a_leaders_snapshot_replaces_all_and_an_own_one_what_is_before_it(tmp_path: Path) -> None:
    written(tmp_path / "own", [begin("g")], [put("g", 1, 9)], [snap("g", 4)])
    assert indexes(held(tmp_path / "own")["g"]) == [5, 6, 7, 8, 9]
    written(tmp_path / "leader", [begin("g")], [put("g", 1, 9)], [snap("g", 4, 2, reset=True)])
    assert indexes(held(tmp_path / "leader")["g"]) == []


# crashes


def crash_points(folder: Path) -> Iterator[tuple[int, int, Path]]:
    """Copies of a log of one segment, cut at every byte (and filled with zeros, as preallocated blocks are); with how
    many batches lie whole before the cut."""
    (path,) = segments(folder)
    data = path.read_bytes()
    ends = []
    offset = SEGMENT_HEADER_BYTES
    while offset + HEADER_BYTES <= len(data):
        offset += HEADER_BYTES + int.from_bytes(data[offset + 12 : offset + 16])
        ends.append(offset)
    assert ends[-1] == len(data)
    copy = folder.parent / "copy"
    for cut in range(len(data)):
        for fill in (0, 64):
            shutil.rmtree(copy, ignore_errors=True)
            copy.mkdir()
            torn = data[:cut] + bytes(fill)
            (copy / path.name).write_bytes(torn)
            yield cut, sum(torn[:end] == data[:end] for end in ends), copy


def test_a_write_torn_at_any_byte_is_cut_off_and_what_was_before_it_stays(tmp_path: Path) -> None:
    folder = written(tmp_path / "log", [begin("g")], [put("g", 1, 2)], [put("g", 3), snap("g", 1)])
    for cut, whole, copy in crash_points(folder):
        groups = held(copy, disk=UnsyncedDisk())
        # The first batch of a segment repeats every group's state: none here, so it is empty.
        expected = [None, None, [], [1, 2], [2, 3]][whole]
        assert (indexes(groups["g"]) if "g" in groups else None) == expected, cut


def test_after_a_torn_write_the_log_goes_on(tmp_path: Path) -> None:
    folder = written(tmp_path / "log", [begin("g")], [put("g", 1, 2)], [put("g", 3)])
    for _, whole, copy in crash_points(folder):
        if whole != 3:
            continue
        written(copy, [put("g", 3, 2, term=7)], disk=UnsyncedDisk())
        assert [e.term for e in held(copy, disk=UnsyncedDisk())["g"].entries] == [1, 1, 7, 7]
        assert [e.term for e in held(copy, disk=UnsyncedDisk())["g"].entries] == [1, 1, 7, 7]


def test_a_torn_batch_of_two_groups_is_lost_for_both(tmp_path: Path) -> None:
    folder = written(tmp_path / "log", [begin("g"), begin("h")], [put("g", 1), put("h", 1)])
    for _, whole, copy in crash_points(folder):
        groups = held(copy, disk=UnsyncedDisk())
        assert {name: indexes(record) for name, record in groups.items()} == ({"g": [], "h": []} if whole == 2 else {})


def test_a_flipped_bit_is_told_or_cuts_the_last_batch_and_is_never_read(tmp_path: Path) -> None:
    folder = written(tmp_path / "log", [begin("g")], [put("g", 1, 2)], [put("g", 3)], [put("g", 4)])
    (path,) = segments(folder)
    good = path.read_bytes()
    last = len(good) - HEADER_BYTES - int.from_bytes(good[good.rindex(b"GLWB") + 12 :][:4])
    told = 0
    for position in range(len(good)):
        bad = bytearray(good)
        bad[position] ^= 1 << position % 8
        path.write_bytes(bad)
        try:
            groups = held(folder, SMALL, UnsyncedDisk())
        except WalCorrupt:
            told += 1
            continue
        # Only the last batch can look like one that a crash tore.
        assert position >= last
        assert indexes(groups["g"]) == [1, 2, 3]
    assert told == last


def test_a_term_beyond_all_terms_is_told(tmp_path: Path) -> None:
    folder = written(tmp_path, [begin("g")], [GroupWrite("g", hard_state=HardState(2**64 - 1, None, 0))])
    with pytest.raises(WalCorrupt, match=r"group 'g'.*18446744073709551615 is no term or index"):
        held(folder)


def test_a_batch_that_went_missing_is_told(tmp_path: Path) -> None:
    folder = written(tmp_path, [begin("g")], *([put("g", n)] for n in range(1, 60)), segment_bytes=SMALL)
    assert len(segments(folder)) > 3
    segments(folder)[1].unlink()
    with pytest.raises(WalCorrupt, match="missing"):
        held(folder, SMALL)


def test_damage_in_an_earlier_segment_is_told_even_at_its_end(tmp_path: Path) -> None:
    folder = written(tmp_path, [begin("g")], *([put("g", n)] for n in range(1, 60)), segment_bytes=SMALL)
    first = segments(folder)[0]
    first.write_bytes(first.read_bytes()[:-1])
    with pytest.raises(WalCorrupt, match="not the last"):
        held(folder, SMALL)


def test_an_envelope_that_looks_like_a_batch_is_none(tmp_path: Path) -> None:
    # A client knows the format but not the salt: its bytes behind a torn batch are no reason to refuse to start.
    wal = Wal(tmp_path, LARGE)
    wal.write([begin("g")])
    forged = wal_module._batch_header(99, (), 0)
    write = GroupWrite("g", entries=(entries((1,))[0].__class__(1, 1, entries((1,))[0].kind, forged * 3),))
    wal.write([write])
    wal.close()
    (path,) = segments(tmp_path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert indexes(held(tmp_path)["g"]) == []


class LossyDisk:
    """A file layer that remembers what was synced: files' contents, and names in the folder. ``crash`` leaves that and
    nothing else behind, or of what was not synced any leading part."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.contents: dict[int, bytes] = {}
        self.names: dict[str, int] = {}

    def wrap(self, sync: Callable[[int], None]) -> Callable[[int], None]:
        def synced(fd: int) -> None:
            sync(fd)
            self._synced(fd)

        return synced

    def _synced(self, fd: int) -> None:
        status = os.fstat(fd)
        path = Path(f"/proc/self/fd/{fd}").readlink()
        if self.folder not in (path, path.parent):
            return  # the copy that a crash left
        if path.is_dir():
            self.names = {item.name: item.stat().st_ino for item in path.glob("*.wal")}
        else:
            self.contents[status.st_ino] = path.read_bytes()

    def crash(self, to: Path, chance: random.Random) -> Path:
        shutil.rmtree(to, ignore_errors=True)
        to.mkdir()
        now = {path.name: path for path in segments(self.folder)}
        # Deletions reach the disk in their order (oldest first) or not yet; a new name may have.
        deleted = sorted(self.names.keys() - now.keys())
        names = {*deleted[chance.randint(0, len(deleted)) :], *(self.names.keys() & now.keys())}
        names |= {name for name in now.keys() - self.names.keys() if chance.random() < 0.5}
        for name in names:
            inode = now[name].stat().st_ino if name in now else self.names[name]
            mixed = bytearray(self.contents.get(inode, b""))
            written = now[name].read_bytes() if name in now else b""
            kept = chance.randint(0, len(written))
            mixed[:kept] = written[:kept]
            (to / name).write_bytes(mixed)
        return to


@pytest.mark.parametrize("seed", range(6))
def test_whatever_write_returned_for_survives_the_loss_of_all_that_was_not_synced(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    folder = tmp_path / "log"
    disk = LossyDisk(folder)
    last, snapshots = {"g": 0, "h": 0}, {"g": 0, "h": 0}

    def require_all(coming: dict[str, int]) -> None:
        found = held(disk.crash(tmp_path / "after", chance), SMALL)
        for name in last.keys() & found.keys() if coming.get("begin") else last:
            record = found[name]
            start = record.snapshot.index if record.snapshot else 0
            assert start in (snapshots[name], coming.get(f"snapshot {name}"))
            assert record.last_index in (last[name], coming.get(name))
            assert indexes(record) == list(range(start + 1, record.last_index + 1))

    def sync(fd: int) -> None:
        if chance.random() < 0.4:
            require_all(coming)  # a crash just before: the batch being written may be there or not, all others are
        synced(fd)

    monkeypatch.setattr(os, "fsync", disk.wrap(os.fsync))
    synced = disk.wrap(os.fdatasync)
    wal = Wal(folder, SMALL, Syncing(sync))
    coming = {"begin": 1}
    wal.write([begin("g"), begin("h")])
    for _ in range(50):
        group = chance.choice("gh")
        if chance.random() < 0.3 and last[group] > snapshots[group]:
            index = chance.choice((last[group], chance.randint(snapshots[group] + 1, last[group])))
            coming = {f"snapshot {group}": index}
            wal.write([snap(group, index)])
            snapshots[group] = index
        else:
            count = chance.randint(1, 3)
            coming = {group: last[group] + count}
            wal.write([put(group, last[group] + 1, count)])
            last[group] += count
        if chance.random() < 0.2:
            require_all({})
    assert int(segments(folder)[-1].stem) > 1
    wal.close()


def test_a_write_returns_only_after_its_sync(tmp_path: Path) -> None:
    sizes: list[int] = []
    (folder := tmp_path / "log").mkdir()

    def sync(_fd: int) -> None:
        sizes.append(len(segments(folder)[-1].read_bytes().rstrip(b"\0")))

    wal = Wal(folder, LARGE, Syncing(sync))
    before = 0
    for batch in ([begin("g")], [put("g", 1)], [put("g", 2)]):
        wal.write(batch)
        assert sizes[-1] > before  # all of the batch was in the file when it was synced
        before = sizes[-1]
    assert len(sizes) == 3
    wal.close()
    assert segments(folder)[0].stat().st_size == before


def test_after_a_failed_sync_nothing_more_is_written(tmp_path: Path) -> None:
    """Linux tells of it once: the second one succeeds, and what the first one lost is lost."""
    failures = [OSError(5, "Input/output error")]

    def sync(_fd: int) -> None:
        if failures:
            raise failures.pop()

    wal = Wal(tmp_path, LARGE, Syncing(sync))
    with pytest.raises(DiskFailed, match="Input/output error"):
        wal.write([begin("g")])
    assert "g" not in wal._states
    size = segments(tmp_path)[0].stat().st_size
    with pytest.raises(DiskFailed, match="nothing more is written"):
        wal.write([begin("g")])
    wal.close()
    assert segments(tmp_path)[0].stat().st_size == size


def test_a_sync_that_the_kernel_fails_is_one_line(tmp_path: Path) -> None:
    done = run_with_failing_flushes(
        "from services.orderer.raft.wal import Wal; from pathlib import Path; import sys\n"
        "wal = Wal(Path(sys.argv[1]), 1 << 20); fail_flushes(); wal.write([])",
        tmp_path,
    )
    assert done.startswith(f"{tmp_path}/0000000000000001.wal: Input/output error: what the disk holds is unknown")


def test_a_log_of_another_version_is_told_as_such(tmp_path: Path) -> None:
    Wal(tmp_path, LARGE).close()
    path = segments(tmp_path)[0]
    path.write_bytes(b"GLRAFT97" + path.read_bytes()[8:])
    with pytest.raises(OtherFormat, match="write-ahead log has format 97"):
        Wal(tmp_path, LARGE)


# segments


def test_segments_go_when_snapshots_cover_them(tmp_path: Path) -> None:
    wal = Wal(tmp_path, SMALL)
    wal.write([begin("g"), begin("h")])
    for n in range(1, 41):
        wal.write([put("g", n), put("h", n)])
    grown = len(segments(tmp_path))
    assert grown > 4
    assert set(wal.holding_back()) == {"g", "h"}
    wal.write([snap("g", 40)])
    assert (len(segments(tmp_path)) >= grown, wal.holding_back()) == (
        True,
        ["h"],
    )  # one group holds all back, and is named
    wal.write([snap("h", 38)])
    assert len(segments(tmp_path)) < grown
    wal.close()
    found = held(tmp_path, SMALL)
    assert (indexes(found["g"]), indexes(found["h"])) == ([], [39, 40])


def test_a_removed_group_holds_nothing_back(tmp_path: Path) -> None:
    wal = Wal(tmp_path, SMALL)
    wal.write([begin("g"), begin("h")])
    for n in range(1, 41):
        wal.write([put("g", n), put("h", n)])
    wal.write([snap("g", 40)])
    wal.write([GroupWrite("h", removed=True)])
    assert len(segments(tmp_path)) == 1
    wal.close()
    assert set(held(tmp_path, SMALL)) == {"g"}


def test_a_new_segment_repeats_state_that_only_dropped_ones_had(tmp_path: Path) -> None:
    wal = Wal(tmp_path, SMALL)
    wal.write([begin("quiet"), GroupWrite("quiet", hard_state=HardState(9, "b", 0)), begin("g")])
    for n in range(1, 61):
        wal.write([put("g", n)])
        if n % 10 == 0:
            wal.write([snap("g", n)])
    wal.close()
    assert int(segments(tmp_path)[0].stem) > 1
    assert held(tmp_path, SMALL)["quiet"].hard_state == HardState(9, "b", 0)


def test_a_crash_while_a_segment_is_begun_loses_nothing(tmp_path: Path) -> None:
    source = written(tmp_path / "log", [begin("g")], *([put("g", n)] for n in range(1, 40)), segment_bytes=SMALL)
    path = segments(source)[-1]
    data = path.read_bytes()
    first_batch = SEGMENT_HEADER_BYTES + HEADER_BYTES + int.from_bytes(data[SEGMENT_HEADER_BYTES + 12 :][:4])
    expected = None
    for cut in range(first_batch):
        path.write_bytes(data[:cut] + bytes(SMALL - cut))
        found = indexes(held(source, SMALL)["g"])
        expected = expected or found
        assert found == expected
    assert expected is not None
    assert expected == list(range(1, len(expected) + 1))


def test_a_restarted_log_goes_on_in_its_last_segment(tmp_path: Path) -> None:
    for n in range(1, 6):
        written(tmp_path, [begin("g")], [put("g", n)])
    assert len(segments(tmp_path)) == 1
    assert indexes(held(tmp_path)["g"]) == [1, 2, 3, 4, 5]


def test_one_process_at_a_time(tmp_path: Path) -> None:
    wal = Wal(tmp_path, LARGE)
    with pytest.raises(RaftConfigError, match="in use"):
        Wal(tmp_path, LARGE)
    wal.close()
    Wal(tmp_path, LARGE).close()


def test_a_log_that_refused_to_open_gives_its_folder_back(tmp_path: Path) -> None:
    folder = written(tmp_path, [begin("g")], [put("g", 1)], [put("g", 2)])
    (path,) = segments(folder)
    good = path.read_bytes()
    bad = bytearray(good)
    bad[SEGMENT_HEADER_BYTES + 3] ^= 1
    path.write_bytes(bad)
    with pytest.raises(WalCorrupt):
        Wal(folder, LARGE)
    path.write_bytes(good)
    assert indexes(held(folder)["g"]) == [1, 2]

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridledger.disk import Piece
from gridledger.errors import CorruptionError
from services.lightnode.errors import EventUnknown, RecorderFull, RecorderOut
from services.lightnode.recorder.marks import ASIDE, FOREIGN, ON_CHAIN, Mark
from services.lightnode.recorder.recorder import Bounds, Recorder
from services.lightnode.recorder.records import Entry, Record
from tests.support.unsynced_disk import UnsyncedDisk

LARGE = Bounds()
SMALL = Bounds(max_bytes=4000, segment_bytes=1000)


class FaultyDisk(UnsyncedDisk):
    """Fails writes or flushes as it is told."""

    def __init__(self) -> None:
        self.write_error: int | None = None
        self.sync_error: int | None = None
        self.torn = 0

    def pwrite(self, descriptor: int, pieces: Sequence[Piece], offset: int) -> None:
        if self.write_error is not None:
            super().pwrite(descriptor, (b"".join(pieces)[: self.torn],), offset)
            raise OSError(self.write_error, "no")
        super().pwrite(descriptor, pieces, offset)

    def fdatasync(self, descriptor: int) -> None:
        if self.sync_error is not None:
            raise OSError(self.sync_error, "no")


def entry(number: int, device: str = "pmu-1") -> Entry:
    return Entry(device, "alarm", number, f'{{"n":{number}}}')


def on_chain(records: Sequence[Record], seq: int) -> Mark:
    numbers = tuple(record.number for record in records)
    return Mark(ON_CHAIN, records[0].entry.device, numbers, seq, "a" * 64, tx="t" * 64, block=7)


def all_of(recorder: Recorder, device: str = "pmu-1") -> list[Record]:
    return [recorder.read(number) for number in recorder.device(device).numbers]


def opened(folder: Path, bounds: Bounds = LARGE, disk: UnsyncedDisk | None = None) -> Recorder:
    return Recorder(folder, bounds, disk or UnsyncedDisk())


def test_events_are_numbered_by_device_and_read_again(tmp_path):
    recorder = opened(tmp_path)
    first = recorder.append([entry(1), entry(2, "ied"), entry(3)])
    recorder.append([entry(4)])
    recorder.close()
    recorder = opened(tmp_path)
    assert [(one.number, one.seq) for one in first] == [(1, 1), (2, 1), (3, 2)]
    assert [one.seq for one in all_of(recorder)] == [1, 2, 3]
    assert all_of(recorder, "ied") == [first[1]]
    assert recorder.append([entry(5)])[0].number == 5
    assert recorder.waiting == 5


@given(st.integers(0, 10_000), st.binary(max_size=40))
def test_a_record_torn_at_any_byte_is_cut_off_and_all_before_it_is_there(tmp_path_factory, where, garbage):
    folder = tmp_path_factory.mktemp("torn")
    recorder = opened(folder)
    kept = recorder.append([entry(1), entry(2)])
    size = recorder.size
    recorder.append([entry(3)])
    path = next((folder / "segments").iterdir())
    data = path.read_bytes()
    recorder.close()
    cut = size + where % (len(data) - size)
    path.write_bytes(data[:cut] + bytes(len(garbage)))  # a length that a power loss left reads as zeros
    recorder = opened(folder)
    assert all_of(recorder) == kept
    assert recorder.append([entry(4)])[0].number == 3
    recorder.close()
    assert [one.entry.time_us for one in all_of(opened(folder))] == [1, 2, 4]


def test_killed_at_every_byte_of_what_it_wrote_it_has_the_whole_records_before(tmp_path):
    recorder = opened(tmp_path / "whole", SMALL)
    records = [recorder.append([entry(number)])[0] for number in range(1, 12)]
    recorder.close()
    files = {path.name: path.read_bytes() for path in sorted((tmp_path / "whole" / "segments").iterdir())}
    assert len(files) > 1
    newest = list(files)[-1]
    first = int(newest.split(".")[0])
    ends = [0] * len(records)
    recorder = opened(tmp_path / "whole", SMALL)
    for segment in recorder._segments:
        for number in range(segment.first, segment.end):
            following = segment.places[number + 1 - segment.first] if number + 1 < segment.end else segment.size
            ends[number - 1] = following if segment.first == first else 0
    for cut in range(len(files[newest])):
        folder = tmp_path / f"cut{cut}"
        (folder / "segments").mkdir(parents=True)
        for name, data in files.items():
            (folder / "segments" / name).write_bytes(data if name != newest else data[:cut])
        recorder = opened(folder, SMALL)
        assert all_of(recorder) == [one for one, end in zip(records, ends, strict=True) if end <= cut]
        assert recorder.damaged == 0
        recorder.close()


def test_damage_in_the_middle_is_passed_over_and_the_file_as_it_was_is_kept(tmp_path):
    recorder = opened(tmp_path)
    recorder.append([entry(number) for number in range(1, 6)])
    recorder.close()
    path = next((tmp_path / "segments").iterdir())
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    recorder = opened(tmp_path)
    assert [one.number for one in all_of(recorder)] in ([1, 2, 4, 5], [1, 3, 4, 5])
    assert recorder.damaged > 0
    assert path.with_suffix(".damaged").read_bytes() == data
    assert recorder.append([entry(6)])[0].number == 6


def test_a_record_that_was_changed_with_its_checksum_is_told(tmp_path):
    recorder = opened(tmp_path)
    recorder.append([entry(1), entry(2)])
    recorder.close()
    other = opened(tmp_path / "other")
    other.append([entry(9), entry(2)])
    other.close()
    path, stranger = (next((each / "segments").iterdir()) for each in (tmp_path, tmp_path / "other"))
    half = len(path.read_bytes()) - (len(path.read_bytes()) - 0) // 3
    data = path.read_bytes()
    assert len(data) == len(stranger.read_bytes())
    mixed = next(
        stranger.read_bytes()[:cut] + data[cut:]
        for cut in range(half, len(data))
        if data[cut + 4 : cut + 8] != stranger.read_bytes()[cut + 4 : cut + 8]
        and _begins_record(data, cut)
        and _begins_record(stranger.read_bytes(), cut)
    )
    path.write_bytes(mixed)
    with pytest.raises(CorruptionError, match="does not follow"):
        opened(tmp_path)


def _begins_record(data: bytes, place: int) -> bool:
    return data[place + 40 : place + 51] == b'{"number":2'


def test_the_ring_gives_way_to_new_events_once_the_ledger_has_the_old_ones(tmp_path):
    recorder = opened(tmp_path, SMALL)
    for number in range(1, 200):
        (record,) = recorder.append([entry(number)])
        recorder.settle(on_chain([record], number))
    assert recorder.size <= SMALL.max_bytes
    numbers = list(recorder.device("pmu-1").numbers)
    assert numbers[-1] == 199
    assert numbers[0] > 100
    with pytest.raises(EventUnknown):
        recorder.read(1)
    recorder.close()
    recorder = opened(tmp_path, SMALL)
    assert list(recorder.device("pmu-1").numbers) == numbers
    assert recorder.waiting == 0
    assert recorder.device("pmu-1").seq == 199
    found = recorder.device("pmu-1").mark_of(198)
    assert found is not None
    assert found[1] == 198


def test_what_the_ledger_has_not_is_never_overwritten_and_the_recorder_refuses(tmp_path):
    recorder = opened(tmp_path, SMALL)
    records: list[Record] = []
    with pytest.raises(RecorderFull, match="full of events that the ledger has not") as told:  # noqa: PT012
        while True:
            records += recorder.append([entry(len(records) + 1)])
    assert (told.value.code, told.value.status) == ("RECORDER_FULL", 507)
    assert all_of(recorder) == records
    oldest = [one for one in records if one.number < recorder._segments[1].first]
    recorder.settle(on_chain(oldest[:-1], 1))
    with pytest.raises(RecorderFull):
        recorder.append([entry(0)])
    recorder.settle(on_chain(oldest[-1:], len(oldest)))
    assert recorder.append([entry(0)])[0].number == len(records) + 1
    assert all_of(recorder)[: len(records) - len(oldest)] == records[len(oldest) :]


def test_one_device_that_the_ledger_refuses_leaves_room_to_others(tmp_path):
    recorder = opened(tmp_path, Bounds(max_waiting=2))
    recorder.append([entry(1), entry(2)])
    with pytest.raises(RecorderFull, match="pmu-1 has 2 events"):
        recorder.append([entry(3, "ied"), entry(3)])
    assert recorder.append([entry(3, "ied")])[0].number == 3


@pytest.mark.parametrize("torn", [0, 30, 200])
@pytest.mark.parametrize("where", ["write_error", "sync_error"])
def test_a_full_disk_loses_nothing_that_was_recorded_and_takes_events_again(tmp_path, where, torn):
    disk = FaultyDisk()
    recorder = opened(tmp_path, disk=disk)
    kept = recorder.append([entry(1)])
    setattr(disk, where, errno.ENOSPC)
    disk.torn = torn
    with pytest.raises(RecorderFull):
        recorder.append([entry(2), entry(3)])
    disk.write_error = disk.sync_error = None
    assert all_of(recorder) == kept
    kept += recorder.append([entry(4)])
    recorder.close()
    assert all_of(opened(tmp_path)) == kept
    assert [one.seq for one in kept] == [1, 2]


def test_a_full_disk_at_the_first_event_of_a_file_leaves_none_behind(tmp_path):
    disk = FaultyDisk()
    recorder = opened(tmp_path, disk=disk)
    disk.write_error, disk.torn = errno.ENOSPC, 20
    with pytest.raises(RecorderFull):
        recorder.append([entry(1)])
    assert not list((tmp_path / "segments").iterdir())
    disk.write_error = None
    assert recorder.append([entry(1)])[0].number == 1


def test_a_full_disk_takes_the_room_of_what_the_ledger_has(tmp_path):
    class OneFile(UnsyncedDisk):
        full = False

        def pwrite(self, descriptor: int, pieces: Sequence[Piece], offset: int) -> None:
            if self.full and len(list((tmp_path / "segments").iterdir())) > 2:
                raise OSError(errno.ENOSPC, "no")
            super().pwrite(descriptor, pieces, offset)

    disk = OneFile()
    recorder = opened(tmp_path, Bounds(segment_bytes=400), disk)
    records = recorder.append([entry(1), entry(2), entry(3)])
    records += recorder.append([entry(4), entry(5), entry(6)])
    records += recorder.append([entry(7)])
    recorder.settle(on_chain(records[:3], 1))
    disk.full = True
    recorder.append([entry(8)])
    assert [one.number for one in all_of(recorder)] == [4, 5, 6, 7, 8]


def test_after_a_flush_that_failed_nothing_is_recorded_until_a_restart(tmp_path):
    disk = FaultyDisk()
    recorder = opened(tmp_path, disk=disk)
    kept = recorder.append([entry(1)])
    disk.sync_error = errno.EIO
    with pytest.raises(RecorderOut):
        recorder.append([entry(2)])
    disk.sync_error = None
    with pytest.raises(RecorderOut):
        recorder.append([entry(3)])
    assert recorder.failed is not None
    recorder.close()
    assert all_of(opened(tmp_path))[:1] == kept


def test_marks_tell_after_a_restart_where_the_chain_of_a_device_ends(tmp_path):
    recorder = opened(tmp_path)
    records = recorder.append([entry(number) for number in range(1, 6)])
    recorder.settle(on_chain(records[:2], 1))
    recorder.settle(Mark(ASIDE, "pmu-1", (3,), 2, "a" * 64, why="body: no"))
    recorder.settle(Mark(FOREIGN, "pmu-1", (), 3, "b" * 64, tx="f" * 64))
    recorder.settle(Mark(ON_CHAIN, "pmu-1", (4,), 4, "c" * 64, tx="d" * 64, block=9))
    recorder.close()
    index = opened(tmp_path).device("pmu-1")
    assert (index.seq, index.sha256, index.waiting, index.next_seq) == (4, "c" * 64, 1, 6)
    assert index.oldest(9) == [5]
    marked = {number: index.mark_of(number) for number in range(1, 6)}
    assert [None if one is None else (one[0].kind, one[1]) for one in marked.values()] == [
        (ON_CHAIN, 1),
        (ON_CHAIN, 2),
        (ASIDE, 0),
        (ON_CHAIN, 4),
        None,
    ]


def test_a_mark_that_was_lost_does_not_hold_back_what_is_behind_it(tmp_path):
    recorder = opened(tmp_path)
    records = recorder.append([entry(1), entry(2)])
    recorder.settle(on_chain(records[1:], 2))
    assert recorder.waiting == 0
    assert recorder.device("pmu-1").mark_of(1) is None


def test_a_file_of_marks_that_is_damaged_is_read_as_far_as_it_goes(tmp_path):
    recorder = opened(tmp_path)
    records = recorder.append([entry(1), entry(2)])
    recorder.settle(on_chain(records[:1], 1))
    recorder.close()
    with (tmp_path / "marks.jsonl").open("ab") as file:
        file.write(b'nonsense\n{"kind":"on_ch')
    recorder = opened(tmp_path)
    assert recorder.waiting == 1
    recorder.settle(on_chain(records[1:], 2))
    recorder.close()
    assert opened(tmp_path).waiting == 0

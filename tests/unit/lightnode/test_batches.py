from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gridledger import jsontext
from gridledger.errors import NoSpaceLeft
from gridledger.evidence.rows import row_holds, row_path, row_text, rows_root, synopsis_of
from gridledger.field.c37118 import PmuData, decode_configuration
from gridledger.field.c37118.data import Stat
from services.lightnode.batches import RowFiles, Rows, columns_of, parquet_of, row_of, texts_of
from services.lightnode.errors import RowsChanged, RowsGone
from services.lightnode.recorder.records import Entry
from tests.support.pmu_frames import STANDARD_CONFIGURATION
from tests.support.unsynced_disk import UnsyncedDisk

S = 1_000_000
BEGIN = 1_700_000_040 * S
CONFIG = decode_configuration(STANDARD_CONFIGURATION)
VALUES = st.one_of(st.none(), st.floats(width=32, allow_nan=False, allow_infinity=False))


def moment(freq: float = 60.0, **more: object) -> PmuData:
    values = {"phasors": (1 + 1j,) * 4, "analogs": (1.5, float("nan"), 2.5), "digitals": (3,), **more}
    return PmuData(Stat(0x2000), freq_hz=freq, rocof_hz_s=0.1, **values)  # type: ignore[arg-type]


class Killed(BaseException):
    """What a kill looks like from inside."""


class Keeper:
    """Rows of a device, whose batches are told here."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now_us = BEGIN
        self.batches: list[Entry] = []
        self.full = self.killed = False
        self.open()

    def open(self) -> None:
        self.rows = Rows(
            "pmu-1", self.folder, 60, "lightnode:ln/pmu-1/", self.tell, now_us=lambda: self.now_us, disk=UnsyncedDisk()
        )

    async def tell(self, entry: Entry) -> None:
        if self.full:
            raise NoSpaceLeft("full")
        self.batches.append(entry)
        if self.killed:
            raise Killed

    def take(self, start_us: int, count: int, step_us: int = 100_000) -> None:
        for number in range(count):
            self.rows.take(start_us + number * step_us, moment(60 + number / 1000), CONFIG)
        self.now_us = start_us + count * step_us


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    return Keeper(tmp_path / "rows" / "pmu-1")


async def test_a_minute_of_rows_is_a_file_and_a_batch(keeper):
    keeper.take(BEGIN, 700)
    await keeper.rows.step()
    (entry,) = keeper.batches
    body = jsontext.loads(entry.body)
    assert (entry.kind, entry.time_us) == ("batch", BEGIN)
    assert (body["from_us"], body["to_us"], body["rows"]) == (BEGIN, BEGIN + 60 * S, 600)
    assert body["uri"] == f"lightnode:ln/pmu-1/{BEGIN:016d}.parquet"
    n, low, mean, high = body["synopsis"]["frequency"]
    assert (n, low, round(mean, 4), round(high, 3)) == (600, 60.0, 60.2995, 60.599)
    assert [count for count, *_ in (body["synopsis"][name] for name in ("ANALOG2", "stat"))] == [0, 600]
    files = RowFiles(keeper.folder.parent)
    for index in (0, 17, 599):
        row = files.row("pmu-1", entry.body, index)
        assert jsontext.loads(row["row"])["time_us"] == BEGIN + index * 100_000
        assert row_holds(row["row"].encode(), index, 600, row["path"], body["root"])
        assert not row_holds(row["row"].encode() + b" ", index, 600, row["path"], body["root"])
    with pytest.raises(RowsGone):
        files.row("pmu-1", entry.body, 600)


async def test_the_next_span_begins_where_the_one_before_ends_and_ends_by_the_clock_too(keeper):
    keeper.take(BEGIN + 5 * S, 600)
    await keeper.rows.step()
    keeper.now_us = BEGIN + 123 * S
    await keeper.rows.step()
    spans = [(body["from_us"], body["to_us"]) for body in (jsontext.loads(one.body) for one in keeper.batches)]
    assert spans == [(BEGIN + 5 * S, BEGIN + 60 * S), (BEGIN + 60 * S, BEGIN + 120 * S)]


async def test_a_kill_makes_the_same_batch_again(keeper):
    keeper.take(BEGIN, 590)
    await keeper.rows.step()
    keeper.open()
    keeper.take(BEGIN + 59 * S, 20)
    keeper.killed = True  # between the record and the emptying of the text file
    with pytest.raises(Killed):
        await keeper.rows.step()
    keeper.killed = False
    keeper.open()
    keeper.now_us = BEGIN + 70 * S
    await keeper.rows.step()
    first, again = keeper.batches
    assert jsontext.loads(first.body)["rows"] == 600
    assert again == first


async def test_a_full_recorder_is_waited_for(keeper):
    keeper.take(BEGIN, 610)
    keeper.full = True
    await keeper.rows.step()
    assert not keeper.batches
    keeper.full = False
    await keeper.rows.step()
    assert jsontext.loads(keeper.batches[0].body)["rows"] == 600


async def test_moments_that_come_twice_or_back_in_time_are_left_out_and_another_configuration_has_its_own_file(keeper):
    keeper.take(BEGIN, 10)
    keeper.take(BEGIN, 10)
    pmu = CONFIG.pmus[0]
    changed = replace(CONFIG, pmus=(replace(pmu, phasors=pmu.phasors[:1]), *CONFIG.pmus[1:]))
    keeper.rows.take(BEGIN + 30 * S, moment(phasors=(1j,)), changed)
    keeper.rows.take(BEGIN + 61 * S, moment(phasors=(1j,)), changed)
    await keeper.rows.step()
    spans = [
        (body["from_us"], body["to_us"], body["rows"]) for body in (jsontext.loads(one.body) for one in keeper.batches)
    ]
    assert spans == [(BEGIN, BEGIN + 30 * S, 10), (BEGIN + 30 * S, BEGIN + 60 * S, 1)]


async def test_a_file_that_is_gone_or_was_changed_is_named(keeper):
    keeper.take(BEGIN, 610)
    await keeper.rows.step()
    body, path = keeper.batches[0].body, next(keeper.folder.glob("*.parquet"))
    files = RowFiles(keeper.folder.parent)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(RowsChanged, match="was changed") as told:
        files.row("pmu-1", body, 0)
    assert told.value.code == "ROWS_CHANGED"
    path.unlink()
    with pytest.raises(RowsGone) as gone:
        files.file("pmu-1", body)
    assert gone.value.code == "ROWS_GONE"


def test_columns_are_names_that_a_synopsis_may_have():
    names = columns_of(CONFIG)
    assert names[:6] == ("time_us", "stat", "frequency", "rocof", "VA_mag", "VA_ang")
    assert len(set(names)) == len(names) == len(row_of(1, moment()))
    pmu = CONFIG.pmus[0]
    odd = replace(CONFIG, pmus=(replace(pmu, phasors=tuple(replace(one, name="µ V\0") for one in pmu.phasors)),))
    assert len(set(columns_of(odd))) == len(columns_of(odd))


@given(st.lists(st.tuples(st.integers(0, 10**15), st.integers(0, 0xFFFF), VALUES, VALUES), min_size=1, max_size=20))
def test_the_texts_of_a_file_are_those_of_its_rows(rows):
    columns = ("time_us", "stat", "a", "b")
    texts = [row_text(columns, row) for row in rows]
    assert texts_of(parquet_of(columns, rows)) == texts
    root = rows_root(texts)
    for index, text in enumerate(texts):
        assert row_holds(text, index, len(texts), row_path(texts, index), root)
    assert not row_holds(texts[0], 0, len(texts), ["zz"], root)


def test_a_synopsis_leaves_out_what_was_not_measured():
    rows = [(1, 2.0, None), (2, 4.0, float("nan")), (3, None, None)]
    assert synopsis_of(("time_us", "a", "b"), rows) == {"a": [2, 2.0, 3.0, 4.0], "b": [0, None, None, None]}
    assert len(synopsis_of([f"c{n}" for n in range(80)], [range(80)])) == 64


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
@example(1019.490966796875)
def test_a_synopsis_tells_each_number_of_single_precision_from_the_next(number):
    """In at most nine digits."""
    [(_, least, _, greatest)] = synopsis_of(("a",), [(number,)]).values()
    assert least == greatest
    assert struct.pack(">f", least) == struct.pack(">f", number)
    assert len(repr(least).partition("e")[0].replace(".", "").strip("-0")) <= 9


async def test_rows_of_a_span_of_time_come_with_their_paths_page_after_page(keeper):
    keeper.take(BEGIN, 700)
    await keeper.rows.step()
    (entry,) = keeper.batches
    files, told = RowFiles(keeper.folder.parent), jsontext.loads(entry.body)
    span = (BEGIN + 10 * S, BEGIN + 12 * S)
    pages, start = [], 0
    while start is not None:
        pages.append(files.rows("pmu-1", entry.body, span, start=start, limit=7))
        start = pages[-1]["next"]
    assert [len(page["rows"]) for page in pages] == [7, 7, 6]
    rows = [row for page in pages for row in page["rows"]]
    assert [row["index"] for row in rows] == list(range(100, 120))
    for row in rows:
        assert span[0] <= jsontext.loads(row["row"])["time_us"] < span[1]
        assert row_holds(row["row"].encode(), row["index"], 600, row["path"], told["root"])
    assert {(page["root"], page["count"]) for page in pages} == {(told["root"], 600)}
    assert files.rows("pmu-1", entry.body, (0, BEGIN))["rows"] == []


async def test_rows_that_do_not_give_the_root_are_not_told(keeper):
    keeper.take(BEGIN, 700)
    await keeper.rows.step()
    (entry,) = keeper.batches
    body = jsontext.dumps({**jsontext.loads(entry.body), "root": "ab" * 32}).decode()
    with pytest.raises(RowsChanged, match="do not give the root"):
        RowFiles(keeper.folder.parent).rows("pmu-1", body, (0, 10**16))

"""The desk's index: filled block by block, all of a block or nothing, and made anew where it does not fit."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from gridledger.errors import NoSpaceLeft
from gridledger.protocol.block import ZERO_HASH
from services.case.block_rows import Places, rows_of
from services.case.errors import IndexMisfit
from services.case.questions import Question, Scope
from services.case.rows import Row
from services.case.serving import schema
from services.case.serving.index import FILE, Index
from services.case.serving.searching import search
from tests.support.case_blocks import PLACES
from tests.support.case_chains import Chains, Told, event, opening
from tests.support.contract_channel import START_US, S

EVERYTHING = Scope(PLACES.channels, 0, 10**16 - 1, None, None, None)


def found(index: Index, **question: Any) -> list[Row]:
    return search(index.reader(), index.channels, Question(**question), EVERYTHING).rows


def test_rows_are_given_back_as_they_were_read(index: Index, chains: Chains) -> None:
    late = [{"seq": 2, "late": 9}]
    told = [
        event("pmu-1", "alarm", START_US, 'say "no"\n to naïve'),
        opening("s-1", "ivan", "t-1"),
        Told("LogEvents", {"device": "b", "events": [{"seq": 1, "kind": "gps"}, {"seq": 2}]}, {"marks": late}),
    ]
    block = chains.add("section-plant", START_US, told, [b"no transaction"])
    assert index.add([block]) == 5
    assert found(index) + found(index, is_valid=False) == _sorted(rows_of(block.block, block.codes, PLACES))


def test_a_block_counts_once_and_in_its_order(index: Index, chains: Chains) -> None:
    first, second, third = (chains.add("access", START_US + i, [opening(f"s-{i}", "ivan", "t")]) for i in range(3))
    index.add([first, second])
    for wrong in (first, second):
        with pytest.raises(IndexMisfit, match="does not follow"):
            index.add([wrong])
    other = Chains()
    for i in range(2):
        other.add("access", START_US + i, [opening(f"o-{i}", "ivan", "t")])
    with pytest.raises(IndexMisfit):
        index.add([other.add("access", START_US + 2, [])])
    assert [row.session for row in found(index)] == ["s-0", "s-1"]
    index.add([third])
    (progress,) = [each for each in index.progress() if each.channel == "access"]
    assert (progress.height, progress.rows, progress.header_hash) == (3, 3, third.block.header.hash)
    assert progress.commit_hash == third.commit_hash


def test_of_blocks_that_do_not_follow_none_is_taken(index: Index, chains: Chains) -> None:
    first, _, third = (chains.add("access", START_US + i, [opening(f"s-{i}", "ivan", "t")]) for i in range(3))
    with pytest.raises(IndexMisfit):
        index.add([first, third])
    assert found(index) == []
    assert {each.height for each in index.progress()} == {0}


def test_it_goes_on_where_it_was_after_a_restart(tmp_path: Path, chains: Chains) -> None:
    blocks = [chains.add("access", START_US + i, [opening(f"s-{i}", "ivan", "t-1")]) for i in range(4)]
    first = Index(tmp_path, PLACES)
    first.add(blocks[:2])
    first.close()
    second = Index(tmp_path, PLACES)
    assert [each.height for each in second.progress() if each.rows] == [2]
    second.add(blocks[2:])
    assert [row.session for row in found(second)] == ["s-0", "s-1", "s-2", "s-3"]
    second.close()


def test_a_channel_that_the_description_has_since_is_added(tmp_path: Path, chains: Chains) -> None:
    few = Places({place: name for place, name in PLACES.contracts.items() if place[0] != "access"})
    Index(tmp_path, few).close()
    index = Index(tmp_path, PLACES)
    index.add([chains.add("access", START_US, [opening("s-1", "ivan", "t-1")])])
    assert len(found(index)) == 1
    index.close()


@pytest.mark.parametrize("left", [b"", b"not a database, but long enough to look at" * 99])
def test_a_file_that_is_no_index_is_made_anew(tmp_path: Path, left: bytes) -> None:
    (tmp_path / FILE).write_bytes(left)
    index = Index(tmp_path, PLACES)
    assert {each.header_hash for each in index.progress()} == {ZERO_HASH}
    index.close()


def test_an_index_of_another_format_is_made_anew(tmp_path: Path, chains: Chains) -> None:
    first = Index(tmp_path, PLACES)
    first.add([chains.add("access", START_US, [opening("s-1", "ivan", "t-1")])])
    first.close()
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute(f"PRAGMA user_version = {schema.FORMAT + 1}")
    connection.close()
    second = Index(tmp_path, PLACES)
    assert found(second) == []
    second.close()


def test_cleared_it_takes_another_chain(index: Index, chains: Chains) -> None:
    index.add([chains.add("access", START_US, [opening("s-1", "ivan", "t-1")])])
    index.clear()
    assert found(index) == []
    assert found(index, words=("ivan",)) == []
    other = Chains()
    index.add([other.add("access", START_US, [opening("o-1", "olha", "t-1")])])
    assert [row.session for row in found(index, words=("olha",))] == ["o-1"]


def test_a_session_is_marked_by_what_a_later_opening_finds(index: Index, chains: Chains) -> None:
    command = Told("Command", {"session": "s-1", "device": "b-1", "command": "open"}, {"session": "s-1"})
    index.add([chains.add("access", START_US, [opening("s-1", "ivan", "t-1"), command, opening("s-9", "olha", "t-9")])])
    assert [row.marks for row in found(index)] == [{}, {}, {}]
    index.add([chains.add("access", START_US, [opening("s-2", "ivan", "t-2", "s-1"), command])])
    marks = [(row.kind, row.session, row.marks) for row in found(index)]
    assert marks == [
        ("session-opened", "s-1", {"suspicious": 1}),
        ("command-issued", "s-1", {"suspicious": 1}),
        ("session-opened", "s-9", {}),
        ("session-opened", "s-2", {"suspicious": 1}),
        ("command-issued", "s-1", {"suspicious": 1}),
    ]


def test_what_was_logged_between_revocation_and_suspension_is_marked(index: Index, chains: Chains) -> None:
    told = [event("b-1", "alarm", START_US, time_us=START_US + i * S) for i in range(4)]
    others = [event("b-2", "alarm", START_US, time_us=START_US + 3 * S)]
    index.add([chains.add("section-plant", START_US, [*told, *others])])
    index.add([chains.add("section-home", START_US, [event("b-1", "alarm", START_US, time_us=START_US + 3 * S)])])
    suspended = Told("SuspendDevice", {"device": "b-1", "tx": "ab" * 32, "revoked_us": START_US + 2 * S})
    index.add([chains.add("section-plant", START_US + 9 * S, [suspended, event("b-1", "gps", START_US)])])
    late = [(row.device, row.channel, row.at_us) for row in found(index) if "revoked-late" in row.marks]
    assert late == [("b-1", "section-plant", START_US + i * S) for i in (2, 3)]


def test_on_a_full_disk_nothing_of_a_block_is_kept_and_it_goes_on_with_room(index: Index, chains: Chains) -> None:
    index.add([chains.add("access", START_US, [opening("s-1", "ivan", "t-1")])])
    (pages,) = index._writer.execute("PRAGMA page_count").fetchone()
    index._writer.execute(f"PRAGMA max_page_count = {pages}")
    many = chains.add("access", START_US, [opening(f"more-{i}", "ivan", "t-1") for i in range(2000)])
    with pytest.raises(NoSpaceLeft, match="make room"):
        index.add([many])
    assert [row.session for row in found(index)] == ["s-1"]
    index._writer.execute("PRAGMA max_page_count = 1000000")
    assert index.add([many]) == 2000
    assert len(found(index, words=("more-7",))) == 1


def _sorted(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (not row.is_valid, row.said_us is None))

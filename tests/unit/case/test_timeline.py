"""Rows for people and other tools: nothing borrows a time, and nothing is a formula."""

from __future__ import annotations

import csv
from dataclasses import replace

from services.case.block_rows import rows_of
from services.case.rows import Row
from services.case.timeline import COLUMNS, csv_head, csv_line, iso_time, marks_of, message_of, timesketch, who
from tests.support.case_blocks import PLACES
from tests.support.case_chains import LOST, Chains, event, opening
from tests.support.contract_channel import START_US, S


def rows() -> list[Row]:
    chains = Chains()
    blocks = [
        chains.add("section-plant", START_US + S, [event("b-1", "alarm", START_US, 'say "no", now')]),
        chains.add("section-plant", START_US + S, [event("b-1", "alarm", None)]),
        chains.add("access", START_US + S, [opening("s-1", "ivan", "t-1", "s-0", code=LOST)]),
    ]
    return [row for block in blocks for row in rows_of(block.block, block.codes, PLACES)]


def test_a_line_of_timesketch_has_the_time_told_and_says_whose_it_is() -> None:
    alarm, undated, session = rows()
    told = timesketch(alarm, by_block=False)
    assert told is not None
    assert told["message"] == 'alarm b-1: {"body":{"text":"say \\"no\\", now"}}'
    assert (told["timestamp"], told["datetime"]) == (START_US, iso_time(START_US))
    assert told["timestamp_desc"] == "time told by the device"
    assert (told["block_datetime"], told["tx_id"], told["code"]) == (iso_time(START_US + S), alarm.tx_id, "VALID")
    assert timesketch(undated, by_block=False) is None
    by_block = timesketch(undated, by_block=True)
    assert by_block is not None
    assert (by_block["timestamp"], by_block["told_datetime"]) == (START_US + S, "")
    assert by_block["timestamp_desc"] == "time of the block"
    access = timesketch(session, by_block=False)
    assert access is not None
    assert access["timestamp_desc"] == "time told by the client"
    assert message_of(session).startswith("session-opened ivan at t-1 in session s-1: ")


def test_csv_is_read_again_and_has_no_formula_and_no_borrowed_time() -> None:
    _, undated, session = rows()
    formula = replace(session, text="=1+1", operator="@ivan")
    lines = [csv_head(), csv_line(undated), csv_line(formula)]
    read = list(csv.DictReader("".join(lines).splitlines()))
    assert list(read[0]) == list(COLUMNS)
    assert (read[0]["told"], read[0]["block_time"]) == ("", iso_time(START_US + S))
    assert (read[1]["text"], read[1]["operator"]) == ("'=1+1", "'@ivan")
    assert read[1]["code"] == "MVCC_READ_CONFLICT"


def test_who_and_marks_are_told_in_words() -> None:
    alarm, _, session = rows()
    assert who(alarm) == "b-1"
    assert who(replace(session, device="b-7")) == "b-7, ivan at t-1"
    assert marks_of(replace(alarm, marks={"late": 700, "back": 3})) == "late 700, back 3"
    assert marks_of(session) == "NOT VALID (MVCC_READ_CONFLICT)"
    assert iso_time(10**18) == str(10**18)
    assert iso_time(0) == "1970-01-01T00:00:00.000000+00:00"

"""Lists as CSV and JSON, and their addresses."""

from __future__ import annotations

import csv
import io

import pytest

from services.console.listing import Cell, Column, Listing, Row

COLUMNS = (Column("name", "name"), Column("size", "size", numeric=True))


def listing(*rows: Row, **more: object) -> Listing:
    return Listing("things", COLUMNS, rows, path="/things", **more)  # type: ignore[arg-type]


def test_exports_have_whole_values() -> None:
    one = listing(Row({"name": Cell("abc…", whole="abcdef"), "size": Cell("1,000", value=1000)}), Row({}))
    assert one.to_json()["items"] == [{"name": "abcdef", "size": 1000}, {"name": None, "size": None}]
    assert list(csv.reader(io.StringIO(one.to_csv()))) == [["name", "size"], ["abcdef", "1000"], ["", ""]]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "\n=x"])
def test_a_spreadsheet_runs_nothing(text: str) -> None:
    written = listing(Row({"name": Cell(text), "size": Cell("-5", value=-5)})).to_csv()
    assert list(csv.reader(io.StringIO(written, newline="")))[1] == [f"'{text}", "-5"]


def test_exports_have_times_and_values_that_programs_read() -> None:
    one = listing(Row({"name": Cell("", at_us=1_700_000_000_000_000), "size": Cell("x", value={"a": [True, None]})}))
    assert one.to_json()["items"] == [{"name": 1_700_000_000_000_000, "size": {"a": [True, None]}}]
    assert list(csv.reader(io.StringIO(one.to_csv())))[1] == ["1700000000000000", '{"a":[true,null]}']


def test_pages_keep_the_filters() -> None:
    one = listing(query={"code": "1", "empty": "", "bookmark": "x y"}, next_query={"bookmark": "z&"})
    assert one.next_url == "/things?code=1&bookmark=z%26"
    assert one.first_url == "/things?code=1"
    assert one.export_url("csv") == "/things?code=1&bookmark=x+y&format=csv"
    assert listing().next_url is None
    assert listing().first_url is None


def test_a_long_cell_is_cut_on_the_page_only() -> None:
    cell = Cell("x" * 1000)
    assert len(cell.shown) == 400
    assert cell.plain == "x" * 1000

"""The operator's report: its form, and what differs from the ledger."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gridledger.errors import InputError, LimitError
from services.relay.commands import quality_report
from services.relay.commands.comparison import Difference, Window, difference_of
from services.relay.commands.quality_report import ReportRow, parse_report, read_report
from tests.support.relay_readings import capture_with

HEAD = "from,to,measure,statistic,value,unit\n"
TEN = "2026-11-30T02:20Z,2026-11-30T02:30Z"
BEGIN = 29933420


def row(statistic: str, value: float, measure: str = "Vab") -> ReportRow:
    return ReportRow(2, BEGIN, BEGIN + 10, measure, statistic, value)


def window(*voltages: float) -> Window:
    found = Window(BEGIN, BEGIN + 10)
    found.values.add(capture_with(*voltages))
    return found


def test_a_report_is_read_row_by_row():
    rows, bad = parse_report(
        f"{HEAD}{TEN},Vab,mean,114.2,kV\n\n29933400,29933460,FP,min,0.9,\n"
        "2026-11-29T19:00-05:00,2026-12-07T00:00Z,F,share_outside,2.5,%\n"
    )
    assert bad == []
    assert [(item.line, item.measure, item.statistic, item.value) for item in rows] == [
        (2, "Vab", "mean", 114.2),
        (4, "FP", "min", 0.9),
        (5, "F", "share_outside", 0.025),
    ]
    assert [item.end - item.begin for item in rows] == [10, 60, 10_080]


def test_columns_may_come_in_any_order_behind_a_mark():
    rows, _ = parse_report("unit,value,statistic,measure,to,from\nHz,60,max,F,29933430,29933420\n")
    assert rows == [ReportRow(2, BEGIN, BEGIN + 10, "F", "max", 60.0, "Hz")]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (f"{TEN},Vab,mean,114.2", "line 2: row: 5 fields in place of 6"),
        ("x,2026-11-30T02:30Z,Vab,mean,1,kV", "line 2: from: 'x' is no minute"),
        ("2026-11-30T02:20,2026-11-30T02:30Z,Vab,mean,1,kV", "line 2: from: '2026-11-30T02:20' has no zone"),
        ("2026-11-30T02:20Z,2026-11-30T02:31Z,Vab,mean,1,kV", "line 2: to: a window has 10 minutes, an hour, a week"),
        ("2026-11-30T02:30Z,2026-11-30T02:20Z,Vab,mean,1,kV", "line 2: to: a window has"),
        (f"{TEN},Vxx,mean,1,kV", "line 2: measure: 'Vxx' is none of Vab,"),
        (f"{TEN},Vab,median,1,kV", "line 2: statistic: 'median' is none of min,"),
        (f"{TEN},Vab,mean,nan,kV", "line 2: value: 'nan' is no number"),
        (f"{TEN},Vab,mean,1;5,kV", "line 2: value: '1;5' is no number"),
        (f"{TEN},Vab,mean,114200,V", "line 2: unit: Vab is in kV, not 'V'"),
        (f"{TEN},Vab,share_outside,2.5,1", "line 2: value: a share lies between 0 and 1"),
        (f"{TEN},Vab,share_outside,2.5,kV", "line 2: unit: 'kV' is none of 1, %"),
    ],
)
def test_a_bad_row_is_told_with_line_and_field(line: str, told: str):
    rows, bad = parse_report(f"{HEAD}{line}\n{TEN},Vab,mean,1,kV\n")
    assert [item.line for item in rows] == [3]
    assert [str(item).startswith(told) for item in bad] == [True], str(bad)


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "from,to,measure,statistic,value,value\n", f'{HEAD}"open\n'])
def test_what_is_no_report_is_refused(text: str):
    with pytest.raises(InputError, match=r"line \d"):
        parse_report(text)


def test_a_report_has_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "report.csv"
    path.write_text(f"\ufeff{HEAD}" + f"{TEN},Vab,mean,1,kV\n" * 3)
    assert len(read_report(path)[0]) == 3
    monkeypatch.setattr(quality_report, "MAX_ROWS", 2)
    with pytest.raises(LimitError, match="at most 2 rows"):
        read_report(path)
    monkeypatch.setattr(quality_report, "MAX_BYTES", 10)
    with pytest.raises(LimitError, match="at most 10 bytes"):
        read_report(path)


def test_a_report_that_is_no_text_is_refused(tmp_path: Path):
    (tmp_path / "report.csv").write_bytes(b"from\xff")
    with pytest.raises(InputError, match="bytes: not UTF-8 at byte 4"):
        read_report(tmp_path / "report.csv")


@pytest.mark.parametrize(("statistic", "value"), [("min", 110.0), ("mean", 114.0005), ("max", 118.001), ("p95", 117.6)])
def test_a_row_within_its_tolerance_does_not_differ(statistic: str, value: float):
    assert difference_of(row(statistic, value), window(110.0, 114.0, 118.0), {}, {}) is None


@pytest.mark.parametrize("value", [113.9988, 114.0012])
def test_a_row_just_beyond_its_tolerance_differs(value: float):
    assert difference_of(row("mean", value), window(110.0, 114.0, 118.0), {}, {}) is not None


def test_a_row_beyond_its_tolerance_tells_both_values():
    found = difference_of(row("mean", 114.2), window(110.0, 114.0, 118.0), {}, {})
    assert str(found) == ("line 2: Vab mean of 2026-11-30T02:20Z to 2026-11-30T02:30Z: report 114.2 kV, ledger 114 kV")
    assert found is not None
    assert found.to_dict() == {
        "line": 2,
        "from": BEGIN,
        "to": BEGIN + 10,
        "measure": "Vab",
        "statistic": "mean",
        "report": 114.2,
        "ledger": 114.0,
        "unit": "kV",
        "tolerance": 0.001,
    }


def test_each_measure_may_have_a_tolerance_of_its_own():
    there = window(110.0, 114.0, 118.0)
    assert difference_of(row("mean", 114.2), there, {}, {"Vab": 0.2}) is None
    assert difference_of(row("mean", 114.2), there, {}, {"Vbc": 0.2}) is not None
    limits = {"Vab": (111.0, 118.0)}
    assert difference_of(row("share_outside", 0.4), there, limits, {"share_outside": 0.1}) is None
    assert difference_of(row("share_outside", 0.4), there, limits, {"Vab": 0.1}) is not None


def test_what_the_ledger_lacks_is_a_difference():
    none = difference_of(row("mean", 1.0), Window(BEGIN, BEGIN + 10), {}, {})
    assert str(none).endswith("report 1 kV, the ledger has no reading")
    unlimited = difference_of(row("share_outside", 0.0), window(1.0), {}, {})
    assert str(unlimited).endswith("report 0, the relay's record has no limits of Vab")


def test_a_window_tells_gaps_and_disputes():
    there = window(1.0)
    assert there.whole
    there.gaps, there.disputed, there.unconfirmed = [(BEGIN, BEGIN + 2)], [BEGIN + 3], 1
    assert not there.whole
    assert [line.partition("Z: ")[2] for line in there.remarks()] == [
        "gap: no capture from 2026-11-30T02:20Z to 2026-11-30T02:22Z",
        "disputed and left out: 2026-11-30T02:23Z",
        "1 of 1 captures are not confirmed yet",
    ]


def test_a_share_is_told_in_the_reports_unit():
    given = ReportRow(2, BEGIN, BEGIN + 10, "Vab", "share_outside", 0.4, "%")
    assert str(Difference(given, 0.025, 0.001)).endswith("report 40 %, ledger 2.5 %")
    assert str(Difference(replace(given, unit="1"), 0.025, 0.001)).endswith("report 0.4, ledger 0.025")

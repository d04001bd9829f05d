"""Captures: the article's figure 2 row for row, what is refused with field and line, and text there and back."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridledger.field.capture import (
    MAX_BYTES,
    MAX_READINGS,
    MEASURES,
    Capture,
    CaptureError,
    Reading,
    parse_capture,
    read_capture,
    render_capture,
    text_hash,
)
from gridledger.field.grammar import UNSEEN
from tests.support.call_count import calls_of
from tests.support.captures import FIGURE_2, FIGURE_2_MANUSCRIPT, FIGURE_2_ROWS, MANUSCRIPT_ROW_5, SUBSTATION, text

MINUTE = datetime(2021, 9, 28, 7, 1)
GOOD = text(MINUTE)
LINES = GOOD.splitlines()
FIRST_NINE = LINES[6].rpartition(";")[0] + ";"
NO_STARTS = ("x", "+", "0", "1_", ".", "--", "\u0661", "\uff11", " ", "0x", "1,")
NO_NUMBERS = (
    "nan",
    "inf",
    "-inf",
    "1e5",
    "1.",
    ".5",
    "1_0.0",
    "1234567890",
    "0.1234567890",
    "true",
    "",
    "1\x0b",
    "1\r\r",
)


def with_line(number: int, line: str) -> str:
    """The good text with another line; lines count from 1."""
    return "\n".join([*LINES[: number - 1], line, *LINES[number:]]) + "\n"


def with_row(old: str, new: str, number: int = 7) -> str:
    """The good text with a part of a row replaced."""
    assert old in LINES[number - 1]
    return with_line(number, LINES[number - 1].replace(old, new, 1))


def fault_of(given_text: str, **options: Any) -> CaptureError:
    """The error that a text is refused with."""
    with pytest.raises(CaptureError) as caught:
        parse_capture(given_text, **options)
    assert caught.value.code == "BAD_CAPTURE"
    assert str(caught.value).startswith(f"{caught.value.details['field']}, line {caught.value.details['line']}: ")
    return caught.value


@pytest.mark.parametrize(
    ("printed", "fifth"), [(FIGURE_2, FIGURE_2_ROWS[4]), (FIGURE_2_MANUSCRIPT, MANUSCRIPT_ROW_5)], ids=["000", "001"]
)
def test_figure_2_row_for_row(printed: str, fifth: tuple[str | float, ...]) -> None:
    found = parse_capture(printed, strict=False).to_dict()
    rows = [*FIGURE_2_ROWS[:4], fifth, FIGURE_2_ROWS[5]]
    assert found == {
        "time": "2021-07-02T18:11",
        "relay": "Relay 1",
        "substation": SUBSTATION,
        "faults": 22.0,
        "readings": [dict(zip(("time", *MEASURES), row, strict=True)) for row in rows],
    }
    assert list(found["readings"][0]) == ["time", *MEASURES]


def test_figure_2_is_refused_strictly_for_its_times() -> None:
    printed = FIGURE_2.strip() + "\n"
    assert "07:01:18 is not in the header's minute 2021-07-02T18:11" in str(fault_of(printed))
    assert (
        parse_capture(printed.replace("02 07 2021 18 11", "28 09 2021 07 01")).to_dict()["readings"][5]["Q"] == 392.21
    )


def test_both_ways_to_print_rows_are_read_alike() -> None:
    glued = "\n".join(LINES[:6]) + "\n" + " ".join(LINES[6:])
    assert parse_capture(glued) == parse_capture(GOOD)
    assert parse_capture(GOOD.replace("\n", "\r\n") + "\r\n\n") == parse_capture(GOOD)
    assert parse_capture(GOOD.replace("Openings", "0penings")) == parse_capture(GOOD)
    assert fault_of(glued.replace(" Time Stamp", "  Time Stamp", 1)).details == {"field": "Q", "line": 7}


numbers = st.floats(-999_999, 999_999, allow_nan=False).map(lambda value: round(value, 3) + 0.0)
names = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters=";"), min_size=1, max_size=40).filter(
    lambda name: not UNSEEN.search(name)
)


@st.composite
def captures(draw: st.DrawFn) -> Capture:
    """Captures that a relay may send."""
    minute = draw(st.datetimes(datetime(1970, 1, 1), datetime(9998, 12, 31))).replace(second=0, microsecond=0)
    others = sorted(draw(st.sets(st.integers(1, 70), max_size=8)))
    rows = []
    for second in [draw(st.integers(0, others[0] - 1 if others else 59)), *others]:
        values = [draw(numbers) for _ in MEASURES]
        values[MEASURES.index("FP")] = draw(st.floats(-1, 1).map(lambda value: round(value, 3) + 0.0))
        rows.append(Reading(minute + timedelta(seconds=second), tuple(values)))
    return Capture(minute, draw(names), draw(names), float(draw(st.integers(0, 999))), tuple(rows))


@given(captures())
def test_a_rendered_capture_is_read_as_it_was(capture: Capture) -> None:
    canonical = render_capture(capture)
    assert parse_capture(canonical) == capture
    assert render_capture(parse_capture(canonical)) == canonical
    assert read_capture(canonical.encode()) == parse_capture(canonical, strict=False) == capture


@pytest.mark.parametrize(
    ("bad", "field", "line", "why"),
    [
        ("", "time", 1, "is missing"),
        ("\n" + GOOD, "time", 1, "is missing"),
        (with_line(1, "28 9 2021 07 01"), "time", 1, "DD MM YYYY HH MM"),
        (with_line(1, "31 02 2021 07 01"), "time", 1, "is no date"),
        (with_line(1, "28 09 2021 24 01"), "time", 1, "is no date"),
        (with_line(1, "28 09 9999 07 01"), "time", 1, "is no date"),
        (with_line(1, "28 09 1969 07 01"), "time", 1, "is no date"),
        (with_line(1, "28 09 2021 07 01 "), "time", 1, "DD MM YYYY HH MM"),
        (with_line(1, "٢٨ 09 2021 07 01"), "time", 1, "DD MM YYYY HH MM"),
        ("\ufeff" + GOOD, "time", 1, "DD MM YYYY HH MM"),
        (with_line(1, "28 09 2021 07 02"), "time", 7, "is not in the header's minute 2021-09-28T07:02"),
        (LINES[0], "relay", 1, "is missing"),
        (with_line(2, ""), "relay", 2, "is missing"),
        (with_line(2, "Relay 1 "), "relay", 2, "blank"),
        (with_line(2, "Relay\u202e 1"), "relay", 2, "U+202E"),
        (with_line(2, "Relay\t1"), "relay", 2, "U+0009"),
        (with_line(2, "Relay 1\r\r"), "relay", 2, "U+000D"),
        (with_line(2, "Relay\x85 1"), "relay", 2, "U+0085"),
        (with_line(2, "Relay \ud800"), "relay", 2, "U+D800"),
        (with_line(2, "R" * 129), "relay", 2, "longer than 128"),
        (with_line(3, ""), "substation", 3, "is missing"),
        (with_line(3, "U Time Stamp;D"), "substation", 3, "semicolon"),
        (with_line(3, "Bogotá\u2028"), "substation", 3, "U+2028"),
        (with_line(4, "x"), "faults", 4, "empty line"),
        ("\n".join([*LINES[:3], *LINES[4:]]), "faults", 4, "empty line"),
        ("\n".join(LINES[:3]), "faults", 3, "is missing"),
        (with_line(5, ""), "faults", 5, "is missing"),
        (with_line(5, "Openings caused by faults: -1.0"), "faults", 5, "0 or more"),
        (with_line(5, "Openings caused by faults: 1.5"), "faults", 5, "whole number"),
        (with_line(5, "Openings caused by faults: many"), "faults", 5, "a number"),
        (with_line(5, "Openings caused by faults: 1e3"), "faults", 5, "a number"),
        (with_line(5, "\u041epenings caused by faults: 1.0"), "faults", 5, "a number"),
        ("\n".join(LINES[:5]), "reading", 5, "there is none"),
        (with_line(6, " "), "reading", 6, "empty line"),
        (with_line(9, ""), "reading", 9, "is missing"),
        (GOOD + "end", "reading", 13, "must begin"),
        (with_row("Time Stamp", "Timestamp"), "reading", 7, "must begin"),
        (with_row("Time Stamp;28", "Time Stamp;8"), "time", 7, "DD MM YYYY HH MM SS"),
        (with_row(" 03;Vab", " 60;Vab"), "time", 7, "is no date"),
        (with_row("01 23;Vab", "01 13;Vab", 9), "time", 9, "does not follow"),
        (with_row("07 01 53;", "07 02 11;", 12), "time", 12, "more than 60 s and 10 s"),
        (with_row("Vab;", "Vbc;"), "Vab", 7, "'Vbc' stands in its place"),
        (with_row("Vca;", "Vab;"), "Vca", 7, "'Vab' stands in its place"),
        (with_row(";Ia;", ";ia;"), "Ia", 7, "'ia' stands in its place"),
        (with_line(8, LINES[7].rpartition(";Q;")[0]), "Q", 8, "is missing"),
        (with_line(8, LINES[7].rpartition(";")[0]), "Q", 8, "must be a number"),
        (with_line(7, LINES[6] + ";R;1.0"), "reading", 7, "'R' follows the value of Q"),
        (with_line(7, LINES[6] + ";"), "reading", 7, "follows the value of Q"),
        (with_line(7, LINES[6] + " "), "Q", 7, "must be a number"),
        *((with_row("Vab;1", f"Vab;{start}1"), "Vab", 7, "must be a number") for start in NO_STARTS),
        *((with_line(7, FIRST_NINE + value), "Q", 7, "must be a number") for value in NO_NUMBERS),
        (with_row("FP;0", "FP;2"), "FP", 7, "within -1 and 1"),
        (GOOD + "\n" * MAX_BYTES, "bytes", 1, "more than 65536"),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_field_and_line(bad: str, field: str, line: int, why: str) -> None:
    error = fault_of(bad)
    assert error.details == {"field": field, "line": line}, error
    assert why in error.message


#: Controls, fillers, joiners, marks of direction, variation selectors, tags, and blanks other than U+0020.
NOBODY_SEES = (
    "\x00\x7f\x85\xa0\xad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b\u180e\u180f\u2000\u200a\u200b\u200f\u2028\u202a\u202f"
    "\u205f\u2060\u2065\u206a\u206f\u2800\u3000\u3164\ufe00\ufe0f\ufeff\uffa0\ufff0\ufff9\ufffb\ud800\U0001bca0\U0001d173"
    "\U0001d17a\U000e0001\U000e0041\U000e01ef"
)


@pytest.mark.parametrize("unseen", NOBODY_SEES, ids=ascii)
def test_a_name_has_nothing_that_nobody_sees(unseen: str) -> None:
    for line, field, name in ((2, "relay", f"Relay{unseen}1"), (3, "substation", f"{unseen}Bogotá")):
        error = fault_of(with_line(line, name), strict=False)
        assert error.message == f"{field}, line {line}: has a character that nobody sees: U+{ord(unseen):04X}"


@pytest.mark.parametrize("seen", "áÑß-·€日한ب🔌\u0301", ids=ascii)
def test_a_name_may_have_any_letter(seen: str) -> None:
    assert parse_capture(with_line(2, f"Relay{seen}1")).relay == f"Relay{seen}1"


def test_format_characters_of_this_python_are_unseen() -> None:
    visible = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD, *range(0x13430, 0x13440)}
    of_format = (code for code in range(0x110000) if category(chr(code)) in ("Cc", "Cf", "Zl", "Zp", "Zs"))
    assert [
        hex(code) for code in of_format if code not in visible and code != 0x20 and not UNSEEN.match(chr(code))
    ] == []


def test_a_byte_order_mark_counts_where_it_is_strict() -> None:
    marked = b"\xef\xbb\xbf" + GOOD.encode()
    assert read_capture(marked, strict=False) == parse_capture(GOOD)
    with pytest.raises(CaptureError, match="time, line 1: "):
        read_capture(marked)
    with pytest.raises(CaptureError, match="time, line 1: "):
        read_capture(b"\xef\xbb\xbf" + marked, strict=False)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_empty_lines_at_the_end_cost_nothing(end: str) -> None:
    padded = GOOD + end * ((MAX_BYTES - len(GOOD.encode())) // len(end))
    calls = calls_of(lambda: parse_capture(padded))
    assert calls < 2 * calls_of(lambda: parse_capture(GOOD))
    assert fault_of(padded[:-3] + "\r\r\n").details["field"] == "reading"


def test_what_is_read_leniently_is_still_a_capture() -> None:
    for bad, field in [("Vab;x", "Vab"), ("Openings", "faults"), ("Relay 1\n", "relay")]:
        with pytest.raises(CaptureError) as caught:
            parse_capture(GOOD.replace(bad.replace("x", "1"), "x" if bad != "Relay 1\n" else "", 1), strict=False)
        assert caught.value.details["field"] in (field, "substation", "faults")


def test_the_period_bounds_the_last_reading() -> None:
    late = with_row("07 01 53;", "07 06 10;", 12)
    assert parse_capture(late, period_s=300).readings[5].time == datetime(2021, 9, 28, 7, 6, 10)
    assert fault_of(late, period_s=240).details == {"field": "time", "line": 12}


def test_readings_are_bounded() -> None:
    values = "".join(f";{name};1" for name in MEASURES)
    rows = [f"Time Stamp;28 09 2021 07 {1 + s // 60:02d} {s % 60:02d}{values}" for s in range(MAX_READINGS + 1)]
    assert len(parse_capture("\n".join([*LINES[:6], *rows[:-1]]), period_s=600).readings) == MAX_READINGS
    assert fault_of("\n".join([*LINES[:6], *rows]), period_s=600).details == {"field": "reading", "line": 487}


def test_bytes_are_bounded_and_utf_8() -> None:
    for data, line in [(b"x" * (MAX_BYTES + 1), 1), (GOOD.encode("latin-1"), 3)]:
        with pytest.raises(CaptureError) as caught:
            read_capture(data)
        assert caught.value.details == {"field": "bytes", "line": line}


def test_numbers_are_written_as_the_article_writes_them() -> None:
    values = (115.31449, 0.0, -0.0001, 26, 1e5, 0.5, 60.158, -1.0, 0.001, 57.7)
    written = render_capture(Capture(MINUTE, "R", "S", 22, (Reading(MINUTE, values),)))
    assert "faults: 22.0\n" in written
    assert ";115.314;Vbc;0.0;Vca;0.0;Ia;26.0;Ib;100000.0;Ic;0.5;F;60.158;FP;-1.0;P;0.001;Q;57.7\n" in written
    assert str(parse_capture(written.replace("Vbc;0.0", "Vbc;-0.0")).readings[0].values[1]) == "0.0"


def test_the_hash_is_of_the_text_as_it_stands() -> None:
    assert text_hash("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert text_hash(GOOD) != text_hash(GOOD + "\n")

"""The grammar of a capture: the text in which a relay tells one period, strict or as the article prints it.

    02 07 2021 18 11
    Relay 1
    Bogotá Electrical Substation - U.D.

    Openings caused by faults: 22.0

    Time Stamp;28 09 2021 07 01 18;Vab;115.314;Vbc;116.048;Vca;...;P;236.887;Q;57.743

The first line is the minute in which the capture began, by the relay's clock; a row is a reading. Source: Muñoz-Romero,
Giral-Ramírez and Ramírez-Vanegas, Tecnura 26(71), 2022, figures 2 and 3 (which prints ``0penings``).

Chaincode imports the contract API only, so ``chaincode/relay/grammar.py`` is this file, byte for byte. It imports
nothing of GridLedger, and what it answers depends on no version of Unicode: outside the two names all is ASCII.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

#: In the order in which they stand in a row: kV, A, Hz, power factor, MW, MVAr.
MEASURES: Final = ("Vab", "Vbc", "Vca", "Ia", "Ib", "Ic", "F", "FP", "P", "Q")
#: Largest text of a capture, bytes of UTF-8.
MAX_BYTES: Final = 64 * 1024
MAX_READINGS: Final = 480
#: Longest name of a relay or substation, characters.
MAX_NAME: Final = 128
#: How long after its period a capture's last reading may lie: the relay looks at its clock before it waits, seconds.
GRACE_S: Final = 10

_HEADER: Final = ("time", "relay", "substation", "faults")
#: Of the first lines, where they stand strictly: the field, and whether the line is its own or the empty one before it.
_STRICT_LINES: Final = (
    *(("time", True), ("relay", True), ("substation", True), ("faults", False), ("faults", True), ("reading", False)),
)
_YEARS: Final = range(1970, 9999)
_ROW_START: Final = "Time Stamp;"
_SHOWN: Final = 60

_HEADER_TIME: Final = re.compile(r"([0-9]{2}) ([0-9]{2}) ([0-9]{4}) ([0-9]{2}) ([0-9]{2})")
_ROW_TIME: Final = re.compile(_HEADER_TIME.pattern + " ([0-9]{2})")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,8})(?:\.[0-9]{1,9})?")
_FAULTS: Final = re.compile(rf"[O0]penings caused by faults: ({_NUMBER.pattern})")
_ROW: Final = re.compile(
    _ROW_START + _ROW_TIME.pattern + "".join(f";{measure};({_NUMBER.pattern})" for measure in MEASURES)
)
#: What nobody sees in a name, or takes for a blank: by ranges of code points, as Python's versions know different
#: versions of Unicode.
_UNSEEN_RANGES: Final = (
    "\x00-\x1f\x7f-\xa0"  # control characters, no-break space
    "\xad\u034f\u061c"  # soft hyphen, grapheme joiner, Arabic letter mark
    "\u115f\u1160\u3164\uffa0"  # Hangul fillers
    "\u1680\u2000-\u200f\u2028-\u202f\u205f\u3000"  # spaces, zero widths, ends of lines, marks of direction
    "\u17b4\u17b5\u180b-\u180f\ufe00-\ufe0f"  # Khmer inherent vowels, variation selectors
    "\u2060-\u206f\u2800\ufeff\ufff0-\ufffb"  # joiners, isolates, blank Braille, byte order mark, annotations
    "\ud800-\udfff"  # surrogates
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # shorthand and musical format controls
    "\U000e0000-\U000e0fff"  # tags, further variation selectors
)
UNSEEN: Final = re.compile(f"[{_UNSEEN_RANGES}]")


class Fault(Exception):
    """What is wrong with a text. ``field``: time, relay, substation, faults, reading, a measure, or bytes."""

    def __init__(self, field: str, line: int, why: str) -> None:
        super().__init__(f"{field}, line {line}: {why}")
        self.field = field
        self.line = line
        self.why = why


@dataclass(frozen=True, slots=True)
class Reading:
    """One row. ``time``: by the relay's clock, naive, whole seconds; ``values``: in the order of :data:`MEASURES`."""

    time: datetime
    values: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """{"time": "2021-09-28T07:01:18", "Vab": ..., ..., "Q": ...}"""
        return {"time": self.time.isoformat(), **dict(zip(MEASURES, self.values, strict=True))}


@dataclass(frozen=True, slots=True)
class Capture:
    """One text. ``time``: the minute of its header, naive; ``faults``: openings in the period."""

    time: datetime
    relay: str
    substation: str
    faults: float
    readings: tuple[Reading, ...]

    def to_dict(self) -> dict[str, Any]:
        """{"time": "2021-07-02T18:11", "relay", "substation", "faults", "readings": [...]}"""
        return {
            "time": self.time.isoformat(timespec="minutes"),
            "relay": self.relay,
            "substation": self.substation,
            "faults": self.faults,
            "readings": [reading.to_dict() for reading in self.readings],
        }


def parse(text: str, *, strict: bool = True, period_s: int = 60) -> Capture:
    """What ``text`` says; raises :class:`Fault`.

    Strict: lines as above, ending in LF or CR LF, rows by line or joined by one blank, further empty lines behind the
    rows only; times ascend, the first lies in the header's minute, all within ``period_s`` and :data:`GRACE_S` of it;
    the faults are a whole number. Not strict: times need not fit; empty lines, and those that begin with ```, are left
    out; blanks around a line do not count.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise Fault("bytes", 1, f"there are more than {MAX_BYTES}")
    lines = _lines(text, strict)
    if len(lines) < len(_HEADER):
        raise Fault(_HEADER[len(lines)], text.count("\n") + 1, "is missing: the text ends before it")
    (number, line), relay, substation, faults = lines[:4]
    time = _time(_HEADER_TIME.fullmatch(line), number, line)
    capture = Capture(
        time,
        _name("relay", *relay),
        _name("substation", *substation),
        _faults(*faults, strict),
        _readings(lines[4:], time if strict else None, period_s),
    )
    if not capture.readings:
        raise Fault("reading", text.count("\n") + 1, "there is none")
    return capture


def text_hash(text: str) -> str:
    """SHA-256 of the text's UTF-8, hexadecimal."""
    return sha256(text.encode()).hexdigest()


def _lines(text: str, strict: bool) -> list[tuple[int, str]]:
    """Number and content of the header's four lines and of those with rows."""
    if strict:
        text = _without_empty_end(text)
    numbered = [(number, line.removesuffix("\r")) for number, line in enumerate(text.split("\n"), 1)]
    if not strict:
        trimmed = ((number, line.strip(" \t")) for number, line in numbered)
        return [(number, line) for number, line in trimmed if line and not line.startswith("```")]
    while numbered and not numbered[-1][1]:
        numbered.pop()
    for number, line in numbered:
        field, own = _STRICT_LINES[number - 1] if number <= len(_STRICT_LINES) else ("reading", True)
        if own and not line:
            raise Fault(field, number, "is missing: the line is empty")
        if line and not own:
            raise Fault(field, number, f"an empty line must stand before, not {_shown(line)}")
    return [(number, line) for number, line in numbered if line]


def _without_empty_end(text: str) -> str:
    """The text without the empty lines at its end, of which a text may have 60,000."""
    kept = text.rstrip("\r\n")
    return text if "\r\r" in text[len(kept) :] else kept  # after a second CR a line is not empty


def _time(match: re.Match[str] | None, number: int, written: str) -> datetime:
    if match is None:
        raise Fault("time", number, f"must be DD MM YYYY HH MM (a reading's with SS), not {_shown(written)}")
    day, month, year, hour, minute = (int(part) for part in match.groups()[:5])
    second = int(match.group(6)) if match.re is not _HEADER_TIME else 0
    try:
        if year in _YEARS:
            return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - a relay's clock has no zone
    except ValueError:
        pass
    raise Fault("time", number, f"{_shown(written)} is no date and time of day")


def _name(field: str, number: int, name: str) -> str:
    if len(name) > MAX_NAME:
        raise Fault(field, number, f"is longer than {MAX_NAME} characters")
    if unseen := UNSEEN.search(name):
        raise Fault(field, number, f"has a character that nobody sees: U+{ord(unseen.group()):04X}")
    if name != name.strip(" ") or ";" in name:
        raise Fault(field, number, "has a semicolon, or a blank at an end")
    return name


def _faults(number: int, line: str, strict: bool) -> float:
    match = _FAULTS.fullmatch(line)
    if match is None:
        raise Fault("faults", number, f'must be "Openings caused by faults: " and a number, not {_shown(line)}')
    faults = float(match.group(1)) + 0.0
    if faults < 0 or (strict and not faults.is_integer()):
        raise Fault("faults", number, f"must be a whole number, 0 or more, not {match.group(1)}")
    return faults


def _readings(lines: list[tuple[int, str]], minute: datetime | None, period_s: int) -> tuple[Reading, ...]:
    """The rows of ``lines``. ``minute``: of the header, where the times must fit it."""
    readings: list[Reading] = []
    for number, line in lines:
        for row in _rows(line, joined_by_one=minute is not None):
            reading = _reading(number, row)
            if minute is not None:
                _check_time(number, reading.time, readings, minute, period_s)
            readings.append(reading)
            if len(readings) > MAX_READINGS:
                raise Fault("reading", number, f"there are more than {MAX_READINGS}")
    return tuple(readings)


def _rows(line: str, *, joined_by_one: bool) -> list[str]:
    first, *others = line.split(" " + _ROW_START)
    rows = [first, *(_ROW_START + row for row in others)]
    return rows if joined_by_one else [row.strip(" ") for row in rows]


def _reading(number: int, row: str) -> Reading:
    match = _ROW.fullmatch(row)
    if match is None:
        raise _row_fault(number, row)
    time = _time(match, number, row.split(";")[1])
    values = tuple(float(value) + 0.0 for value in match.groups()[6:])  # -0.0 becomes 0.0
    factor = values[MEASURES.index("FP")]
    if not -1.0 <= factor <= 1.0:
        raise Fault("FP", number, f"must lie within -1 and 1, not {factor!r}")
    return Reading(time, values)


def _check_time(number: int, time: datetime, before: list[Reading], minute: datetime, period_s: int) -> None:
    if before and time <= before[-1].time:
        raise Fault(
            "time", number, f"{time.isoformat()} does not follow the reading before, {before[-1].time.isoformat()}"
        )
    if not before and not minute <= time < minute + timedelta(minutes=1):
        raise Fault(
            "time", number, f"{time.isoformat()} is not in the header's minute {minute.isoformat(timespec='minutes')}"
        )
    if time > minute + timedelta(seconds=period_s + GRACE_S):
        raise Fault(
            "time", number, f"{time.isoformat()} is more than {period_s} s and {GRACE_S} s after the header's minute"
        )


def _row_fault(number: int, row: str) -> Fault:
    """Why a row is none: its first field that is wrong."""
    title, time, *rest = [*row.split(";"), "", ""]
    if title != _ROW_START[:-1]:
        return Fault("reading", number, f'must begin with "{_ROW_START}", not {_shown(row)}')
    if not _ROW_TIME.fullmatch(time):
        return Fault("time", number, f"must be DD MM YYYY HH MM SS, not {_shown(time)}")
    for index, measure in enumerate(MEASURES):
        name, value = rest[2 * index : 2 * index + 2] if 2 * index + 1 < len(rest) else ("", "")
        if name != measure:
            return Fault(measure, number, f"is missing: {_shown(name)} stands in its place" if name else "is missing")
        if not _NUMBER.fullmatch(value):
            return Fault(measure, number, f"must be a number such as 115.314, not {_shown(value)}")
    return Fault("reading", number, f"{_shown(rest[2 * len(MEASURES)])} follows the value of {MEASURES[-1]}")


def _shown(text: str) -> str:
    """A text as a message quotes it: short, in ASCII."""
    return ascii(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")

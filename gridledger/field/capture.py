"""Captures of a relay: from the article's text and back. Times are naive, by the relay's clock (:mod:`.clock`)."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from gridledger.errors import InputError
from gridledger.field import grammar
from gridledger.field.grammar import MAX_BYTES, MAX_READINGS, MEASURES, Capture, Fault, Reading, text_hash

__all__ = [
    "MAX_BYTES",
    "MAX_READINGS",
    "MEASURES",
    "UNITS",
    "Capture",
    "CaptureError",
    "Reading",
    "parse_capture",
    "read_capture",
    "render_capture",
    "text_hash",
]

_DECIMALS: Final = 3

UNITS: Final = {
    **dict.fromkeys(("Vab", "Vbc", "Vca"), "kV"),
    **dict.fromkeys(("Ia", "Ib", "Ic"), "A"),
    "F": "Hz",
    "FP": "",
    "P": "MW",
    "Q": "MVAr",
}
"""The unit of each measure; the power factor has none."""


class CaptureError(InputError):
    """A text is no capture. ``details`` name the field and the line."""

    code = "BAD_CAPTURE"


def parse_capture(text: str, *, strict: bool = True, period_s: int = 60) -> Capture:
    """What a text says; strict as the ledger demands it, else as the article prints it. :class:`CaptureError`."""
    try:
        return grammar.parse(text, strict=strict, period_s=period_s)
    except Fault as fault:
        raise CaptureError(str(fault), field=fault.field, line=fault.line) from None


def read_capture(data: bytes, *, strict: bool = True, period_s: int = 60) -> Capture:
    """The same of a file's bytes: UTF-8, at most :data:`MAX_BYTES`. Not strict: a byte order mark does not count."""
    if len(data) > MAX_BYTES:
        raise CaptureError(f"bytes, line 1: there are {len(data)}, at most {MAX_BYTES} are read", field="bytes", line=1)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise CaptureError(f"bytes, line {line}: not UTF-8 at byte {error.start}", field="bytes", line=line) from None
    return parse_capture(text if strict else text.removeprefix("\ufeff"), strict=strict, period_s=period_s)


def render_capture(capture: Capture) -> str:
    """The article's text: rows by line, three decimals at most, a line feed at the end."""
    lines = [
        _moment(capture.time),
        capture.relay,
        capture.substation,
        "",
        f"Openings caused by faults: {_number(capture.faults)}",
        "",
        *(_row(reading) for reading in capture.readings),
    ]
    return "\n".join(lines) + "\n"


def _row(reading: Reading) -> str:
    values = "".join(f";{name};{_number(value)}" for name, value in zip(MEASURES, reading.values, strict=True))
    return f"Time Stamp;{_moment(reading.time)} {reading.time.second:02d}{values}"


def _moment(time: datetime) -> str:
    return f"{time.day:02d} {time.month:02d} {time.year:04d} {time.hour:02d} {time.minute:02d}"


def _number(value: float) -> str:
    return repr(round(float(value), _DECIMALS) + 0.0)  # + 0.0: no minus before a zero

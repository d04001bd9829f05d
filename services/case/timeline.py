"""Rows as people and other tools read them: lines of a timeline, Timesketch's JSONL, CSV.

A row that tells no time has none here either.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from gridledger import jsontext
from gridledger.evidence.events import BATCH, KINDS
from gridledger.protocol.codes import CODES
from services.case.rows import Row

COLUMNS: Final = (
    "told",
    "block_time",
    "kind",
    "device",
    "seq",
    "operator",
    "terminal",
    "session",
    "marks",
    "code",
    "channel",
    "block",
    "position",
    "item",
    "tx_id",
    "certificate",
    "text",
)
"""Of a CSV file."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_BY_DEVICE: Final = frozenset((*KINDS, BATCH))


def iso_time(time_us: int | None) -> str:
    """A time as ISO 8601 in UTC to the microsecond; empty where there is none, the number where it is no date."""
    if time_us is None:
        return ""
    try:
        return (_EPOCH + timedelta(microseconds=time_us)).isoformat(timespec="microseconds")
    except OverflowError:
        return str(time_us)


def who(row: Row) -> str:
    """Whom a row is about: its device, its operator at a terminal, or neither."""
    person = f"{row.operator} at {row.terminal}" if row.operator and row.terminal else row.operator or row.terminal
    return ", ".join(part for part in (row.device, person) if part)


def marks_of(row: Row) -> str:
    """The marks, and the code of what is not valid: ``late 700, NOT VALID (MVCC_READ_CONFLICT)``."""
    told = [f"{name} {number}" for name, number in row.marks.items()]
    if not row.is_valid:
        told.append(f"NOT VALID ({code_name(row)})")
    return ", ".join(told)


def code_name(row: Row) -> str:
    """The validation code's name."""
    code = CODES.get(row.code)
    return code.name if code is not None else str(row.code)


def message_of(row: Row) -> str:
    """A row in a line, without its times."""
    session = f" in session {row.session}" if row.session else ""
    told = f"{row.kind} {who(row)}".strip()
    return f"{told}{session}: {row.text}"


def timesketch(row: Row, by_block: bool) -> dict[str, Any] | None:
    """A line of Timesketch's JSONL: by the time told, or the block's; None where the row tells none."""
    time_us = row.block_us if by_block else row.said_us
    if time_us is None:
        return None
    described = (
        "time of the block" if by_block else f"time told by the {'device' if row.kind in _BY_DEVICE else 'client'}"
    )
    return {
        "message": message_of(row),
        "datetime": iso_time(time_us),
        "timestamp": time_us,
        "timestamp_desc": described,
        "told_datetime": iso_time(row.said_us),
        "block_datetime": iso_time(row.block_us),
        "kind": row.kind,
        "device": row.device,
        "seq": row.seq,
        "operator": row.operator,
        "terminal": row.terminal,
        "session": row.session,
        "marks": sorted(row.marks),
        "code": code_name(row),
        "channel": row.channel,
        "block": row.block,
        "position": row.position,
        "item": row.item,
        "tx_id": row.tx_id,
        "certificate": row.certificate,
        "text": row.text,
    }


def csv_head() -> str:
    """The first line of a CSV file."""
    return _csv_line(COLUMNS)


def csv_line(row: Row) -> str:
    """A row's line of a CSV file. A text that a spreadsheet would take for a formula begins with an apostrophe."""
    values = {
        **row.to_dict(),
        "told": iso_time(row.said_us),
        "block_time": iso_time(row.block_us),
        "marks": jsontext.dumps(row.marks).decode(),
        "code": code_name(row),
    }
    return _csv_line([values[column] for column in COLUMNS])


def _csv_line(values: Sequence[Any]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerow(["" if value is None else _plain(value) for value in values])
    return written.getvalue()


def _plain(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value

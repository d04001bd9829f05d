"""What commands write: lines, fields and tables for people, JSON documents for programs.

What people read goes through :func:`~gridledger.command_line.one_line`, as parts of it come from others. On a terminal
a table fits its width; in a pipe nothing is shortened, folded or coloured.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from gridledger.command_line import one_line

_UNBOUNDED_WIDTH = 1_000_000
_US_PER_S = 1_000_000


def say(text: str) -> None:
    """Write a line."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """Write a line that is not the command's result: on standard error."""
    sys.stderr.write(one_line(text) + "\n")
    sys.stderr.flush()


def say_json(value: Any) -> None:
    """Write a JSON value on a line of its own."""
    say(json_text(value))


def json_text(value: Any) -> str:
    """A value's JSON text, on one line."""
    from gridledger import jsontext  # noqa: PLC0415 - orjson is not needed for help

    return jsontext.dumps(value).decode()


def say_fields(fields: Mapping[str, Any]) -> None:
    """Write a line for each field, its value behind its name."""
    width = max(map(len, fields), default=0)
    for name, value in fields.items():
        say(f"{name:<{width}}  {one_line(str(value))}".rstrip())


def say_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table with a head."""
    from rich import box  # noqa: PLC0415 - not needed for help
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    terminal = sys.stdout.isatty()
    table = Table(box=box.SIMPLE_HEAD if terminal else None, pad_edge=False, padding=(0, 1), header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=not terminal)
    for row in rows:
        table.add_row(*(Text(one_line(str(cell))) for cell in row))
    console = Console(file=sys.stdout, width=None if terminal else _UNBOUNDED_WIDTH, highlight=False)
    with console.capture() as written:
        console.print(table)
    for line in written.get().splitlines():
        say(line.rstrip())


def time_text(timestamp_us: int) -> str:
    """Microseconds since 1970 as UTC to the millisecond; the number itself where it is no date."""
    try:
        when = datetime.fromtimestamp(timestamp_us / _US_PER_S, UTC)
    except (ValueError, OverflowError, OSError):
        return str(timestamp_us)
    return when.isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")

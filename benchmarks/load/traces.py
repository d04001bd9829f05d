"""Traces: recorded send times in the formats of Caliper's record-rate, in milliseconds since the load's begin.

TEXT has one number a line. BIN_BE and BIN_LE have 32-bit unsigned integers: the number of times, then the times.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from gridledger.errors import SettingsError

Format = Literal["TEXT", "BIN_BE", "BIN_LE"]
_ORDER = {"BIN_BE": ">", "BIN_LE": "<"}
_WORKER = "<C>"


def encode(times_s: Sequence[float], form: Format) -> bytes:
    """Write times in seconds as a trace."""
    times = [round(time * 1000) for time in times_s]
    if form == "TEXT":
        return "".join(f"{time}\n" for time in times).encode()
    return struct.pack(f"{_ORDER[form]}{len(times) + 1}I", len(times), *times)


def decode(data: bytes, form: Format) -> list[float]:
    """Read a trace's times in seconds. Raises :class:`SettingsError` where it is not of this format."""
    try:
        if form == "TEXT":
            return [int(line) / 1000 for line in data.split()]
        count, *times = struct.unpack(f"{_ORDER[form]}{len(data) // 4}I", data)
        if count != len(times):
            raise ValueError(f"it announces {count} times and holds {len(times)}")
        return [time / 1000 for time in times]
    except (ValueError, struct.error) as error:
        raise SettingsError(f"not a trace of the format {form}: {error}") from None


def trace_path(template: str, index: int, count: int) -> Path:
    """The trace file of worker ``index`` of ``count``: the template with <C> replaced by the index."""
    if count > 1 and _WORKER not in template:
        raise SettingsError(
            f"pathTemplate: with {count} workers the path must contain <C>, which becomes the worker's index"
        )
    return Path(template.replace(_WORKER, str(index)))

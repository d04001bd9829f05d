"""Numbers and loads as text: one way to write each unit, for all reports."""

from __future__ import annotations

import math
from typing import Any

from benchmarks.measure.results import Load

NONE = "\u2013"
_KILO = 1000
_TEN, _HUNDRED = 10, 100


def number(value: float | None, digits: int = 0) -> str:
    """A number with narrow spaces between thousands; a dash for none."""
    if value is None or not math.isfinite(value):
        return NONE
    return f"{value:,.{digits}f}".replace(",", "\u202f").replace("-", "\u2212")


def milliseconds(value: float | None) -> str:
    """About three significant digits: 8.42, 84.2, 842, 8 420."""
    if value is None or not math.isfinite(value):
        return NONE
    return number(value, 2 if value < _TEN else 1 if value < _HUNDRED else 0)


def share(value: float | None) -> str:
    """A share as a percentage. Less than the whole is never rounded to 100 %."""
    if value is None or not math.isfinite(value):
        return NONE
    percent = value * 100
    if percent < _TEN:
        return f"{percent:.1f}\u00a0%"
    almost = 1 - 0.0005 < value < 1
    return f"{99.9 if almost else percent:.{0 if percent == round(percent) else 1}f}\u00a0%"


def mebibytes(value: float) -> str:
    """Bytes as MiB."""
    return number(value / 2**20, 1)


def kilobytes(value: float | None) -> str:
    """Bytes as kB (1000 bytes)."""
    return NONE if value is None else number(value / _KILO, 2)


def offer_of(load: Load) -> str:
    """The rate or the number of users that was on offer."""
    kind, opts = str(load.controller.get("type", "?")), load.controller.get("opts") or {}
    simple: dict[str, str] = {
        "fixed-rate": "{tps} tx/s",
        "closed-loop": "saturation, {users} users",
        "fixed-load": "{transactionLoad} under way",
        "linear-rate": "{startingTps} to {finishingTps} tx/s",
    }
    try:
        return simple[kind].format_map({name: _plain(value) for name, value in opts.items()})
    except KeyError:
        return f"{kind} {', '.join(f'{name} {_plain(value)}' for name, value in opts.items())}".strip()


def name_of(load: Load) -> str:
    """A load's name: topology, workload and what was on offer."""
    return f"{load.topology}, {load.workload}, {offer_of(load)}"


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float | int) and not isinstance(value, bool) else str(value)

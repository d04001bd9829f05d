"""Numbers and loads in words: one way of writing each unit, wherever it stands."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from benchmarks.load.transaction_log import GOOD
from benchmarks.measure.processes import GENERATOR
from benchmarks.measure.results import Load, ProcessUse

LATE_MS = 100.0
"""A generator that sends later than this was short of a core."""
NEAR_A_CORE = 0.85
"""From this many cores on, a generator's process of one thread may be what held a load back."""
NONE = "\u2013"
_KILO = 1000
_TEN, _HUNDRED = 10, 100


def number(value: float | None, digits: int = 0) -> str:
    """A number with narrow spaces between thousands; a dash for none."""
    if value is None or not math.isfinite(value):
        return NONE
    return f"{value:,.{digits}f}".replace(",", "\u202f").replace("-", "\u2212")


def milliseconds(value: float | None) -> str:
    """Three significant digits or so: 8.42, 84.2, 842, 8 420."""
    if value is None or not math.isfinite(value):
        return NONE
    return number(value, 2 if value < _TEN else 1 if value < _HUNDRED else 0)


def share(value: float | None) -> str:
    """A share as a percentage. What is short of the whole never rounds to it."""
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


def load_of(load: Load) -> str:
    """What was on offer, in a few words."""
    kind, opts = str(load.controller.get("type", "?")), load.controller.get("opts") or {}
    simple: dict[str, str] = {
        "fixed-rate": "{tps} tx/s",
        "closed-loop": "saturation, {users} users",
        "fixed-load": "{transactionLoad} under way",
        "linear-rate": "{startingTps} to {finishingTps} tx/s",
    }
    try:
        return simple[kind].format_map(_Plain(opts))
    except KeyError:
        return f"{kind} {', '.join(f'{name} {_plain(value)}' for name, value in opts.items())}".strip()


def name_of(load: Load) -> str:
    """Topology, workload, load."""
    return f"{load.topology}, {load.workload}, {load_of(load)}"


def success(load: Load) -> float | None:
    """VALID transactions as a share of those sent."""
    return load.valid / load.sent if load.sent else None


def generators(load: Load) -> list[ProcessUse]:
    """The generator's own processes."""
    return [use for use in load.processes if use.kind in GENERATOR]


def invalid(load: Load) -> int:
    """Transactions that were committed in vain."""
    return sum(count for code, count in load.codes.items() if code not in GOOD)


def busiest(load: Load) -> float | None:
    """Cores that the generator's busiest process used; None if nobody looked."""
    return max((use.cores for use in generators(load)), default=None)


def warnings_of(load: Load) -> list[str]:
    """What a reader must know before believing the load's numbers."""
    busy = [use for use in generators(load) if use.cores >= NEAR_A_CORE]
    found = []
    if busy:
        worst = ", ".join(f"{use.name} {use.pid}: {use.cores:.2f} of a core" for use in busy)
        found.append(f"the generator may be what held this load back ({worst}). Measure again with more workers.")
    late_ms = load.generator_late_p99_ms or 0.0
    if late_ms > LATE_MS:
        found.append(
            f"the generator waited for a core itself: one transaction in a hundred was sent {late_ms:.0f} ms late or "
            "later, and its latency holds that."
        )
    if not load.valid:
        found.append("nothing became VALID.")
    # In a closed loop users are told to come later as a matter of course; only what was committed in vain is news.
    if invalid(load):
        found.append(f"{number(invalid(load))} transactions were committed as invalid.")
    unknown = load.sent - sum(load.codes.values()) - sum(load.refused.values())
    if load.codes and unknown > 0:
        found.append(f"of {number(unknown)} transactions it is not known what became of them.")
    return found


class _Plain(dict[str, str]):
    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__({name: _plain(value) for name, value in values.items()})


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float | int) and not isinstance(value, bool) else str(value)

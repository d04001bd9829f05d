"""A power-quality report beside the ledger: what differs. No I/O; the readings come from outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gridledger.field.capture import UNITS
from gridledger.field.minutes import minute_text, range_text
from services.relay.commands.quality_report import ReportRow
from services.relay.statistics import SHARE_OUTSIDE, Limits, WindowValues

DEFAULT_TOLERANCE: Final = 0.001
"""In the measure's unit, or of a share: captures have three decimals."""


@dataclass(slots=True)
class Window:
    """What the ledger has of one window. ``gaps`` are ranges of minutes without a capture."""

    begin: int
    end: int
    values: WindowValues = field(default_factory=WindowValues)
    unconfirmed: int = 0
    disputed: list[int] = field(default_factory=list)
    gaps: list[tuple[int, int]] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether every minute has a confirmed capture."""
        return not (self.unconfirmed or self.disputed or self.gaps)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "from": self.begin,
            "to": self.end,
            "captures": self.values.captures,
            "unconfirmed": self.unconfirmed,
            "disputed": self.disputed,
            "gaps": [list(gap) for gap in self.gaps],
        }

    def remarks(self) -> list[str]:
        """What a reader must know of it, line by line."""
        where = range_text(self.begin, self.end)
        found = [f"{where}: gap: no capture from {range_text(*gap)}" for gap in self.gaps]
        if self.disputed:
            minutes = ", ".join(map(minute_text, self.disputed))
            found.append(f"{where}: disputed and left out: {minutes}")
        if self.unconfirmed:
            found.append(f"{where}: {self.unconfirmed} of {self.values.captures} captures are not confirmed yet")
        return found


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that the ledger does not bear out. ``ledger`` is None where it has no reading, or no limits."""

    row: ReportRow
    ledger: float | None
    tolerance: float
    why: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        row = self.row
        return {
            "line": row.line,
            "from": row.begin,
            "to": row.end,
            "measure": row.measure,
            "statistic": row.statistic,
            "report": row.value,
            "ledger": self.ledger,
            "unit": "1" if row.statistic == SHARE_OUTSIDE else UNITS[row.measure],
            "tolerance": self.tolerance,
        }

    def __str__(self) -> str:
        """One line for people."""
        row = self.row
        of_share = row.statistic == SHARE_OUTSIDE
        unit = row.unit.strip("1") if of_share else UNITS[row.measure]
        times = 100.0 if of_share and unit == "%" else 1.0
        ledger = self.why if self.ledger is None else f"ledger {_number(self.ledger * times)} {unit}".rstrip()
        report = f"report {_number(row.value * times)} {unit}".rstrip()
        return f"line {row.line}: {row.measure} {row.statistic} of {range_text(*row.window)}: {report}, {ledger}"


def _number(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")


def difference_of(
    row: ReportRow, window: Window, limits: Mapping[str, Limits], tolerances: Mapping[str, float]
) -> Difference | None:
    """How a row differs from the ledger by more than its tolerance: that of ``share_outside``, or of its measure."""
    name = SHARE_OUTSIDE if row.statistic == SHARE_OUTSIDE else row.measure
    tolerance = tolerances.get(name, DEFAULT_TOLERANCE)
    if row.statistic == SHARE_OUTSIDE and row.measure not in limits:
        return Difference(row, None, tolerance, f"the relay's record has no limits of {row.measure}")
    value = window.values.statistic(row.statistic, row.measure, limits.get(row.measure))
    if value is None:
        return Difference(row, None, tolerance, "the ledger has no reading")
    # The sum of a report's decimal and a tolerance is no binary number: a hair more is no difference.
    return None if abs(row.value - value) <= tolerance * (1 + 1e-9) + 1e-12 else Difference(row, value, tolerance)

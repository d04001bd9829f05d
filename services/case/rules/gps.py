"""The rule about GPS spoofing: PMUs whose clock is wrong, by what their batches of phasors say.

``phasors`` has the mathematics. This rule points to the batches that the phasors came in; whoever reads the files
checks them against the batches' roots first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gridledger.evidence.events import BATCH
from services.case.rows import Row
from services.case.rules.finding import Finding, Parameter, Rule, Values, finding, of_kinds, told_us
from services.case.rules.phasors import Limits, Lines, Phasors, WrongClock, wrong_clocks

NAME: Final = "gps-spoofing"
_DEFAULTS: Final = Limits()


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Phasors of PMUs, the lines of the grid between them, and its nominal frequency, Hz."""

    lines: Lines
    phasors: Phasors
    nominal_hz: float


def gps_rule(measured: Measured) -> Rule:
    """The rule for what some PMUs measured."""
    return Rule(
        NAME,
        "The phasors of one PMU are turned against all of its neighbours', by more than its lines' flows explain, and "
        "its own P and Q stay: its clock is wrong, as when the GPS signal is forged.",
        lambda rows, values: _spoofed(rows, values, measured),
        (
            Parameter(
                "limit_deg", _DEFAULTS.limit_deg, "degrees", "misfit on all lines, with one sign (28 us at 50 Hz)"
            ),
            Parameter("hold_s", _DEFAULTS.hold_s, "s", "for how long, one second after the other"),
            Parameter("steady_s", _DEFAULTS.steady_s, "s", "over which time P and Q must be steady"),
            Parameter(
                "steady_share", _DEFAULTS.steady_share, "of what limit_deg carries", "by how much they may change"
            ),
            Parameter("apart_s", _DEFAULTS.apart_s, "s", "suspicions this near are one"),
        ),
    )


def _spoofed(rows: Sequence[Row], values: Values, measured: Measured) -> list[Finding]:
    limits = Limits(
        limit_deg=values["limit_deg"],
        hold_s=int(values["hold_s"]),
        steady_s=int(values["steady_s"]),
        steady_share=values["steady_share"],
        apart_s=int(values["apart_s"]),
    )
    batches = of_kinds(rows, BATCH)
    accused = wrong_clocks(measured.lines, measured.phasors, measured.nominal_hz, limits)
    return [each for wrong in accused if (each := _told(wrong, batches)) is not None]


def _told(wrong: WrongClock, batches: Sequence[Row]) -> Finding | None:
    """The finding, where the record has the batches it rests on."""
    own = [row for row in batches if row.device in wrong.pmus and _overlaps(row, wrong)]
    if not own:
        return None
    who = " or ".join(wrong.pmus)
    text = (
        f"the clock of {who} is {abs(wrong.clock_us):.1f} us {'ahead' if wrong.clock_us > 0 else 'behind'}: "
        f"its phasors are turned by {wrong.angle_deg:.2f} degrees against "
        + ", ".join(f"{angle:.2f} on line {line}" for line, angle in wrong.misfits_deg.items())
    )
    details = {
        "pmus": list(wrong.pmus),
        "from_us": wrong.from_us,
        "found_us": wrong.found_us,
        "until_us": wrong.until_us,
        "angle_deg": wrong.angle_deg,
        "clock_us": wrong.clock_us,
        "misfits_deg": dict(wrong.misfits_deg),
    }
    return finding(NAME, text, own, device=wrong.pmus[0], details=details)


def _overlaps(row: Row, wrong: WrongClock) -> bool:
    end = row.details.get("to_us")
    return told_us(row) < wrong.until_us and isinstance(end, int) and end > wrong.from_us

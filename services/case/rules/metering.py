"""Rules about energy and money: meters against their feeder, payments against charges.

Readings, charges and payments are private: their bodies are not on the chain. So the first rule goes by the synopses of
batches, the second by which events there are, and by their bodies where a case disclosed them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gridledger.evidence.events import BATCH
from services.case.rows import Row
from services.case.rules.finding import (
    SECOND_US,
    Finding,
    Parameter,
    Rule,
    Values,
    by,
    finding,
    listed,
    of_kinds,
    told_us,
)

Feeders = Mapping[str, Sequence[str]]
"""The meters behind each feeder's meter, by device."""

POWER: Final = "p_w"
"""The field of a synopsis that has the power into the feeder, or into the home, W."""


def theft_rule(feeders: Feeders) -> Rule:
    """The rule for these feeders; a network without any has no such finding."""
    return Rule(
        "energy-missing",
        "A feeder delivered more energy than all meters behind it measured, or less, by more than its losses.",
        lambda rows, values: _missing(rows, values, feeders),
        (
            Parameter("window_s", 900.0, "s", "over which time energies are compared", scales=True),
            Parameter("loss", 0.08, "of the feeder's energy", "what lines may lose"),
            Parameter("error", 0.02, "of the feeder's energy", "what meters may measure too much"),
        ),
    )


def _missing(rows: Sequence[Row], values: Values, feeders: Feeders) -> list[Finding]:
    batches = {str(device): each for device, each in by(of_kinds(rows, BATCH), lambda row: row.device)}
    found = []
    for feeder, meters in sorted(feeders.items()):
        delivered = _energies(batches.get(feeder, []), values["window_s"])
        measured = [_energies(batches.get(meter, []), values["window_s"]) for meter in meters]
        wrong: list[tuple[int, float, float, list[Row]]] = []
        for window, (fed_wh, fed_rows) in sorted(delivered.items()):
            if not measured or any(window not in each for each in measured):
                continue  # a meter that was silent would look like theft
            used_wh = sum(each[window][0] for each in measured)
            share = (fed_wh - used_wh) / fed_wh if fed_wh > 0 else 0.0
            if share > values["loss"] or share < -values["error"]:
                wrong.append(
                    (window, fed_wh, used_wh, [*fed_rows, *(row for each in measured for row in each[window][1])])
                )
        if wrong:
            fed, used = sum(each[1] for each in wrong), sum(each[2] for each in wrong)
            what = "is missing" if fed > used else "was measured too much"
            text = (
                f"behind {feeder} {abs(fed - used) / 1000:.3f} kWh of {fed / 1000:.3f} kWh {what}, "
                f"in {len(wrong)} of {len(delivered)} spans: its meters are {listed(meters)}"
            )
            details = {"delivered_wh": fed, "measured_wh": used, "meters": list(meters)}
            rest = sorted((row for each in wrong for row in each[3]), key=told_us)
            found.append(finding("energy-missing", text, rest, device=feeder, details=details))
    return found


def _energies(batches: Sequence[Row], window_s: float) -> dict[int, tuple[float, list[Row]]]:
    """Wh and batches by window, of windows that batches cover wholly; a batch counts where its middle lies."""
    found: dict[int, tuple[float, list[Row]]] = {}
    covered_us: dict[int, int] = {}
    window_us = int(window_s * SECOND_US)
    for row in batches:
        told = row.details
        begin, end, mean_w = told.get("from_us"), told.get("to_us"), _mean(told.get("synopsis"))
        if not isinstance(begin, int) or not isinstance(end, int) or mean_w is None:
            continue
        window = (begin + end) // 2 // window_us
        energy, rows = found.get(window, (0.0, []))
        found[window] = energy + mean_w * (end - begin) / SECOND_US / 3600, [*rows, row]
        covered_us[window] = covered_us.get(window, 0) + end - begin
    return {window: each for window, each in found.items() if abs(covered_us[window] - window_us) <= 0.1 * window_us}


def _mean(synopsis: Any) -> float | None:
    told = synopsis.get(POWER) if isinstance(synopsis, dict) else None
    match told:
        case [_, _, int() | float() as mean, _]:
            return float(mean)
    return None


def _unpaid_energy(rows: Sequence[Row], values: Values) -> list[Finding]:
    found = []
    for device, said in by(of_kinds(rows, "charge", "payment"), lambda row: row.device):
        charges: list[Row] = []
        for row in sorted(said, key=told_us):
            if row.kind == "charge":
                charges.append(row)
                continue
            recent = [each for each in charges if told_us(row) - told_us(each) <= values["within_s"] * SECOND_US]
            given = [each for each in recent if _energy_wh(each) != 0.0]
            if not given:
                why = "no charge" if not recent else "no energy in its charge"
                text = f"{device} took a payment with {why} before it since the payment before"
                found.append(finding("payment-without-energy", text, [*recent, row], device=device))
            charges = []
    return found


def _energy_wh(row: Row) -> float | None:
    """Of a charge whose body is known; None where it is not told."""
    body = row.details.get("body")
    energy = body.get("energy_wh") if isinstance(body, dict) else None
    return float(energy) if isinstance(energy, int | float) else None


RULES: Final = (
    Rule(
        "payment-without-energy",
        "A charging station took a payment before which it gave no energy.",
        _unpaid_energy,
        (Parameter("within_s", 86_400.0, "s", "how long before the payment the charge may have ended", scales=True),),
    ),
)

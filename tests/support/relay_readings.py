"""Captures with given values of one measure, for tests of what is computed from readings."""

from __future__ import annotations

from datetime import datetime, timedelta

from gridledger.field.capture import MEASURES, Capture, Reading

BEGIN = datetime(2026, 11, 30, 2, 24)


def capture_with(*voltages: float) -> Capture:
    """A capture whose readings have these values of Vab, and 1 of all other measures."""
    readings = tuple(
        Reading(BEGIN + timedelta(seconds=10 * index), (value, *[1.0] * (len(MEASURES) - 1)))
        for index, value in enumerate(voltages)
    )
    return Capture(BEGIN, "Relay 1", "Bogotá", 0.0, readings)

"""The lies of the demonstration: texts that the contract's grammar takes, and that the relay never told.

A lying server is no mode of the product: whoever has a server's key can submit these through the SDK.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from gridledger.field.capture import MEASURES, Capture, Reading, parse_capture, render_capture, text_hash
from services.relay.ledger import RelayLedger

_FLATTERING = {"Vab": 115.0, "Vbc": 115.0, "Vca": 115.0, "F": 60.0, "FP": 0.99}


def flattered(capture: Capture, limits: Mapping[str, Sequence[float]]) -> Capture:
    """The same minute as an operator would like it: no faults, nominal voltage and frequency, all within limits."""

    def better(name: str, value: float) -> float:
        low, high = limits.get(name, (value, value))
        return _FLATTERING.get(name, min(max(value, low), high))

    readings = tuple(
        Reading(reading.time, tuple(better(name, value) for name, value in zip(MEASURES, reading.values, strict=True)))
        for reading in capture.readings
    )
    return Capture(capture.time, capture.relay, capture.substation, 0.0, readings)


def of_next_minute(capture: Capture, period_s: int) -> Capture:
    """A capture as if its readings were those of the period behind it."""
    later = timedelta(seconds=period_s)
    readings = tuple(Reading(reading.time + later, reading.values) for reading in capture.readings)
    return Capture(capture.time + later, capture.relay, capture.substation, capture.faults, readings)


async def attest_another_text(
    ledger: RelayLedger, relay: str, minute: int, limits: Mapping[str, Sequence[float]]
) -> str:
    """Attest a flattered text of a minute that is recorded; its hash."""
    stored = await ledger.get_capture(relay, minute)
    text = render_capture(flattered(parse_capture(stored["text"]), limits))
    await ledger.attest_capture(relay, minute, text_hash(text), text)
    return text_hash(text)


async def record_made_up_text(
    ledger: RelayLedger, relay: str, before: int, limits: Mapping[str, Sequence[float]]
) -> str:
    """Record a flattered text of the minute behind ``before``, which is recorded, while the relay is still at it; its
    hash."""
    stored = await ledger.get_capture(relay, before)
    text = render_capture(of_next_minute(flattered(parse_capture(stored["text"]), limits), 60))
    sha256 = text_hash(text)
    await ledger.record_capture(relay, text, {"protocol": "text", "sha256": sha256})
    return sha256

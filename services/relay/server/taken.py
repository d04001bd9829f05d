"""A capture as a server takes it from a relay: parsed, and put in its minute of UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gridledger.field.capture import CaptureError, parse_capture
from gridledger.field.clock import minutes_of
from services.relay.readers import Delivered

_MINUTE_US = 60_000_000


@dataclass(frozen=True, slots=True)
class Taken:
    """A capture that is to be recorded, or attested. ``minute`` is the UTC epoch minute of its header; the hashes are
    those of the text and of what the protocol delivered."""

    minute: int
    text: str
    sha256: str
    protocol: str
    source_sha256: str

    @property
    def source(self) -> dict[str, str]:
        """Where it came from, as the contract wants it."""
        return {"protocol": self.protocol, "sha256": self.source_sha256}


def take(delivered: Delivered, record: Mapping[str, Any], now_us: int) -> Taken:
    """Parse a delivered capture, strictly as the contract will; :class:`CaptureError` names the field and the line."""
    capture = parse_capture(delivered.text, period_s=record["period_s"])
    for field, line, told in (("relay", 2, capture.relay), ("substation", 3, capture.substation)):
        expected = record["name"] if field == "relay" else record["substation"]
        if told != expected:
            why = f"{field}, line {line}: is {told!r:.80}, and {expected!r} is registered"
            raise CaptureError(why, field=field, line=line)
    possible = minutes_of(capture.time, record["utc_offsets"])
    minute = minute_of(possible, delivered, record["period_s"], now_us)
    if minute is None:
        raise CaptureError(
            f"time, line 1: {capture.time:%Y-%m-%d %H:%M} is no time of this relay's clock: see its utc_offsets",
            field="time",
            line=1,
        )
    return Taken(minute, delivered.text, delivered.sha256, record["protocol"], delivered.source_sha256)


def minute_of(possible: list[int], delivered: Delivered, period_s: int, now_us: int) -> int | None:
    """Which of the minutes that a header may mean it means.

    The minute that the protocol tells; else the one that fits best to when the relay completed the capture, or to now.
    In the hour that a change of the clock repeats only these tell the two apart.
    """
    if delivered.minute is not None:
        return delivered.minute if delivered.minute in possible else None
    completed_us = now_us if delivered.completed_us is None else delivered.completed_us
    return min(
        possible,
        key=lambda minute: abs(completed_us - minute * _MINUTE_US - period_s * 1_000_000),
        default=None,
    )

"""A capture as a server takes it from a relay: parsed, and put in its minute of UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gridledger.field.capture import CaptureError, parse_capture
from gridledger.field.clock import exact_and_near
from services.relay.readers import Delivered
from services.relay.readers.minutes import minute_of, nearest


@dataclass(frozen=True, slots=True)
class Taken:
    """A capture that is to be recorded, or attested. ``minute`` is the UTC epoch minute of its header; the hashes are
    those of the text and of what the protocol delivered; ``revision`` is that of the relay's record that it fits."""

    minute: int
    text: str
    sha256: str
    protocol: str
    source_sha256: str
    revision: int

    @property
    def source(self) -> dict[str, str]:
        """Where it came from, as the contract wants it."""
        return {"protocol": self.protocol, "sha256": self.source_sha256}


class MinuteUnknown(CaptureError):
    """A capture of the hour that a clock change repeats: nothing tells whether it is the first or the second one."""


def take(
    delivered: Delivered, record: Mapping[str, Any], *, listed: int | None = None, now_us: int | None = None
) -> Taken:
    """Parse a delivered capture, strictly as the contract will; :class:`CaptureError` names the field and the line.

    ``listed`` is the minute that it has by its place in the relay's list. ``now_us`` is given where the relay has
    completed the capture just now. Raises :class:`MinuteUnknown` where it may be of one of two minutes.
    """
    capture = parse_capture(delivered.text, period_s=record["period_s"])
    for field, line, told in (("relay", 2, capture.relay), ("substation", 3, capture.substation)):
        expected = record["name"] if field == "relay" else record["substation"]
        if told != expected:
            why = f"{field}, line {line}: is {told!r:.80}, and {expected!r} is registered"
            raise CaptureError(why, field=field, line=line)
    minute = _minute_of(capture.time, delivered, record, listed, now_us)
    if minute % (record["period_s"] // 60):
        raise _no_time(f"no period of {record['period_s']} s begins at {capture.time:%Y-%m-%d %H:%M}")
    source = delivered.source_sha256
    return Taken(minute, delivered.text, delivered.sha256, record["protocol"], source, record["revision"])


def _minute_of(
    time: datetime, delivered: Delivered, record: Mapping[str, Any], listed: int | None, now_us: int | None
) -> int:
    """Which minute a header means.

    The one that the protocol tells; the one at whose end the capture was complete; the only one in which the clock
    should show the header; the one that fits the relay's list; the one that has just ended.
    """
    exact, near = exact_and_near(time, record["utc_offsets"])
    shown = f"{time:%Y-%m-%d %H:%M}"
    if delivered.minute is not None and delivered.minute in exact + near:
        return delivered.minute
    if delivered.minute is None:
        minute = minute_of(time, delivered.completed_us, record)
        if minute is not None:
            return minute
        if listed in exact:
            return listed
        if now_us is not None and (ended := nearest(exact, now_us, record["period_s"])) is not None:
            return ended
        if exact:
            raise MinuteUnknown(
                f"time, line 1: the relay's clock shows {shown} twice, and neither a time of completion "
                "(Last-Modified, or completed_us in its list) nor the order of its list tells which of the two this is",
                field="time",
                line=1,
            )
    raise _no_time(f"{shown} is no time of this relay's clock: see its utc_offsets")


def _no_time(why: str) -> CaptureError:
    return CaptureError(f"time, line 1: {why}", field="time", line=1)

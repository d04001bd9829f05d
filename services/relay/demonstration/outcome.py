"""What became of each minute: put together from the ledger, the relay's own log and what the peers told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gridledger.field.capture import MEASURES, Reading, parse_capture
from services.relay.demonstration.renames import Rename
from services.relay.demonstration.story import Cast, is_timed, remark

Voice = Literal["won", "same", "later", "other", "none"]
"""What a server said of a minute: it recorded it, attested the text of record, at once or a minute later or more,
attested or recorded another, nothing.

Where there is no text of record, ``same``, ``later`` and ``other`` are by what the winner told."""


@dataclass(frozen=True, slots=True)
class Breach:
    """A value outside its limits: the reading's number in the minute, the measure, the value, the limit."""

    reading: int
    measure: str
    value: float
    limit: float


@dataclass(frozen=True, slots=True)
class MinuteOutcome:
    """A minute of the demonstration.

    ``told_sha256`` is the hash of what the relay wrote, ``record_sha256`` that of the text of record. ``update_ms`` is
    the time from the relay's rename until the winner's own peer told that the record is valid, ``last_ms`` until all
    peers had; below 0 where it was recorded first. ``readings`` and ``faults`` are of the text of record, else of the
    winner's; ``outvoted`` are the readings of texts that are not of record, by server.
    """

    number: int
    minute: int
    winner: str
    sha256: str
    record_sha256: str | None
    told_sha256: str
    update_ms: float | None
    last_ms: float | None
    voices: Mapping[str, Voice]
    status: str
    against: tuple[str, ...]
    faults: float
    breaches: tuple[Breach, ...]
    readings: tuple[Reading, ...]
    outvoted: Mapping[str, tuple[Reading, ...]]
    remark: str
    times_recorded: int
    timed: bool
    """Whether its update time counts."""

    @property
    def attested_by(self) -> list[str]:
        """The servers beside the winner that told the same as the record says."""
        return [server for server, voice in self.voices.items() if voice in ("same", "later")]


def outcome_of(
    number: int,
    stored: Mapping[str, Any],
    rename: Rename,
    arrivals: Mapping[str, int],
    *,
    times_recorded: int,
    own_peer: str,
    record: Mapping[str, Any],
    cast: Cast,
    minute_s: float,
) -> MinuteOutcome:
    """One minute. ``stored`` is GetCapture's answer, ``arrivals`` when each peer told of the record (us); a minute of
    the relay lasts ``minute_s``."""
    verdict, of_record = stored["verdict"] or {}, stored["record"]
    text = stored["text"] if of_record is None else of_record["text"]
    capture = parse_capture(text, period_s=record["period_s"])
    after_ms = {peer: (arrived_us - rename.renamed_us) / 1000 for peer, arrived_us in arrivals.items()}
    return MinuteOutcome(
        number=number,
        minute=rename.minute,
        winner=stored["server"],
        sha256=stored["sha256"],
        record_sha256=None if of_record is None else of_record["sha256"],
        told_sha256=rename.sha256,
        update_ms=after_ms.get(own_peer),
        last_ms=max(after_ms.values(), default=None),
        voices=_voices(stored, cast, minute_s),
        status=verdict.get("status", "open"),
        against=tuple(verdict.get("against", ())),
        faults=capture.faults,
        breaches=tuple(breaches_of(capture.readings, record.get("limits") or {})),
        readings=capture.readings,
        outvoted=_outvoted(stored, record["period_s"]),
        remark=remark(number, cast),
        times_recorded=times_recorded,
        timed=own_peer in after_ms and is_timed(number, stored["server"], cast),
    )


def breaches_of(readings: Sequence[Reading], limits: Mapping[str, Sequence[float]]) -> list[Breach]:
    """Each value outside its limits, as the contract finds them."""
    return [
        Breach(place, name, value, low if value < low else high)
        for place, reading in enumerate(readings)
        for name, value in zip(MEASURES, reading.values, strict=True)
        if name in limits
        for low, high in (limits[name],)
        if not low <= value <= high
    ]


def _outvoted(stored: Mapping[str, Any], period_s: int) -> dict[str, tuple[Reading, ...]]:
    if stored["record"] is None:
        return {}
    told = {stored["server"]: stored, **{item["server"]: item for item in stored["attestations"] if "text" in item}}
    return {
        server: parse_capture(item["text"], period_s=period_s).readings
        for server, item in told.items()
        if item["sha256"] != stored["record"]["sha256"] and item["text"] is not None
    }


def _voices(stored: Mapping[str, Any], cast: Cast, minute_s: float) -> dict[str, Voice]:
    compared = stored["record"]["sha256"] if stored["record"] is not None else stored["sha256"]
    late_us = stored["time_us"] + minute_s * 1_000_000
    told = {item["server"]: item for item in stored["attestations"]}
    voices: dict[str, Voice] = {}
    for server in cast.servers:
        if server == stored["server"]:
            voices[server] = "won" if stored["sha256"] == compared else "other"
        elif server not in told:
            voices[server] = "none"
        elif told[server]["sha256"] != compared:
            voices[server] = "other"
        else:
            voices[server] = "later" if told[server]["time_us"] > late_us else "same"
    return voices

"""CloseHour: what an hour's texts of record come to, and the hash that proves them when they are kept elsewhere.

Sums are ``math.fsum``'s, correctly rounded, so that every peer gets the same to the bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from math import fsum
from typing import Any, Final

from gridledger.contract import ClientIdentity, Stub
from gridledger.contract.arguments import members, moment, refuse

from . import keys
from .arguments import hour_number, identifier, minute_shown
from .attestation import DISPUTED, text_of_record
from .captures import SKEW_S
from .grammar import MEASURES, Capture, parse
from .permissions import require_server
from .registration import Record, Revisions, read_record

HOUR_MIN: Final = 60
#: How long an hour with gaps waits for captures that come late, seconds.
PATIENCE_S: Final = 3600
_VOLTAGES: Final = slice(0, 3)
_F: Final = MEASURES.index("F")
_P: Final = MEASURES.index("P")
_Q: Final = MEASURES.index("Q")


@dataclass(slots=True)
class Hour:
    """What stands of an hour. ``confirmed``: texts of record, each with the record that it was taken under."""

    minutes: list[tuple[int, int]] = field(default_factory=list)
    confirmed: list[tuple[Capture, Record]] = field(default_factory=list)
    disputed: int = 0
    undecided: list[int] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)


def close_hour(stub: Stub, caller: ClientIdentity, argument: Any) -> dict[str, Any]:
    """CloseHour({relay, hour}): the synopsis. What is told later of a minute of the hour opens it again."""
    members(argument, "", ("relay", "hour"))
    relay_id, hour = identifier(argument["relay"], "relay"), hour_number(argument["hour"])
    record = read_record(stub, relay_id)
    server = require_server(caller, record)
    key = keys.hour(relay_id, hour)
    stored = stub.get_state(key)
    if stored is not None:
        refuse("hour", f"closed already by {stored['server']} at {moment(stored['time_us'])}")
    found = _read(stub, relay_id, hour)
    gaps = gaps_between(found.minutes, hour * HOUR_MIN, (hour + 1) * HOUR_MIN)
    _check_complete(stub, record, hour, found, gaps)
    synopsis = {"relay": relay_id, "hour": hour, **_synopsis(found, gaps)}
    synopsis |= {"server": server, "time_us": stub.get_tx_timestamp()}
    stub.put_state(key, synopsis)
    stub.set_event("HourClosed", synopsis)
    return synopsis


def gaps_between(minutes: Iterable[tuple[int, int]], start: int, end: int) -> list[list[int]]:
    """[from, to) of minutes from start to end that no capture covers. ``minutes``: (minute, period in minutes)."""
    gaps: list[list[int]] = []
    covered = start
    for minute, period in minutes:
        if minute > covered:
            gaps.append([covered, minute])
        covered = max(covered, minute + period)
    if covered < end:
        gaps.append([covered, end])
    return gaps


def total_of(hours: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The same members for several hours together, but without the hash and the gaps themselves."""
    total = {name: _count(hour[name] for hour in hours) for name in ("captures", "confirmed", "disputed", "readings")}
    return {
        **total,
        "gap_minutes": _count(to - start for hour in hours for start, to in hour["gaps"]),
        "faults": fsum(hour["faults"] for hour in hours),
        "measures": {
            measure: _merged([(hour["readings"], hour["measures"][measure]) for hour in hours if hour["readings"]])
            for measure in MEASURES
            if total["readings"]
        },
        "frequency_deviation_hz": _merged_mean(hours, "frequency_deviation_hz"),
        "unbalance_percent": _merged_mean(hours, "unbalance_percent"),
        "energy_mwh": fsum(hour["energy_mwh"] for hour in hours),
        "energy_mvarh": fsum(hour["energy_mvarh"] for hour in hours),
    }


def _count(numbers: Iterable[int]) -> int:
    return int(fsum(numbers))


def _read(stub: Stub, relay_id: str, hour: int) -> Hour:
    found = Hour()
    revisions = Revisions(stub, relay_id)
    start = hour * HOUR_MIN
    for minute in range(start, start + HOUR_MIN):  # by key: read as absent, a minute that comes meanwhile is a conflict
        capture = stub.get_state(keys.capture(relay_id, minute))
        if capture is None:
            continue
        record = revisions[capture["revision"]]
        found.minutes.append((minute, record["period_s"] // 60))
        verdict = stub.get_state(keys.verdict(relay_id, minute))
        of_record = text_of_record(stub, relay_id, minute, capture, verdict)
        if of_record is not None:
            found.confirmed.append((parse(of_record["text"], period_s=record["period_s"]), record))
        elif verdict is not None and verdict["status"] == DISPUTED:
            found.disputed += 1
        else:
            found.undecided.append(minute)
        found.hashes.append(f"{minute} {'-' if of_record is None else of_record['sha256']}\n")
    return found


def _check_complete(stub: Stub, record: Record, hour: int, found: Hour, gaps: list[list[int]]) -> None:
    """Refuse while more may be told: gaps for some time, minutes without verdict until they are too old."""
    end_s = (hour + 1) * 3600
    now_s = stub.get_tx_timestamp() // 1_000_000
    if gaps and now_s <= end_s + PATIENCE_S:
        until = moment((end_s + PATIENCE_S) * 1_000_000)
        refuse("hour", f"{minute_shown(gaps[0][0])} is not recorded; with gaps it can be closed after {until}")
    if found.undecided and now_s <= end_s + record["max_age_s"] + SKEW_S:
        refuse("hour", f"{minute_shown(found.undecided[0])} is not concluded")
    if not found.minutes:
        first = Revisions(stub, record["relay"])[1]
        if hour * 3600 < first["time_us"] // 1_000_000:
            refuse("hour", f"nothing is recorded in it, and it began before {record['relay']} was registered")


def _synopsis(found: Hour, gaps: list[list[int]]) -> dict[str, Any]:
    rows = [(reading.values, record) for capture, record in found.confirmed for reading in capture.readings]
    return {
        "captures": len(found.minutes),
        "confirmed": len(found.confirmed),
        "disputed": found.disputed,
        "gaps": gaps,
        "readings": len(rows),
        "faults": fsum(capture.faults for capture, _ in found.confirmed),
        "measures": {measure: _measure(rows, measure) for measure in MEASURES if rows},
        "frequency_deviation_hz": _mean_and_max([abs(values[_F] - record["nominal_hz"]) for values, record in rows]),
        "unbalance_percent": _mean_and_max([_unbalance(values[_VOLTAGES]) for values, _ in rows]),
        "energy_mwh": _energy(found.confirmed, _P),
        "energy_mvarh": _energy(found.confirmed, _Q),
        "sha256": sha256("".join(found.hashes).encode()).hexdigest(),
    }


def _measure(rows: list[tuple[tuple[float, ...], Record]], measure: str) -> dict[str, Any]:
    """{min, mean, max, limited, breaches, outside}: readings that have limits, those outside, and their share."""
    index = MEASURES.index(measure)
    values = [row[index] for row, _ in rows]
    limited = [(row[index], record["limits"][measure]) for row, record in rows if measure in record["limits"]]
    judged = [low <= value <= high for value, (low, high) in limited]
    return _with_share(min(values), fsum(values) / len(values), max(values), len(judged), judged.count(False))


def _with_share(low: float, mean: float, high: float, limited: int, breaches: int) -> dict[str, Any]:
    outside = breaches / limited if limited else None
    return {"min": low, "mean": mean, "max": high, "limited": limited, "breaches": breaches, "outside": outside}


def _merged(parts: list[tuple[int, dict[str, Any]]]) -> dict[str, Any]:
    readings = _count(count for count, _ in parts)
    return _with_share(
        min(part["min"] for _, part in parts),
        fsum(count * part["mean"] for count, part in parts) / readings,
        max(part["max"] for _, part in parts),
        _count(part["limited"] for _, part in parts),
        _count(part["breaches"] for _, part in parts),
    )


def _mean_and_max(values: list[float]) -> dict[str, float] | None:
    return {"mean": fsum(values) / len(values), "max": max(values)} if values else None


def _merged_mean(hours: Sequence[dict[str, Any]], name: str) -> dict[str, float] | None:
    parts = [(hour["readings"], hour[name]) for hour in hours if hour["readings"]]
    if not parts:
        return None
    mean = fsum(count * part["mean"] for count, part in parts) / _count(count for count, _ in parts)
    return {"mean": mean, "max": max(part["max"] for _, part in parts)}


def _unbalance(voltages: tuple[float, ...]) -> float:
    """100 max|V - mean| / mean; 0 where there is no voltage."""
    mean = fsum(voltages) / len(voltages)
    return 100.0 * max(abs(voltage - mean) for voltage in voltages) / mean if mean > 0.0 else 0.0


def _energy(confirmed: list[tuple[Capture, Record]], index: int) -> float:
    """Each capture's mean power over its period, MWh or MVArh."""
    return fsum(
        fsum(reading.values[index] for reading in capture.readings)
        / len(capture.readings)
        * record["period_s"]
        / 3600.0
        for capture, record in confirmed
    )

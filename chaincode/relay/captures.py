"""RecordCapture: the first server that tells a minute writes its text down, as the relay said it.

The contract parses the text itself: what stands is what the relay said, and no server's reading of it. Of two servers
at once the later one's transaction is invalid, as both have read that nothing stood there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gridledger.contract import ClientIdentity, ContractError, Stub
from gridledger.contract.arguments import choice, integer, members, moment, refuse, sha256, shown

from . import keys
from .arguments import identifier, minute_number, minute_shown
from .clock import exact_and_near
from .grammar import MEASURES, Capture, Fault, parse, text_hash
from .permissions import require_server
from .registration import PROTOCOLS, Record, Revisions, read_record

#: How far a relay's clock may be ahead of the proposal's, seconds.
SKEW_S: Final = 120
#: Most breaches that are listed of one text; a period of a minute has fewer.
MAX_BREACHES: Final = 1000


@dataclass(frozen=True, slots=True)
class Told:
    """A text that the relay of a record may have told: parsed, of this relay, of this minute of UTC."""

    minute: int
    sha256: str
    capture: Capture


def record_capture(stub: Stub, caller: ClientIdentity, argument: Any) -> dict[str, Any]:
    """RecordCapture({relay, text, source, minute?, revision?}): {relay, minute, server, sha256, readings, faults,
    breaches}.

    ``revision``: that of the record under which the server took the text, for one that waited while the record changed.
    """
    members(argument, "", ("relay", "text", "source"), ("minute", "revision"))
    relay_id = identifier(argument["relay"], "relay")
    given = None if argument.get("minute") is None else minute_number(argument["minute"])
    record, valid_until_us = _record_of(stub, relay_id, argument.get("revision"))
    server = require_server(caller, record)
    told = told_by(record, argument["text"], given)
    source = _source(argument["source"], told)
    stored = stub.get_state(keys.capture(relay_id, told.minute))
    if stored is not None:
        raise ContractError(
            f"ALREADY_RECORDED by {stored['server']} at {moment(stored['time_us'])}, sha256 {stored['sha256']}"
        )
    time_us = stub.get_tx_timestamp()
    _check_age(record, told.minute, time_us)
    if valid_until_us is not None:
        _check_revision(record, told.minute, valid_until_us)
    summary = summary_of(told.capture, record)
    stub.put_state(
        keys.capture(relay_id, told.minute),
        {
            "server": server,
            "sha256": told.sha256,
            "text": argument["text"],
            **summary,
            "source": source,
            "revision": record["revision"],
            "time_us": time_us,
            "tx_id": stub.get_tx_id(),
        },
    )
    open_hour_again(stub, relay_id, told.minute)
    result = {"relay": relay_id, "minute": told.minute, "server": server, "sha256": told.sha256, **summary}
    stub.set_event("CaptureRecorded", result)
    return result


def find_capture(stub: Stub, relay_id: str, minute: int) -> dict[str, Any]:
    """What stands of a minute; refused where nothing does."""
    stored: dict[str, Any] | None = stub.get_state(keys.capture(relay_id, minute))
    if stored is None:
        refuse("minute", f"no capture of {relay_id} is recorded for {minute_shown(minute)}")
    return stored


def open_hour_again(stub: Stub, relay_id: str, minute: int) -> None:
    """Take back the synopsis of an hour of which something has changed, so that it is closed anew."""
    key = keys.hour(relay_id, minute // 60)
    if stub.get_state(key) is not None:
        stub.del_state(key)


def told_by(record: Record, text: Any, given: int | None) -> Told:
    """What ``text`` says, if it is one of this relay. ``given``: the minute that it is said to be of, or None."""
    if type(text) is not str:
        refuse("text", f"must be a string, not {shown(text)}")
    try:
        capture = parse(text, period_s=record["period_s"])
    except Fault as fault:
        raise ContractError(str(fault)) from None
    for field, line, found, expected in (
        ("relay", 2, capture.relay, record["name"]),
        ("substation", 3, capture.substation, record["substation"]),
    ):
        if found != expected:
            refuse(f"{field}, line {line}", f"must be that of the record, {shown(expected)}, not {shown(found)}")
    minute = _minute(record, capture.time, given)
    if minute % (record["period_s"] // 60):
        refuse("time, line 1", f"a period of {record['period_s']} s does not begin at {capture.time.isoformat()}")
    return Told(minute, text_hash(text), capture)


def summary_of(capture: Capture, record: Record) -> dict[str, Any]:
    """{readings (how many), faults, breaches} of a text; of the breaches the first :data:`MAX_BREACHES`."""
    breaches = [
        {"reading": number, "field": MEASURES[index], "value": value, "limit": low if value < low else high}
        for number, reading in enumerate(capture.readings)
        for index, low, high in limits_of(record)
        if not low <= (value := reading.values[index]) <= high
    ]
    return {"readings": len(capture.readings), "faults": capture.faults, "breaches": breaches[:MAX_BREACHES]}


def limits_of(record: Record) -> list[tuple[int, float, float]]:
    """(index of the measure, lowest, highest) of each measure that has limits."""
    limits = record["limits"]
    return [(MEASURES.index(measure), low, high) for measure, (low, high) in limits.items()]


def _minute(record: Record, time: datetime, given: int | None) -> int:
    """The minute of UTC in which the relay's clock showed ``time``."""
    exact, near = exact_and_near(time, record["utc_offsets"])
    header = time.isoformat(timespec="minutes")
    if given is not None:
        if given not in exact and given not in near:
            fitting = " or ".join(map(minute_shown, exact + near)) or "none"
            refuse("minute", f"{minute_shown(given)} does not fit the header, {header}; what fits is {fitting}")
        return given
    if not exact:
        fitting = " or ".join(map(minute_shown, near)) or "none"
        refuse(
            "minute", f"the relay's clock skips {header}, which the header has; where it did not, name one: {fitting}"
        )
    if len(exact) > 1:
        fitting = " or ".join(map(minute_shown, exact))
        refuse("minute", f"the relay's clock shows {header}, which the header has, twice; name one: {fitting}")
    return exact[0]


def _record_of(stub: Stub, relay_id: str, revision: Any) -> tuple[Record, int | None]:
    """The record under which a capture is recorded, and the time of the revision that replaced it, if one has."""
    record = read_record(stub, relay_id)
    if revision is None or integer(revision, "revision", 1, record["revision"]) == record["revision"]:
        return record, None
    revisions = Revisions(stub, relay_id)
    return revisions[revision], revisions[revision + 1]["time_us"]


def _check_revision(record: Record, minute: int, valid_until_us: int) -> None:
    """An earlier revision stands for the periods that ended under it; :data:`SKEW_S` later clocks are forgiven."""
    late_s = minute * 60 + record["period_s"] - valid_until_us // 1_000_000
    if late_s > SKEW_S:
        refuse(
            "revision",
            f"{record['revision']} was replaced at {moment(valid_until_us)}, and the period {minute_shown(minute)} "
            f"ended {late_s} s later; {SKEW_S} s are allowed",
        )


def _check_age(record: Record, minute: int, time_us: int) -> None:
    ahead_s = minute * 60 + record["period_s"] - time_us // 1_000_000
    if ahead_s > SKEW_S:
        refuse(
            "time, line 1",
            f"the period {minute_shown(minute)} ends {ahead_s} s after the proposal's time; {SKEW_S} s are allowed, "
            "set the clocks",
        )
    age_s = time_us // 1_000_000 - minute * 60
    if age_s > record["max_age_s"]:
        refuse(
            "time, line 1",
            f"the period {minute_shown(minute)} began {age_s} s before the proposal's time; max_age_s is "
            f"{record['max_age_s']}",
        )


def _source(value: Any, told: Told) -> dict[str, str]:
    """The protocol by which the server got it, and the hash of what the protocol delivered."""
    members(value, "source", ("protocol", "sha256"))
    protocol = choice(value["protocol"], "source.protocol", PROTOCOLS)
    delivered = sha256(value["sha256"], "source.sha256")
    if protocol == "text" and delivered != told.sha256:
        refuse("source.sha256", f"must be that of the text, {told.sha256}, where the protocol is text")
    return {"protocol": protocol, "sha256": delivered}

"""Queries, for any member of the channel and its readers. The paged ones answer a bookmark, null at the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from gridledger.contract import Stub
from gridledger.contract.arguments import integer, members, refuse, sha256
from gridledger.contract.paging import behind, bookmark_of, entries_of, limit_of, page

from . import keys
from .arguments import hour_number, identifier, minute_number
from .attestation import text_of_record
from .captures import find_capture, summary_of
from .grammar import parse
from .registration import Record, Revisions, read_record
from .synopsis import gaps_between, total_of

#: Most captures that one call of GetGaps reads.
GAPS_READ: Final = 4000
#: Most hours that one call of GetStatistics answers: two weeks.
MAX_HOURS: Final = 336
#: Texts of attestations that GetCapture answers, bytes; beyond that GetAttestation answers each.
ATTESTED_TEXTS: Final = 400_000
#: Most files that one call of GetFaults answers, and most statements of one: each file is a range, of which a
#: transaction may read 100.
MAX_FAULTS: Final = 90
MAX_STATEMENTS: Final = 100

OPEN: Final = "open"


def get_relay(stub: Stub, argument: Any) -> dict[str, Any]:
    """GetRelay({relay, revision?}): the record, as it is or was, and ``silence``: the open one or null."""
    members(argument, "", ("relay",), ("revision",))
    record = read_record(stub, identifier(argument["relay"], "relay"))
    if argument.get("revision") is not None:
        revision = integer(argument["revision"], "revision", 1, record["revision"])
        record = Revisions(stub, record["relay"])[revision]
    return record | {"silence": stub.get_state(keys.open_silence(record["relay"]))}


def list_relays(stub: Stub, argument: Any) -> dict[str, Any]:
    """ListRelays({limit?, bookmark?}): records by id."""
    members(argument, "", (), ("limit", "bookmark"))
    limit = limit_of(argument)
    start = bookmark_of(argument, lambda bookmark: bool(identifier(bookmark, "bookmark")), "")
    return page(entries_of(stub, keys.RELAYS, start, limit), limit)


def get_capture(stub: Stub, argument: Any) -> dict[str, Any]:
    """GetCapture({relay, minute}): all that stands of a minute; ``record``: the text of record once confirmed."""
    members(argument, "", ("relay", "minute"))
    relay_id, minute = identifier(argument["relay"], "relay"), minute_number(argument["minute"])
    read_record(stub, relay_id)
    capture = find_capture(stub, relay_id, minute)
    record = Revisions(stub, relay_id)[capture["revision"]]
    verdict = stub.get_state(keys.verdict(relay_id, minute))
    of_record = text_of_record(stub, relay_id, minute, capture, verdict)
    return {
        "relay": relay_id,
        "minute": minute,
        "server": capture["server"],
        "sha256": capture["sha256"],
        "text": capture["text"],
        **_told(capture["text"], record),
        **{name: capture[name] for name in ("source", "revision", "time_us", "tx_id")},
        "attestations": list(_attestations(stub, relay_id, minute, capture["server"], record)),
        "verdict": verdict,
        "record": None if of_record is None else of_record | _told(of_record["text"], record),
    }


def get_attestation(stub: Stub, argument: Any) -> dict[str, Any]:
    """GetAttestation({relay, minute, server}): {server, sha256, match, time_us, text?}."""
    members(argument, "", ("relay", "minute", "server"))
    relay_id, minute = identifier(argument["relay"], "relay"), minute_number(argument["minute"])
    server = identifier(argument["server"], "server")
    attestation = stub.get_state(keys.attestation(relay_id, minute, server))
    if attestation is None:
        refuse("server", f"{server} has not attested {relay_id}'s minute {minute}")
    return {"server": server, **attestation}


def list_captures(stub: Stub, argument: Any) -> dict[str, Any]:
    """ListCaptures({relay, from, to, limit?, bookmark?, texts?}): from <= minute < to, ascending.

    Readings, faults and breaches are those of the text of record where there is one, else of the winner's.
    """
    members(argument, "", ("relay", "from", "to"), ("limit", "bookmark", "texts"))
    relay_id = identifier(argument["relay"], "relay")
    start, end = _span(argument)
    limit = limit_of(argument)
    texts = argument.get("texts", False)
    if type(texts) is not bool:
        refuse("texts", "must be true or false")
    read_record(stub, relay_id)
    return page(_captures(stub, relay_id, start, end, limit, texts=texts), limit)


def get_gaps(stub: Stub, argument: Any) -> dict[str, Any]:
    """GetGaps({relay, from, to, bookmark?}): {gaps: [[from, to)], captures, bookmark}: minutes that nothing covers."""
    members(argument, "", ("relay", "from", "to"), ("bookmark",))
    relay_id = identifier(argument["relay"], "relay")
    start, end = _span(argument)
    earlier = read_record(stub, relay_id)["period_s"] // 60 - 1
    revisions = Revisions(stub, relay_id)
    found: list[tuple[int, int]] = []
    bookmark = None
    for minute, capture in _range(stub, relay_id, max(0, start - earlier), end, GAPS_READ + 1):
        if len(found) == GAPS_READ:
            bookmark, end = f"{minute:0{keys.MINUTE_DIGITS}d}", minute
            break
        found.append((minute, revisions[capture["revision"]]["period_s"] // 60))
    captures = len([minute for minute, _ in found if minute >= start])
    return {"gaps": gaps_between(found, start, end), "captures": captures, "bookmark": bookmark}


def get_statistics(stub: Stub, argument: Any) -> dict[str, Any]:
    """GetStatistics({relay, from_hour, to_hour}): {hours, total, open_hours}, from <= hour < to."""
    members(argument, "", ("relay", "from_hour", "to_hour"))
    relay_id = identifier(argument["relay"], "relay")
    start, end = hour_number(argument["from_hour"], "from_hour"), hour_number(argument["to_hour"], "to_hour")
    if not start <= end <= start + MAX_HOURS:
        refuse("to_hour", f"must lie within from_hour and {MAX_HOURS} hours behind it")
    read_record(stub, relay_id)
    hours = [value for _, value in stub.get_state_by_range(keys.hour(relay_id, start), keys.hour(relay_id, end))]
    closed = {value["hour"] for value in hours}
    return {"hours": hours, "total": total_of(hours), "open_hours": [h for h in range(start, end) if h not in closed]}


def get_disputes(stub: Stub, argument: Any) -> dict[str, Any]:
    """GetDisputes({relay, limit?, bookmark?}): minutes that are disputed now, with their verdicts."""
    members(argument, "", ("relay",), ("limit", "bookmark"))
    relay_id = identifier(argument["relay"], "relay")
    limit = limit_of(argument)
    start = bookmark_of(argument, _is_minute, "")
    read_record(stub, relay_id)
    prefix = keys.dispute(relay_id, 0)[: -keys.MINUTE_DIGITS]
    entries = (
        (digits, {"minute": int(digits), **dispute, **stub.get_state(keys.verdict(relay_id, int(digits)))})
        for digits, dispute in entries_of(stub, prefix, start, limit)
    )
    return page(entries, limit)


def get_silences(stub: Stub, argument: Any) -> dict[str, Any]:
    """GetSilences({relay, limit?, bookmark?}): every silence, the earliest first."""
    members(argument, "", ("relay",), ("limit", "bookmark"))
    relay_id = identifier(argument["relay"], "relay")
    limit = limit_of(argument)
    start = bookmark_of(argument, _is_minute, "")
    read_record(stub, relay_id)
    return page(entries_of(stub, keys.silence(relay_id, 0)[: -keys.MINUTE_DIGITS], start, limit), limit)


def get_faults(stub: Stub, argument: Any) -> dict[str, Any]:
    """GetFaults({relay, limit?, bookmark?}): {sha256, station, ..., servers} by hash."""
    members(argument, "", ("relay",), ("limit", "bookmark"))
    relay_id = identifier(argument["relay"], "relay")
    limit = min(limit_of(argument), MAX_FAULTS)
    start = bookmark_of(argument, lambda bookmark: bool(sha256(bookmark, "bookmark")), "")
    read_record(stub, relay_id)
    return page(_faults(stub, f"fault/{relay_id}/", start, limit), limit)


def _span(argument: dict[str, Any]) -> tuple[int, int]:
    """[from, to) in minutes, from the bookmark on where there is one."""
    start, end = minute_number(argument["from"], "from"), minute_number(argument["to"], "to")
    if end < start:
        refuse("to", f"must not be before from, {start}")
    start = max(start, int(bookmark_of(argument, _is_minute, "0")))
    return start, max(start, end)


def _range(stub: Stub, relay_id: str, start: int, end: int, most: int) -> Iterator[tuple[int, dict[str, Any]]]:
    if start >= end:
        return
    for key, capture in stub.get_state_by_range(keys.capture(relay_id, start), keys.capture(relay_id, end), most):
        yield int(key[-keys.MINUTE_DIGITS :]), capture


def _captures(
    stub: Stub, relay_id: str, start: int, end: int, limit: int, *, texts: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    revisions = Revisions(stub, relay_id)
    for minute, capture in _range(stub, relay_id, start, end, limit + 1):
        verdict = stub.get_state(keys.verdict(relay_id, minute))
        of_record = text_of_record(stub, relay_id, minute, capture, verdict)
        summary = capture
        text = capture["text"] if of_record is None else of_record["text"]
        if of_record is not None and of_record["server"] != capture["server"]:
            record = revisions[capture["revision"]]
            summary = summary_of(parse(text, period_s=record["period_s"]), record)
        item = {
            "minute": minute,
            "server": capture["server"],
            "sha256": capture["sha256"],
            **{name: summary[name] for name in ("faults", "readings", "breaches")},
            "status": OPEN if verdict is None else verdict["status"],
            "record_sha256": None if of_record is None else of_record["sha256"],
            "time_us": capture["time_us"],
        }
        yield f"{minute:0{keys.MINUTE_DIGITS}d}", item | {"text": text} if texts else item


def _told(text: str, record: Record) -> dict[str, Any]:
    """{readings: [{time, Vab, ..., Q}], faults, breaches} of a text."""
    capture = parse(text, period_s=record["period_s"])
    return summary_of(capture, record) | {"readings": [reading.to_dict() for reading in capture.readings]}


def _attestations(stub: Stub, relay_id: str, minute: int, winner: str, record: Record) -> Iterator[dict[str, Any]]:
    left = ATTESTED_TEXTS
    for server in record["servers"]:
        if server["id"] == winner:
            continue
        attestation = stub.get_state(keys.attestation(relay_id, minute, server["id"]))
        if attestation is None:
            continue
        left -= len(attestation.get("text", "").encode())
        if left < 0:
            attestation.pop("text", None)
        yield {"server": server["id"], **attestation}


def _faults(stub: Stub, prefix: str, start: str, limit: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """One item for each file, one more than ``limit``; each read as a range of its own, so that both are bounded."""
    for _ in range(limit + 1):
        statements = list(_statements_of_first(stub, prefix, start))
        if not statements:
            return
        file_hash = statements[0][0]
        yield file_hash, {"sha256": file_hash, **_agreeing([(server, stated) for _, server, stated in statements])}
        start = behind(file_hash + "/")


def _statements_of_first(stub: Stub, prefix: str, start: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(hash, server, statement) of the first file from ``start`` on."""
    first = None
    for key, statement in stub.get_state_by_range(prefix + start, behind(prefix), MAX_STATEMENTS):
        file_hash, server = key[len(prefix) :].split("/")
        if file_hash != (first := first or file_hash):
            return
        yield file_hash, server, statement


def _agreeing(stated: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """What most servers state of a file, since when, who; ``others``: what others state of it."""
    alike: list[dict[str, Any]] = []
    for server, statement in stated:
        time_us = statement.pop("time_us")
        same = next((one for one in alike if all(one[name] == value for name, value in statement.items())), None)
        if same is None:
            alike.append({**statement, "time_us": time_us, "servers": [server]})
        else:
            same["servers"].append(server)
            same["time_us"] = min(same["time_us"], time_us)
    alike.sort(key=lambda one: -len(one["servers"]))
    return alike[0] | {"others": alike[1:]}


def _is_minute(bookmark: str) -> bool:
    """Whether a bookmark is a minute, as keys have it."""
    return len(bookmark) == keys.MINUTE_DIGITS and bookmark.isascii() and bookmark.isdigit()

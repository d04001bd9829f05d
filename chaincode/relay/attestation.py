"""AttestCapture and Conclude: the others' voices, and which text is the one of record.

Each server of the record has one voice: the hash of the text that it got from the relay. The one that recorded the
capture has spoken by that. A voice is never changed, and a quorum is more than half, so at most one text ever has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gridledger.contract import ClientIdentity, ContractError, Stub
from gridledger.contract.arguments import members, moment, refuse, sha256

from . import keys
from .arguments import identifier, minute_number
from .captures import find_capture, open_hour_again, told_by
from .permissions import require_server
from .registration import Record, Revisions

CONFIRMED: Final = "confirmed"
DISPUTED: Final = "disputed"
#: How long the others have beyond a period, before a minute without quorum is called disputed, seconds.
PATIENCE_S: Final = 60


def attest_capture(stub: Stub, caller: ClientIdentity, argument: Any) -> dict[str, Any]:
    """AttestCapture({relay, minute, sha256, text?}): {relay, minute, server, match}; the text where it differs."""
    members(argument, "", ("relay", "minute", "sha256"), ("text",))
    relay_id, minute = identifier(argument["relay"], "relay"), minute_number(argument["minute"])
    own = sha256(argument["sha256"], "sha256")
    capture = find_capture(stub, relay_id, minute)
    record = Revisions(stub, relay_id)[capture["revision"]]
    server = require_server(caller, record)
    if server == capture["server"]:
        refuse("server", f"{server} recorded this capture, and has spoken by that")
    key = keys.attestation(relay_id, minute, server)
    stored = stub.get_state(key)
    if stored is not None:
        raise ContractError(f"ALREADY_ATTESTED by {server} at {moment(stored['time_us'])}, sha256 {stored['sha256']}")
    match = own == capture["sha256"]
    text = argument.get("text")
    _check_text(record, minute, own, match, text)
    attestation = {"sha256": own, "match": match, "time_us": stub.get_tx_timestamp()}
    stub.put_state(key, attestation if match else attestation | {"text": text})
    return {"relay": relay_id, "minute": minute, "server": server, "match": match}


def conclude(stub: Stub, caller: ClientIdentity, argument: Any) -> dict[str, Any]:
    """Conclude({relay, minute}): {relay, minute, status, sha256, by, for, against}."""
    members(argument, "", ("relay", "minute"))
    relay_id, minute = identifier(argument["relay"], "relay"), minute_number(argument["minute"])
    capture = find_capture(stub, relay_id, minute)
    record = Revisions(stub, relay_id)[capture["revision"]]
    require_server(caller, record)
    spoken = voices(stub, relay_id, minute, capture, record)
    time_us = stub.get_tx_timestamp()
    outcome = judge(spoken, capture["server"], record, waited=time_us >= _patience_ends_us(capture, record, minute))
    if outcome is None:
        refuse(
            "minute",
            f"nothing to conclude yet: {len(spoken)} of {len(record['servers'])} servers have spoken, no text has the "
            f"quorum of {record['quorum']}",
        )
    _write(stub, relay_id, minute, outcome, time_us)
    result = {"relay": relay_id, "minute": minute, **outcome}
    stub.set_event("CaptureConfirmed" if outcome["status"] == CONFIRMED else "CaptureDisputed", result)
    return result


def voices(stub: Stub, relay_id: str, minute: int, capture: Mapping[str, Any], record: Record) -> dict[str, str]:
    """The hash that each server has told, in the order of the record; those that have not are left out.

    Each key is read by itself: no range, so that no other minute's attestation can make this transaction invalid.
    """
    spoken: dict[str, str] = {}
    for server in record["servers"]:
        name = server["id"]
        if name == capture["server"]:
            spoken[name] = capture["sha256"]
            continue
        attestation = stub.get_state(keys.attestation(relay_id, minute, name))
        if attestation is not None:
            spoken[name] = attestation["sha256"]
    return spoken


def judge(spoken: Mapping[str, str], winner: str, record: Record, *, waited: bool) -> dict[str, Any] | None:
    """{status, sha256, by, for, against}, or None while others may still speak.

    Confirmed: a text has a quorum; ``by``: whose text it is, the winner's where it told the same. Disputed: none has,
    and all have spoken or had the time for it; ``for`` are then those that told what the winner told, ``against`` the
    others.
    """
    told = list(spoken.values())
    of_record = next((text for text in told if told.count(text) >= record["quorum"]), None)
    if of_record is None and len(spoken) < len(record["servers"]) and not waited:
        return None
    compared = spoken[winner] if of_record is None else of_record
    agreeing = [server for server, text in spoken.items() if text == compared]
    return {
        "status": DISPUTED if of_record is None else CONFIRMED,
        "sha256": of_record,
        "by": None if of_record is None else winner if winner in agreeing else agreeing[0],
        "for": agreeing,
        "against": [server for server in spoken if server not in agreeing],
    }


def text_of_record(
    stub: Stub, relay_id: str, minute: int, capture: Mapping[str, Any], verdict: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    """{sha256, server, text} that a quorum told, or None as long as none has."""
    if verdict is None or verdict["status"] != CONFIRMED:
        return None
    server = verdict["by"]
    found = capture if server == capture["server"] else stub.get_state(keys.attestation(relay_id, minute, server))
    return {"sha256": verdict["sha256"], "server": server, "text": found["text"]}


def _check_text(record: Record, minute: int, own: str, match: bool, text: Any) -> None:
    """The text stands beside the attestation where it is another than the capture's, and nowhere else."""
    if match:
        if text is not None:
            refuse("text", "stands on the ledger already: sha256 is that of the capture")
        return
    if text is None:
        refuse("text", "is missing: sha256 is not that of the capture, so the text must stand beside it")
    told = told_by(record, text, minute)
    if told.sha256 != own:
        refuse("sha256", f"must be that of the text, {told.sha256}, not {own}")


def _patience_ends_us(capture: Mapping[str, Any], record: Record, minute: int) -> int:
    """From when on silence counts: a period and more after the capture was recorded, and after its period was over."""
    period_s: int = record["period_s"]
    recorded_us: int = capture["time_us"]
    return max(recorded_us, (minute * 60 + period_s) * 1_000_000) + (period_s + PATIENCE_S) * 1_000_000


def _write(stub: Stub, relay_id: str, minute: int, outcome: dict[str, Any], time_us: int) -> None:
    """Store a verdict that differs from the stored one, and keep the list of disputes true."""
    stored = stub.get_state(keys.verdict(relay_id, minute))
    if stored is not None and all(stored[field] == value for field, value in outcome.items()):
        refuse(
            "minute", f"concluded already: {stored['status']} at {moment(stored['time_us'])}, nobody has spoken since"
        )
    stub.put_state(keys.verdict(relay_id, minute), outcome | {"time_us": time_us})
    before = None if stored is None else stored["status"]
    if outcome["status"] != before:
        open_hour_again(stub, relay_id, minute)
    if outcome["status"] == DISPUTED and before != DISPUTED:
        stub.put_state(keys.dispute(relay_id, minute), {"since_us": time_us})
    elif outcome["status"] == CONFIRMED and before == DISPUTED:
        stub.del_state(keys.dispute(relay_id, minute))

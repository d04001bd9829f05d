"""ReportSilence and EndSilence: since when a relay gives no capture, and until when it gave none.

At most one silence of a relay is open. Both are statements of one server, which they name; any other may contradict.
"""

from __future__ import annotations

from typing import Any

from gridledger.contract import ClientIdentity, ContractError, Stub
from gridledger.contract.arguments import members, moment, refuse, text

from . import keys
from .arguments import MAX_REMARK, identifier, minute_number, minute_shown
from .captures import SKEW_S
from .permissions import require_server
from .registration import Record, read_record


def report_silence(stub: Stub, caller: ClientIdentity, argument: Any) -> dict[str, Any]:
    """ReportSilence({relay, minute, reason}): {relay, from, reason, server, time_us, until, ended_by}.

    The last two are null.
    """
    members(argument, "", ("relay", "minute", "reason"))
    relay_id, minute = identifier(argument["relay"], "relay"), minute_number(argument["minute"])
    reason = text(argument["reason"], "reason", MAX_REMARK)
    record = read_record(stub, relay_id)
    server = require_server(caller, record)
    for key in (keys.open_silence(relay_id), keys.silence(relay_id, minute)):
        stored = stub.get_state(key)
        if stored is not None:
            since = minute_shown(stored["from"])
            raise ContractError(f"ALREADY_REPORTED by {stored['server']} at {moment(stored['time_us'])}, from {since}")
    time_us = stub.get_tx_timestamp()
    _check_age(record, minute, time_us)
    silence = {
        "from": minute,
        "reason": reason,
        "server": server,
        "time_us": time_us,
        "until": None,
        "ended_by": None,
    }
    stub.put_state(keys.open_silence(relay_id), silence)
    stub.put_state(keys.silence(relay_id, minute), silence)
    stub.set_event("RelaySilent", {"relay": relay_id, **silence})
    return {"relay": relay_id, **silence}


def end_silence(stub: Stub, caller: ClientIdentity, argument: Any) -> dict[str, Any]:
    """EndSilence({relay, minute}): the same, ended. ``minute``: the first that the relay gave again."""
    members(argument, "", ("relay", "minute"))
    relay_id, minute = identifier(argument["relay"], "relay"), minute_number(argument["minute"])
    record = read_record(stub, relay_id)
    server = require_server(caller, record)
    silence = stub.get_state(keys.open_silence(relay_id))
    if silence is None:
        refuse("relay", f"no silence of {relay_id} is open")
    if minute < silence["from"]:
        refuse("minute", f"must not be before the silence, which is reported from {minute_shown(silence['from'])}")
    _check_age(record, minute, stub.get_tx_timestamp())
    ended = silence | {"until": minute, "ended_by": server}
    stub.del_state(keys.open_silence(relay_id))
    stub.put_state(keys.silence(relay_id, silence["from"]), ended)
    stub.set_event("RelayBack", {"relay": relay_id, **ended})
    return {"relay": relay_id, **ended}


def _check_age(record: Record, minute: int, time_us: int) -> None:
    now_s = time_us // 1_000_000
    if minute * 60 > now_s + SKEW_S:
        refuse("minute", f"{minute_shown(minute)} is {minute * 60 - now_s} s after the proposal's time")
    if now_s - minute * 60 > record["max_age_s"]:
        refuse("minute", f"{minute_shown(minute)} is more than max_age_s before the proposal's time")

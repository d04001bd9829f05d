"""RecordFault: what a server states of a COMTRADE record that it holds. The record itself stays off the ledger.

Each server states for itself, under a key of its own: nobody races, and two that state different things of one file
stand side by side.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final

from gridledger.contract import ClientIdentity, ContractError, Stub
from gridledger.contract.arguments import choice, integer, members, moment, refuse, sha256, shown, text

from . import keys
from .arguments import identifier
from .grammar import MAX_NAME
from .permissions import require_server
from .registration import read_record

#: IEC 60255-24 and IEEE C37.111.
REVISION_YEARS: Final = (1991, 1999, 2013)
MAX_SAMPLES: Final = 10**10
MAX_CHANNELS: Final = 10**6
MAX_FILE_BYTES: Final = 2**40

STATED: Final = ("station", "device", "trigger_time", "samples", "channels", "bytes", "revision_year")

#: Hours up to 23: Python takes T24:00:00 from 3.14 on, and all peers must answer the same.
_TRIGGER: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2})(?:\.[0-9]{1,9})?")


def record_fault(stub: Stub, caller: ClientIdentity, argument: Any) -> dict[str, Any]:
    """RecordFault({relay, sha256, station, device, trigger_time, samples, channels, bytes, revision_year}).

    Answers the same with ``server`` and ``time_us``.
    """
    members(argument, "", ("relay", "sha256", *STATED))
    relay_id = identifier(argument["relay"], "relay")
    file_hash = sha256(argument["sha256"], "sha256")
    server = require_server(caller, read_record(stub, relay_id))
    statement = {
        "station": text(argument["station"], "station", MAX_NAME, least=0),
        "device": text(argument["device"], "device", MAX_NAME, least=0),
        "trigger_time": _trigger_time(argument["trigger_time"]),
        "samples": integer(argument["samples"], "samples", 0, MAX_SAMPLES),
        "channels": integer(argument["channels"], "channels", 0, MAX_CHANNELS),
        "bytes": integer(argument["bytes"], "bytes", 1, MAX_FILE_BYTES),
        "revision_year": choice(argument["revision_year"], "revision_year", REVISION_YEARS),
    }
    key = keys.fault(relay_id, file_hash, server)
    stored = stub.get_state(key)
    if stored is not None:
        raise ContractError(f"ALREADY_STATED by {server} at {moment(stored['time_us'])}")
    statement["time_us"] = stub.get_tx_timestamp()
    stub.put_state(key, statement)
    result = {"relay": relay_id, "sha256": file_hash, "server": server, **statement}
    stub.set_event("FaultRecorded", result)
    return result


def _trigger_time(value: Any) -> str:
    """ISO 8601 by the device's clock, without zone, with up to nine digits of a second."""
    match = _TRIGGER.fullmatch(value) if type(value) is str else None
    if match is None or not _is_time(match.group(1)):
        refuse("trigger_time", f"must be a time such as 2026-11-30T02:24:33.000001, not {shown(value)}")
    return match.group()


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True

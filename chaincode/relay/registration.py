"""Relays and their records: RegisterRelay, UpdateRelay.

A record that is replaced stays as a revision: what was recorded under it is attested and concluded under it.
"""

from __future__ import annotations

from typing import Any, Final

from gridledger.contract import ClientIdentity, Stub
from gridledger.contract.arguments import choice, integer, items, members, refuse, text

from . import keys
from .arguments import MAX_REMARK, MINUTE_LIMIT, identifier, number
from .grammar import MAX_NAME, MEASURES
from .permissions import require_operator, require_operator_of

PROTOCOLS: Final = ("text", "modbus", "iec61850", "c37118")
MAX_SERVERS: Final = 64
#: Two a year for a hundred years.
MAX_OFFSETS: Final = 200
#: Longest id of an MSP, characters.
MAX_MSPID: Final = 128
MAX_REVISIONS: Final = 10**keys.REVISION_DIGITS - 1
#: As far as local times are from UTC anywhere, minutes.
MAX_OFFSET_MIN: Final = 14 * 60
DEFAULT_AGE_S: Final = 90 * 86_400
MAX_AGE_S: Final = 10 * 366 * 86_400

_REQUIRED: Final = (
    *("relay", "name", "substation", "protocol", "address", "utc_offsets"),
    *("period_s", "reading_s", "servers", "quorum"),
)
_OPTIONAL: Final = ("limits", "nominal_hz", "max_age_s")

Record = dict[str, Any]


def register_relay(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """RegisterRelay(record): the record as it is kept, with operator_msp, revision, time_us."""
    mspid = require_operator(caller)
    record = check_record(argument)
    stored = find_record(stub, record["relay"])
    if stored is not None:
        refuse(
            "relay",
            f"{record['relay']} is registered by {stored['operator_msp']} already; UpdateRelay replaces it "
            "(gridledger relay update FILE)",
        )
    return _write(stub, "RelayRegistered", record, mspid, 1)


def update_relay(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """UpdateRelay(record): replaces a record as a whole. What is recorded already is judged by the one of before."""
    record = check_record(argument)
    stored = read_record(stub, record["relay"])
    require_operator_of(caller, stored)
    if all(stored[field] == value for field, value in record.items()):
        refuse("relay", f"nothing differs from revision {stored['revision']} of {record['relay']}")
    if stored["revision"] == MAX_REVISIONS:
        refuse("relay", f"{record['relay']} has {MAX_REVISIONS} revisions, and can have no more")
    return _write(stub, "RelayUpdated", record, stored["operator_msp"], stored["revision"] + 1)


def find_record(stub: Stub, relay_id: str) -> Record | None:
    """The record of a relay as it is now, or None."""
    record: Record | None = stub.get_state(keys.relay(relay_id))
    return record


def read_record(stub: Stub, relay_id: str) -> Record:
    """The record of a relay as it is now; refused where there is none."""
    record = find_record(stub, relay_id)
    if record is None:
        refuse(
            "relay",
            f"{relay_id} is not registered; an operator registers it by RegisterRelay (gridledger relay register FILE)",
        )
    return record


class Revisions:
    """The revisions of a relay's record, each read once."""

    def __init__(self, stub: Stub, relay_id: str) -> None:
        self._stub = stub
        self._relay_id = relay_id
        self._read: dict[int, Record] = {}

    def __getitem__(self, revision: int) -> Record:
        """The record as it was. ``revision``: one that something on the ledger names."""
        if revision not in self._read:
            self._read[revision] = self._stub.get_state(keys.revision(self._relay_id, revision))
        return self._read[revision]


def check_record(argument: Any) -> Record:
    """The record in ``argument``: its members in one order, those that may be left out filled in."""
    members(argument, "", _REQUIRED, _OPTIONAL)
    period_s = integer(argument["period_s"], "period_s", 60, 3600)
    if period_s % 60 or 3600 % period_s:
        refuse("period_s", f"must be a whole number of minutes that divides an hour, not {period_s}")
    servers = _servers(argument["servers"])
    return {
        "relay": identifier(argument["relay"], "relay"),
        "name": _told_name(argument["name"], "name"),
        "substation": _told_name(argument["substation"], "substation"),
        "protocol": choice(argument["protocol"], "protocol", PROTOCOLS),
        "address": _address(argument["address"]),
        "utc_offsets": _utc_offsets(argument["utc_offsets"], period_s // 60),
        "period_s": period_s,
        "reading_s": integer(argument["reading_s"], "reading_s", 1, period_s),
        "servers": servers,
        "quorum": _quorum(argument["quorum"], len(servers)),
        "limits": _limits(argument.get("limits", {})),
        "nominal_hz": choice(argument.get("nominal_hz", 60), "nominal_hz", (50, 60)),
        "max_age_s": integer(argument.get("max_age_s", DEFAULT_AGE_S), "max_age_s", period_s, MAX_AGE_S),
    }


def _write(stub: Stub, event: str, record: Record, operator_msp: str, revision: int) -> Record:
    kept = record | {"operator_msp": operator_msp, "revision": revision, "time_us": stub.get_tx_timestamp()}
    stub.put_state(keys.relay(record["relay"]), kept)
    stub.put_state(keys.revision(record["relay"], revision), kept)
    stub.set_event(event, kept)
    return kept


def _told_name(value: Any, where: str) -> str:
    """A name that a capture may have."""
    if ";" in text(value, where, MAX_NAME):
        refuse(where, "has a semicolon")
    return str(value)


def _address(value: Any) -> str:
    """What follows an @ of a URL is its host: a reader of the record may take what is before it for that."""
    if "@" in text(value, "address", MAX_REMARK):
        refuse("address", "has an @: a relay is called without user and password")
    return str(value)


def _utc_offsets(value: Any, period_min: int) -> list[dict[str, int]]:
    offsets: list[dict[str, int]] = []
    for i, item in enumerate(items(value, "utc_offsets", MAX_OFFSETS)):
        where = f"utc_offsets[{i}]"
        members(item, where, ("from_minute", "offset_min"))
        start = integer(item["from_minute"], f"{where}.from_minute", 0, MINUTE_LIMIT - 1)
        if i == 0 and start != 0:
            refuse(f"{where}.from_minute", f"the first offset holds from minute 0, not {start}")
        if offsets and start <= offsets[-1]["from_minute"]:
            refuse(f"{where}.from_minute", f"must be later than the one before, {offsets[-1]['from_minute']}")
        offset = integer(item["offset_min"], f"{where}.offset_min", -MAX_OFFSET_MIN, MAX_OFFSET_MIN)
        if offset % period_min:
            refuse(f"{where}.offset_min", f"must be a multiple of the period, {period_min} min, not {offset}")
        offsets.append({"from_minute": start, "offset_min": offset})
    return offsets


def _servers(value: Any) -> list[dict[str, str]]:
    """Each of another MSP: an organisation has one voice, so that none outvotes the others."""
    servers: list[dict[str, str]] = []
    for i, item in enumerate(items(value, "servers", MAX_SERVERS)):
        where = f"servers[{i}]"
        members(item, where, ("id", "mspid"))
        server = {
            "id": identifier(item["id"], f"{where}.id"),
            "mspid": text(item["mspid"], f"{where}.mspid", MAX_MSPID),
        }
        for other in servers:
            if server["id"] == other["id"]:
                refuse(f"{where}.id", f"{server['id']} is named twice")
            if server["mspid"] == other["mspid"]:
                refuse(f"{where}.mspid", f"{server['mspid']} has server {other['id']} already; it has one voice")
        servers.append(server)
    return servers


def _quorum(value: Any, servers: int) -> int:
    return integer(value, "quorum", servers // 2 + 1, servers)


def _limits(value: Any) -> dict[str, list[float]]:
    members(value, "limits", (), MEASURES)
    limits: dict[str, list[float]] = {}
    for measure in MEASURES:
        if measure not in value:
            continue
        where = f"limits.{measure}"
        bounds = value[measure]
        if type(bounds) is not list or len(bounds) != 2:
            refuse(where, "must be [lowest, highest]")
        low, high = number(bounds[0], f"{where}[0]"), number(bounds[1], f"{where}[1]")
        if not low < high:
            refuse(where, f"the lowest value must be below the highest, not {low!r} and {high!r}")
        limits[measure] = [low, high]
    return limits

"""OpenSession, CloseSession, Command: what an operator does, bound to the certificate that opened the session."""

from __future__ import annotations

from typing import Any, Final

from gridledger.contract import ClientIdentity, Stub
from gridledger.contract.arguments import members, name, refuse, text

from . import keys
from .arguments import MAX_REMARK, setting
from .permissions import Record, certificate_of, identity_of, require_operator, require_own
from .suspicion import look_around

_OPENING: Final = ("session", "operator", "terminal", "section", "reason")


def open_session(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """OpenSession({session, operator, terminal, section, reason}): the record, with ``suspicious``: [{why, session}].

    Reads the session's own key alone in a way that the committer compares.
    """
    members(argument, "", _OPENING)
    require_operator(caller)
    named = {field: name(argument[field], field) for field in _OPENING[:-1]}
    reason = text(argument["reason"], "reason", MAX_REMARK)
    session, now_us = named["session"], stub.get_tx_timestamp()
    if stub.get_state(keys.session(session)) is not None:
        refuse("session", f"there is a session {session} already; take a name that was never used")
    certificate = certificate_of(caller)
    suspicious, known = look_around(stub, certificate, named["terminal"], now_us)
    record = {
        **named,
        "reason": reason,
        "by": identity_of(caller),
        "suspicious": suspicious,
        "opened_us": now_us,
        "tx": stub.get_tx_id(),
    }
    own = {"session": session, "terminal": named["terminal"], "opened_us": now_us}
    stub.put_state(keys.session(session), record)
    stub.put_state(keys.opened(now_us, session), {field: named[field] for field in ("operator", "terminal", "section")})
    stub.put_state(keys.session_of(certificate, now_us, session), {"terminal": named["terminal"]})
    stub.put_state(keys.latest(certificate), {"known": [own, *known]})
    for other in dict.fromkeys(each["session"] for each in suspicious):
        why = [each["why"] for each in suspicious if each["session"] == other]
        stub.put_state(keys.flag(other), {"session": session, "why": why})
    stub.set_event("SessionOpened", record)
    return record


def close_session(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """CloseSession({session, reason?}): {session, reason, time_us, tx}."""
    members(argument, "", ("session",), ("reason",))
    record = require_open(stub, name(argument["session"], "session"))
    require_own(caller, record)
    given = argument.get("reason")
    closed = {
        "session": record["session"],
        "reason": None if given is None else text(given, "reason", MAX_REMARK),
        "time_us": stub.get_tx_timestamp(),
        "tx": stub.get_tx_id(),
    }
    stub.put_state(keys.closed(record["session"]), closed)
    stub.set_event("SessionClosed", {**closed, "operator": record["operator"], "terminal": record["terminal"]})
    return closed


def command(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """Command({session, device, command, value?}): the command as it is kept, with operator, terminal, time_us, tx.

    Valid only while the session is open: one that is ordered behind its CloseSession does not count.
    """
    members(argument, "", ("session", "device", "command"), ("value",))
    session = require_open(stub, name(argument["session"], "session"))
    require_own(caller, session)
    issued = {
        "session": session["session"],
        "device": name(argument["device"], "device"),
        "command": name(argument["command"], "command"),
        "value": setting(argument.get("value")),
        **{field: session[field] for field in ("operator", "terminal", "section")},
        "suspicious": bool(session["suspicious"]),
        "time_us": stub.get_tx_timestamp(),
        "tx": stub.get_tx_id(),
    }
    stub.put_state(keys.command(issued["time_us"], issued["tx"]), issued)
    stub.put_state(keys.command_in(issued["session"], issued["time_us"], issued["tx"]), {"device": issued["device"]})
    stub.set_event("CommandIssued", issued)
    return issued


def read_session(stub: Stub, session: str) -> Record:
    """A session's record; refused where there is none."""
    record: Record | None = stub.get_state(keys.session(session))
    if record is None:
        refuse("session", f"there is no session {session}")
    return record


def require_open(stub: Stub, session: str) -> Record:
    """A session's record; refused where it is closed."""
    record = read_session(stub, session)
    if stub.get_state(keys.closed(session)) is not None:
        refuse("session", f"{session} is closed; open another one")
    return record

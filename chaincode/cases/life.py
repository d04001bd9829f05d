"""OpenCase, Approve, CloseCase: a case from its purpose to its end."""

from __future__ import annotations

from typing import Any

from gridledger.contract import ClientIdentity, Stub
from gridledger.contract.arguments import members, name, refuse, text

from . import keys
from .arguments import MAX_REMARK, Record, scope
from .permissions import identity_of, require_authority, require_either, require_investigator


def open_case(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """OpenCase({case, purpose, scope}): the record, with by, opened_us, tx. Nothing may be asked before Approve."""
    members(argument, "", ("case", "purpose", "scope"))
    require_investigator(stub, caller)
    case = name(argument["case"], "case")
    record = {
        "case": case,
        "purpose": text(argument["purpose"], "purpose", MAX_REMARK),
        "scope": scope(argument["scope"]),
        "by": identity_of(caller),
        "opened_us": stub.get_tx_timestamp(),
        "tx": stub.get_tx_id(),
    }
    if stub.get_state(keys.case(case)) is not None:
        refuse("case", f"there is a case {case} already")
    stub.put_state(keys.case(case), record)
    stub.set_event("CaseOpened", record)
    return record


def approve(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """Approve({case}): {case, by, time_us, tx}. Whoever opened a case does not approve it."""
    members(argument, "", ("case",))
    require_authority(stub, caller)
    case = read_case(stub, name(argument["case"], "case"))
    who = identity_of(caller)
    opener = case["by"]
    if (who["mspid"], who["id"]) == (opener["mspid"], opener["id"]):
        refuse("caller", f"{who['id']} opened the case {case['case']}; somebody else approves it")
    refuse_closed(stub, case["case"])
    if stub.get_state(keys.approved(case["case"])) is not None:
        refuse("case", f"{case['case']} is approved already")
    approval = {"case": case["case"], "by": who, "time_us": stub.get_tx_timestamp(), "tx": stub.get_tx_id()}
    stub.put_state(keys.approved(case["case"]), approval)
    stub.set_event("CaseApproved", approval)
    return approval


def close_case(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """CloseCase({case, reason?}): {case, reason, by, time_us, tx}; also one that was never approved."""
    members(argument, "", ("case",), ("reason",))
    require_either(stub, caller)
    case = read_case(stub, name(argument["case"], "case"))
    refuse_closed(stub, case["case"])
    given = argument.get("reason")
    closed = {
        "case": case["case"],
        "reason": None if given is None else text(given, "reason", MAX_REMARK),
        "by": identity_of(caller),
        "time_us": stub.get_tx_timestamp(),
        "tx": stub.get_tx_id(),
    }
    stub.put_state(keys.closed(case["case"]), closed)
    stub.set_event("CaseClosed", closed)
    return closed


def read_case(stub: Stub, case: str) -> Record:
    """A case's record; refused where there is none."""
    record: Record | None = stub.get_state(keys.case(case))
    if record is None:
        refuse("case", f"there is no case {case}")
    return record


def refuse_closed(stub: Stub, case: str) -> None:
    """Refuse a case that is closed. What is ordered behind its CloseCase does not count."""
    if stub.get_state(keys.closed(case)) is not None:
        refuse("case", f"{case} is closed; open another one")


def require_in_force(stub: Stub, case: str) -> None:
    """Refuse a case that is not approved, or closed."""
    refuse_closed(stub, case)
    if stub.get_state(keys.approved(case)) is None:
        refuse("case", f"{case} is not approved yet by the authority")

"""Query and RecordFinding: what investigators ask in a case, and what came of it."""

from __future__ import annotations

from typing import Any

from gridledger.contract import ClientIdentity, Stub
from gridledger.contract.arguments import members, name, sha256, text

from . import keys
from .arguments import MAX_REMARK, Record, disclosed, query_text
from .life import read_case, require_in_force
from .permissions import identity_of, require_investigator


def query(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """Query({case, text}): {case, text, by, time_us, tx}. It is valid before what it asks for is looked up."""
    members(argument, "", ("case", "text"))
    asked = query_text(argument["text"])
    case = _case_in_force(stub, caller, argument)
    record = {"case": case, "text": asked, **_signed(stub, caller)}
    stub.put_state(keys.query(case, record["time_us"], record["tx"]), record)
    stub.set_event("QueryMade", record)
    return record


def record_finding(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """RecordFinding({case, package_sha256, title, disclosed?}): the record, with by, time_us, tx.

    ``disclosed``: the transactions that the package lays open beside those it is about, for a block is proved as a
    whole: [{channel, transactions: [id]}].
    """
    members(argument, "", ("case", "package_sha256", "title"), ("disclosed",))
    found: Record = {
        "package_sha256": sha256(argument["package_sha256"], "package_sha256"),
        "title": text(argument["title"], "title", MAX_REMARK),
        "disclosed": disclosed(argument.get("disclosed")),
    }
    case = _case_in_force(stub, caller, argument)
    record = {"case": case, **found, **_signed(stub, caller)}
    stub.put_state(keys.finding(case, record["time_us"], record["tx"]), record)
    counted = {each["channel"]: len(each["transactions"]) for each in found["disclosed"]}
    stub.set_event("FindingRecorded", {**record, "disclosed": counted})
    return record


def _case_in_force(stub: Stub, caller: ClientIdentity, argument: Record) -> str:
    """The case's name; refused unless it is approved and not closed, and the caller an investigator."""
    require_investigator(stub, caller)
    case = str(read_case(stub, name(argument["case"], "case"))["case"])
    require_in_force(stub, case)
    return case


def _signed(stub: Stub, caller: ClientIdentity) -> Record:
    return {"by": identity_of(caller), "time_us": stub.get_tx_timestamp(), "tx": stub.get_tx_id()}

"""Audits: Challenge, AuditShare, CloseAudit.

A dealer commits to the answers when it makes the shares; the base spends them one by one. No byte of a share stands on
the ledger: an answer is SHA-256(nonce || share), and a commitment SHA-256 of that.
"""

from __future__ import annotations

from hashlib import sha256 as sha256_of
from typing import Any, Final

from gridledger.contract import ClientIdentity, Stub, crypto
from gridledger.contract.arguments import choice, integer, items, members, moment, refuse, sha256

from . import keys
from .arguments import holder_name, object_name, version_number
from .cycles import present_cycle
from .manifests import MAX_AUDITS, read_manifest, share_of
from .objects import read_object, refuse_abandoned, version_of
from .permissions import ID, Record, refuse_revoked_holder, require_base, require_holder
from .reads import repairs_of

#: How long a holder may take for its answer, seconds after the challenge's proposal.
ANSWER_WITHIN_S: Final = 60
PASSED: Final = "passed"
FAILED: Final = "failed"
UNANSWERED: Final = "unanswered"
FINDINGS: Final = ("dealer_at_fault", "holder_at_fault", "holder_away")
#: Hashes from a leaf to the root of MAX_AUDITS leaves.
MAX_PATH: Final = 10


def challenge(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """Challenge({object, holder, number, nonce, commitment, path, version?}): the audit, open for 60 s."""
    members(argument, "", ("object", "holder", "number", "nonce", "commitment", "path"), ("version",))
    name, holder = object_name(argument["object"]), holder_name(argument["holder"])
    number = _number(argument["number"])
    nonce, commitment = sha256(argument["nonce"], "nonce"), sha256(argument["commitment"], "commitment")
    path = [sha256(each, f"path[{i}]") for i, each in enumerate(items(argument["path"], "path", MAX_PATH, least=0))]
    require_base(stub, caller)
    record = read_object(stub, name)
    refuse_abandoned(record)
    version = version_of(argument, record)
    manifest = read_manifest(stub, name, version)
    share = share_of(manifest, holder)
    _require_held(stub, name, version, share)
    held = repairs_of(stub, manifest, share)
    series, count = held["series"], held["audits"]
    if number >= count:
        refuse("number", f"must lie within 0 and {count - 1}, not {number}")
    key = keys.audit(name, version, holder, series, number)
    if stub.get_state(key) is not None:
        refuse("number", f"{number} is used")
    root = bytes.fromhex(held["audit_root"])
    siblings = [bytes.fromhex(each) for each in path]
    if not crypto.verify_path(bytes.fromhex(commitment), number, count, siblings, root):
        refuse("path", f"does not lead from this commitment, number {number} of {count}, to the audit_root of {holder}")
    time_us = stub.get_tx_timestamp()
    audit = {
        "object": name,
        "version": version,
        "holder": holder,
        "series": series,
        "number": number,
        "nonce": nonce,
        "commitment": commitment,
        "cycle": present_cycle(stub)["cycle"],
        "time_us": time_us,
        "until_us": time_us + ANSWER_WITHIN_S * 1_000_000,
        "answer": None,
        "outcome": None,
        "finding": None,
    }
    stub.put_state(key, audit)
    _count(stub, audit, "used")
    stub.set_event("Challenged", audit)
    return audit


def audit_share(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """AuditShare({object, version, number, answer}): the audit with its outcome.

    A wrong answer is a valid transaction, so that it stands.
    """
    members(argument, "", ("object", "version", "number", "answer"))
    name, version = object_name(argument["object"]), version_number(argument["version"])
    number, answer = _number(argument["number"]), sha256(argument["answer"], "answer")
    manifest = read_manifest(stub, name, version)
    x = caller.get_attribute_value(ID)
    share = next((share for share in manifest["shares"] if share["id"] == x), None)
    if share is None:
        refuse("caller", f"the manifest has no share for the id of its certificate ({ID})")
    holder = share["holder"]
    require_holder(stub, caller, holder)
    audit = read_audit(stub, manifest, share, number)
    if audit["outcome"] is not None:
        refuse("number", f"{number} is not open: it is {audit['outcome']}")
    if stub.get_tx_timestamp() > audit["until_us"]:
        refuse("number", f"{number} was to be answered until {moment(audit['until_us'])}")
    passed = sha256_of(bytes.fromhex(answer)).hexdigest() == audit["commitment"]
    return _conclude(stub, audit | {"answer": answer, "outcome": PASSED if passed else FAILED}, "Audited")


def close_audit(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """CloseAudit({object, holder, number, finding?, version?}): the audit, unanswered, or with what the base found."""
    members(argument, "", ("object", "holder", "number"), ("finding", "version"))
    name, holder, number = object_name(argument["object"]), holder_name(argument["holder"]), _number(argument["number"])
    finding = None if argument.get("finding") is None else choice(argument["finding"], "finding", FINDINGS)
    require_base(stub, caller)
    version = version_of(argument, read_object(stub, name))
    manifest = read_manifest(stub, name, version)
    audit = read_audit(stub, manifest, share_of(manifest, holder), number)
    if audit["outcome"] == PASSED:
        refuse("number", f"{number} was answered in time, and passed")
    if audit["outcome"] is not None:
        if finding is None or audit["finding"] is not None:
            refuse("number", f"{number} is {audit['outcome']} already; what is left to say is one finding")
        closed = audit | {"finding": finding}
        stub.put_state(_key_of(audit), closed)
        tally = tally_of(stub, name, version, holder)
        if tally["last"] is not None and tally["last"]["number"] == number:
            stub.put_state(keys.tally(name, version, holder), tally | {"last": _last(closed)})
        stub.set_event("AuditClosed", closed)
        return closed
    if stub.get_tx_timestamp() <= audit["until_us"] and present_cycle(stub)["cycle"] == audit["cycle"]:
        refuse("number", f"{number} may be answered until {moment(audit['until_us'])}")
    return _conclude(stub, audit | {"outcome": UNANSWERED, "finding": finding}, "AuditClosed")


def fresh_tally(stub: Stub, name: str, version: int, holder: str, series: int) -> Record:
    """The tally after a repair: what was counted stays; no outcome speaks against the new share."""
    tally = tally_of(stub, name, version, holder)
    used = tally["used"] if tally["series"] == series else 0
    return tally | {"series": series, "used": used, "last": None}


def tally_of(stub: Stub, name: str, version: int, holder: str) -> Record:
    """{series, used (of the series), passed, failed, unanswered (of all series), last}.

    ``last``: {number, outcome, finding} of the audit that ended last since the share was repaired, or null.
    """
    found: Record | None = stub.get_state(keys.tally(name, version, holder))
    return {"series": 0, "used": 0, PASSED: 0, FAILED: 0, UNANSWERED: 0, "last": None} if found is None else found


def read_audit(stub: Stub, manifest: Record, share: Record, number: int) -> Record:
    """An audit of the present series; refused where it was not begun."""
    name, version, holder = manifest["object"], manifest["version"], share["holder"]
    series = repairs_of(stub, manifest, share)["series"]
    found: Record | None = stub.get_state(keys.audit(name, version, holder, series, number))
    if found is None:
        refuse("number", f"there is no challenge {number} of {holder} for {name}, version {version}")
    return found


def _conclude(stub: Stub, audit: Record, event: str) -> Record:
    stub.put_state(_key_of(audit), audit)
    _count(stub, audit, audit["outcome"], _last(audit))
    stub.set_event(event, audit)
    return audit


def _last(audit: Record) -> Record:
    return {field: audit[field] for field in ("number", "outcome", "finding")}


def _count(stub: Stub, audit: Record, what: str, last: Record | None = None) -> None:
    name, version, holder = audit["object"], audit["version"], audit["holder"]
    tally = tally_of(stub, name, version, holder)
    counted = tally | {what: tally[what] + 1}
    stub.put_state(keys.tally(name, version, holder), counted if last is None else counted | {"last": last})


def _key_of(audit: Record) -> str:
    return keys.audit(audit["object"], audit["version"], audit["holder"], audit["series"], audit["number"])


def _require_held(stub: Stub, name: str, version: int, share: Record) -> None:
    """Refuse to ask a holder that cannot have its share any more, or has not said that it has it."""
    holder = share["holder"]
    refuse_revoked_holder(stub, holder)
    if stub.get_state(keys.holder(holder))["id"] != share["id"]:
        refuse("holder", f"{holder} has another id now: Reshare gives it a share")
    if stub.get_state(keys.ack(name, version, holder)) is None:
        refuse("holder", f"{holder} has not acknowledged its share")
    if stub.get_state(keys.deleted(name, version, holder)) is not None:
        refuse("holder", f"{holder} has deleted its share of version {version}, which was replaced")


def _number(value: Any) -> int:
    return integer(value, "number", 0, MAX_AUDITS - 1)

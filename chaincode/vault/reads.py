"""Reads: RequestRead, ReportBad. A grant stands on the ledger before any holder serves, so who reads is always told."""

from __future__ import annotations

from typing import Any, Final

from gridledger.contract import ClientIdentity, Stub, crypto, policy
from gridledger.contract.arguments import integer, members, refuse, shown, text

from . import keys
from .arguments import MAX_REMARK, base64_bytes, object_name
from .cycles import cluster_of, present_cycle
from .manifests import read_manifest, share_of
from .objects import read_object, refuse_abandoned, stored_version
from .permissions import (
    Record,
    certificate_of,
    is_base,
    is_dealer,
    is_owner,
    named_holder,
    refuse_revoked_caller,
)
from .signed_texts import MIN_SIGNATURE_BYTES, read_signed

#: How long a grant holds, seconds after its proposal's time.
READ_FOR_S: Final = 60

REPAIR: Final = "repair"
RESHARE: Final = "reshare"
AUDIT: Final = "audit"
_SERVED: Final = "share_served"


def request_read(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """RequestRead({object, purpose, version?}): {object, version, read, holders, until_s, until_us}."""
    members(argument, "", ("object", "purpose"), ("version",))
    name, purpose = object_name(argument["object"]), text(argument["purpose"], "purpose", MAX_REMARK)
    record = read_object(stub, name)
    refuse_revoked_caller(stub, caller)
    _require_reader(stub, caller, record, purpose)
    refuse_abandoned(record)
    version = _readable_version(stub, argument, record)
    manifest = read_manifest(stub, name, version)
    granted_us = stub.get_tx_timestamp()
    entry = {
        "object": name,
        "version": version,
        "reader": {
            "mspid": caller.get_mspid(),
            "certificate": certificate_of(caller),
            "holder": named_holder(stub, caller),
        },
        "purpose": purpose,
        "granted_us": granted_us,
        "until_us": granted_us + READ_FOR_S * 1_000_000,
        "repairs": _repairs(stub, manifest),
    }
    read = stub.get_tx_id()
    stub.put_state(keys.read(name, read), entry)
    stub.set_event("ReadGranted", {"read": read, **entry})
    return {
        "object": name,
        "version": version,
        "read": read,
        "holders": holders_of(stub, manifest),
        "until_s": READ_FOR_S,
        "until_us": entry["until_us"],
    }


def report_bad(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """ReportBad({answer, signature}): {object, version, holder, read, root, by, answer, signature, time_us}.

    ``answer`` is the text that the holder signed with what it served; the root in it is that of the bytes served. Where
    it is not the manifest's, the holder has proved against itself.
    """
    members(argument, "", ("answer", "signature"))
    signature = base64_bytes(argument["signature"], "signature", MIN_SIGNATURE_BYTES, crypto.MAX_SIGNATURE_BYTES)
    answer = read_signed(argument["answer"], "answer", _SERVED, ("read", "root"), stub.get_channel_id())
    name, version, holder = answer["object"], answer["version"], answer["holder"]
    refuse_revoked_caller(stub, caller)
    read = own_read(stub, caller, name, answer["read"])
    if read["version"] != version:
        refuse("answer.version", f"the read was granted of version {read['version']}, not {version}")
    manifest = read_manifest(stub, name, version)
    share = share_of(manifest, holder)
    if answer["root"] == share["root"]:
        refuse("answer.root", f"is the one that {holder} committed to: it served what it had")
    if not _signed(stub, holder, read, argument["answer"], signature):
        refuse("signature", f"is not {holder}'s under this answer")
    if read["repairs"].get(holder, 0) != repairs_of(stub, manifest, share)["repairs"]:
        refuse("answer.read", f"the share of {holder} was repaired since; read it again")
    if stub.get_state(keys.bad(name, version, holder)) is not None:
        refuse("answer.holder", f"{holder} was reported for this version already")
    report = {
        **{field: answer[field] for field in ("object", "version", "holder", "read", "root")},
        "by": {"mspid": caller.get_mspid(), "certificate": certificate_of(caller)},
        "answer": argument["answer"],
        "signature": argument["signature"],
        "time_us": stub.get_tx_timestamp(),
    }
    stub.put_state(keys.bad(name, version, holder), report)
    stub.set_event("BadShare", report)
    return report


def own_read(stub: Stub, caller: ClientIdentity, name: str, read: str, purpose: str | None = None) -> Record:
    """A read that was granted to the caller, with this purpose if one is named; refused where it is none."""
    found: Record | None = stub.get_state(keys.read(name, read))
    if found is None:
        refuse("read", f"{read} is no read of {name}")
    reader = found["reader"]
    if reader["mspid"] != caller.get_mspid() or reader["certificate"] != certificate_of(caller):
        refuse("read", "was granted to another caller")
    if purpose is not None and found["purpose"] != purpose:
        refuse("read", f"was granted with the purpose {shown(found['purpose'])}, not {purpose}")
    return found


def holders_of(stub: Stub, manifest: Record) -> list[Record]:
    """The holders that may serve, with where and by which keys; those that are revoked or have another id left out."""
    found: list[Record] = []
    for share in manifest["shares"]:
        name = share["holder"]
        record = stub.get_state(keys.holder(name))
        if record["id"] != share["id"] or stub.get_state(keys.revoked(name)) is not None:
            continue
        found.append(
            {
                **{field: share[field] for field in ("holder", "id", "bytes", "root")},
                **{field: record[field] for field in ("url", "kem_key")},
                "public_key": record["public_keys"][0]["public_key"],
            }
        )
    return found


def repairs_of(stub: Stub, manifest: Record, share: Record) -> Record:
    """How often a share was repaired, and the audits that hold now: {repairs, series, audits, audit_root, ...}.

    ``audit_secret`` is null where it is the manifest's.
    """
    found: Record | None = stub.get_state(keys.repaired(manifest["object"], manifest["version"], share["holder"]))
    if found is not None:
        return found
    manifested = {"audits": manifest["audits"], "audit_root": share["audit_root"], "audit_secret": None}
    return {"repairs": 0, "series": 0, **manifested}


def _require_reader(stub: Stub, caller: ClientIdentity, record: Record, purpose: str) -> None:
    """Readers are those that the object's policy names; base, owner and dealers may read to repair or to reshare."""
    if purpose in (REPAIR, RESHARE, AUDIT):
        if is_base(stub, caller):
            return
        if purpose != AUDIT and (
            is_owner(caller, record["owner"])
            or is_dealer(stub, caller, cluster_of(present_cycle(stub), record["cluster"]))
        ):
            return
        who = "the base" if purpose == AUDIT else "the base, the owner and dealers"
        refuse("purpose", f"{purpose} is for {who} alone; tell yours in other words")
    if not policy.parse(record["readers"]).allows(caller):
        refuse("caller", f"may not read {record['object']}; its readers are {record['readers']}")


def _readable_version(stub: Stub, argument: Record, record: Record) -> int:
    """The newest version that is stored, the newest of all where none is; an earlier one is replaced."""
    name, newest = record["object"], record["version"]
    stored = stored_version(stub, name)
    if argument.get("version") is None:
        return int(stored or newest)
    version = integer(argument["version"], "version", 1, newest)
    if stored is not None and version < stored:
        refuse("version", f"{version} of {name} is replaced by {stored}")
    return version


def _repairs(stub: Stub, manifest: Record) -> dict[str, int]:
    """{holder: how often its share was repaired}, the others left out."""
    counted = {share["holder"]: repairs_of(stub, manifest, share)["repairs"] for share in manifest["shares"]}
    return {holder: count for holder, count in counted.items() if count}


def _signed(stub: Stub, holder: str, read: Record, answer: str, signature: bytes) -> bool:
    """Whether the holder has signed, with a key that was its own at some time while the grant held."""
    record = stub.get_state(keys.holder(holder))
    until_us = None
    for key in record["public_keys"]:
        in_force = key["since_us"] <= read["until_us"] and (until_us is None or until_us >= read["granted_us"])
        if in_force and crypto.verify_ecdsa(key["public_key"], answer.encode(), signature):
            return True
        until_us = key["since_us"]
    return False

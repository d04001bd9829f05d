"""Holders: Join, Admit, ReportLost, Revoke."""

from __future__ import annotations

from hashlib import sha256 as sha256_of
from typing import Any, Final

from gridledger.contract import ClientIdentity, Stub, crypto
from gridledger.contract.arguments import members, refuse, sha256, text

from . import keys
from .arguments import MAX_REMARK, base64_bytes, cluster_name, holder_name, new_holder_id, object_name, refuse_weak, url
from .cycles import read_cluster
from .permissions import (
    CLUSTER,
    HEADS,
    HOLDERS,
    ID,
    ROLE,
    Record,
    certificate_of,
    find_calling_holder,
    is_base,
    refuse_revoked_caller,
    refuse_revoked_holder,
    require_base,
)

#: Public keys of HPKE, bytes: X25519 has 32, ML-KEM-768 with X25519 1,216.
MIN_KEM_KEY, MAX_KEM_KEY = 32, 2048
#: Keys of one holder that stand in its record, the newest first.
MAX_KEYS: Final = 8
BASE_NAME: Final = "base"


def join(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """Join({holder, cluster, id, kem_key, url}): the same with mspid, role, public_key, certificate, time_us.

    A holder that joins again changes its keys, its URL or its id, once it is admitted again.
    """
    members(argument, "", ("holder", "cluster", "id", "kem_key", "url"))
    name, cluster = holder_name(argument["holder"]), read_cluster(stub, cluster_name(argument["cluster"]))
    x = new_holder_id(argument["id"], cluster["t"])
    kem_key = base64_bytes(argument["kem_key"], "kem_key", MIN_KEM_KEY, MAX_KEM_KEY)
    role = _require_sensor(caller, cluster, x)
    public_key = crypto.public_key_of(caller.certificate)
    record = {
        "holder": name,
        "cluster": cluster["cluster"],
        "mspid": cluster["mspid"],
        "role": role,
        "id": x,
        "kem_key": argument["kem_key"],
        "url": url(argument["url"]),
        "public_key": public_key,
        "certificate": certificate_of(caller),
        "time_us": stub.get_tx_timestamp(),
    }
    if name == BASE_NAME:
        refuse("holder", f"{BASE_NAME} is no name of a holder")
    refuse_revoked_holder(stub, name)
    refuse_revoked_caller(stub, caller)
    _refuse_another_s_name(stub, record)
    _take(stub, keys.holder_id(x), name, "id", f"{x} is the id of")
    for field, key in (("certificate", public_key.encode()), ("kem_key", kem_key)):
        _take(stub, keys.public_key(sha256_of(key).hexdigest()), name, field, "its key is that of")
    stub.put_state(keys.join(name), record)
    stub.set_event("Joined", record)
    return record


def admit(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """Admit({holder}): the holder's record; it is active from the next cycle, or at once where its id stays."""
    members(argument, "", ("holder",))
    name = holder_name(argument["holder"])
    require_base(stub, caller)
    joined = stub.get_state(keys.join(name))
    if joined is None:
        refuse("holder", f"{name} has not joined, or is admitted already")
    refuse_revoked_holder(stub, name)
    refuse_weak(int(joined["id"]), read_cluster(stub, joined["cluster"])["t"], f"holder: the id of {name}")
    known = stub.get_state(keys.holder(name))
    time_us = stub.get_tx_timestamp()
    key = {"public_key": joined["public_key"], "certificate": joined["certificate"], "since_us": time_us}
    record = {field: joined[field] for field in ("holder", "cluster", "mspid", "role", "id", "kem_key", "url")}
    record |= {
        "public_keys": [key] if known is None else [key, *known["public_keys"]][:MAX_KEYS],
        "from_cycle": _from_cycle(stub, joined, known),
        "time_us": time_us,
    }
    stub.put_state(keys.holder(name), record)
    active = {field: record[field] for field in ("holder", "cluster", "id", "from_cycle")}
    stub.put_state(keys.active_in(record["cluster"], name), active)
    stub.del_state(keys.join(name))
    stub.set_event("Admitted", record)
    return record


def report_lost(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """ReportLost({holder, reason, object?, read?}): {holder, by, reason, time_us}.

    By the base, by an active holder of the same cluster, or by who was granted ``read`` of an object that the holder
    has a share of.
    """
    members(argument, "", ("holder", "reason"), ("object", "read"))
    name, reason = holder_name(argument["holder"]), text(argument["reason"], "reason", MAX_REMARK)
    record = read_holder(stub, name)
    refuse_revoked_caller(stub, caller)
    by = _witness(stub, caller, record, argument)
    said = {"holder": name, "by": by, "reason": reason, "time_us": stub.get_tx_timestamp()}
    stub.put_state(keys.suspicion(name, by), said)
    stub.set_event("Suspected", said)
    return said


def revoke(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """Revoke({holder | certificate, reason}): {holder | certificate, reason, cycle, time_us}, for good."""
    members(argument, "", ("reason",), ("holder", "certificate"))
    given = [field for field in ("holder", "certificate") if argument.get(field) is not None]
    if len(given) != 1:
        refuse("holder", "name a holder, or the certificate of another caller (its SHA-256); one of the two")
    field = given[0]
    name = holder_name(argument[field]) if field == "holder" else sha256(argument[field], "certificate")
    reason = text(argument["reason"], "reason", MAX_REMARK)
    require_base(stub, caller)
    admitted = stub.get_state(keys.holder(name)) if field == "holder" else None
    if field == "holder" and admitted is None and stub.get_state(keys.join(name)) is None:
        refuse("holder", f"there is no holder {name}")
    if field == "certificate" and name == certificate_of(caller):
        refuse("certificate", "is the caller's own; another of the base's revokes it")
    if stub.get_state(keys.revoked(name)) is not None:
        refuse(field, f"{name} is revoked already")
    cycle = stub.get_state(keys.CYCLE)
    record = {
        field: name,
        "reason": reason,
        "cycle": 0 if cycle is None else cycle["cycle"],
        "time_us": stub.get_tx_timestamp(),
    }
    stub.put_state(keys.revoked(name), record)
    if field == "holder":
        stub.del_state(keys.join(name))
    if admitted is not None:
        stub.del_state(keys.active_in(admitted["cluster"], name))
    stub.set_event("Revoked", record)
    return record


def read_holder(stub: Stub, name: str) -> Record:
    """The record of a holder; refused where it was never admitted."""
    found: Record | None = stub.get_state(keys.holder(name))
    if found is None:
        refuse("holder", f"there is no holder {name}, or it was never admitted")
    return found


def _require_sensor(caller: ClientIdentity, cluster: Record, x: str) -> str:
    """The caller's role; refuses a caller whose certificate is not that of a holder of this cluster with this id."""
    if cluster["cluster"] == HEADS:
        refuse("cluster", f"nobody joins {HEADS}: its members are the heads of all other clusters")
    role = caller.get_attribute_value(ROLE)
    if role not in HOLDERS:
        refuse("caller", f"its certificate must have {ROLE} = {' or '.join(HOLDERS)}")
    caller.assert_attribute_value(CLUSTER, cluster["cluster"])
    caller.assert_attribute_value(ID, x)
    if caller.get_mspid() != cluster["mspid"]:
        refuse(
            "cluster",
            f"{cluster['cluster']} is of {cluster['mspid']}; the caller's certificate is of {caller.get_mspid()}",
        )
    return str(role)


def _refuse_another_s_name(stub: Stub, record: Record) -> None:
    """A name stays in its cluster; while a join of it waits, another id cannot take it.

    Nor can another id with another key take it from who was admitted: the true holder could join no more, and the base
    could not refuse the false one but by revoking both.
    """
    name = record["holder"]
    known, waiting = stub.get_state(keys.holder(name)), stub.get_state(keys.join(name))
    for other in (known, waiting):
        if other is not None and other["cluster"] != record["cluster"]:
            refuse("holder", f"{name} is of cluster {other['cluster']}")
    if waiting is not None and waiting["id"] != record["id"]:
        refuse("holder", f"{name} waits to be admitted with another id; take another name, or have that one revoked")
    if known is not None and known["id"] != record["id"] and not _has_had(known, record["public_key"]):
        refuse(
            "holder",
            f"{name} was admitted with the id {known['id']} and another key: keep one of them, or take another name",
        )


def _has_had(holder: Record, public_key: str) -> bool:
    """Whether a key is or was the holder's."""
    return any(key["public_key"] == public_key for key in holder["public_keys"])


def _take(stub: Stub, key: str, name: str, field: str, what: str) -> None:
    """Bind an id or a key to a holder for good; refused where it is another's."""
    taken = stub.get_state(key)
    if taken is None:
        stub.put_state(key, {"holder": name})
    elif taken["holder"] != name:
        refuse(field, f"is taken: {what} {taken['holder']}")


def _from_cycle(stub: Stub, joined: Record, known: Record | None) -> int:
    if known is not None and known["id"] == joined["id"]:
        return int(known["from_cycle"])
    cycle = stub.get_state(keys.CYCLE)
    return 1 if cycle is None else cycle["cycle"] + 1


def _witness(stub: Stub, caller: ClientIdentity, suspect: Record, argument: Record) -> str:
    """Under which name the caller may speak against a holder; refused where it may not."""
    given = [field for field in ("object", "read") if argument.get(field) is not None]
    if len(given) == 1:
        refuse(given[0], "comes with the other of object and read, or neither of them")
    if given:
        name = object_name(argument["object"])
        read = stub.get_state(keys.read(name, sha256(argument["read"], "read")))
        own = certificate_of(caller)
        if read is None or read["reader"]["certificate"] != own:
            refuse("read", "is no read of this object that was granted to the caller")
        manifest = stub.get_state(keys.version(name, read["version"]))
        if not any(share["holder"] == suspect["holder"] for share in manifest["shares"]):
            refuse("holder", f"{suspect['holder']} has no share of {name}")
        return own
    if is_base(stub, caller):
        return BASE_NAME
    witness = find_calling_holder(stub, caller)
    if witness is None:
        refuse("caller", "is neither the base, nor an admitted holder, nor names a read that it was granted")
    if witness["cluster"] != suspect["cluster"]:
        refuse("holder", f"{suspect['holder']} is of {suspect['cluster']}, the caller of {witness['cluster']}")
    return str(witness["holder"])

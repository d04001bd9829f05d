"""Objects: PutObject, Settle, Abandon.

An object's record and a version's manifest are written once or seldom; what each holder says stands under a key of its
own. So what holders acknowledge never conflicts with each other, nor with the Settle that counts it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from gridledger.contract import ClientIdentity, Stub
from gridledger.contract.arguments import integer, members, refuse, text

from . import keys
from .arguments import MAX_REMARK, object_name
from .cycles import cluster_of, present_cycle
from .manifests import (
    OF_OBJECT,
    OF_VERSION,
    check_against_cycle,
    read_manifest,
    read_object_part,
    read_version_part,
)
from .permissions import (
    Record,
    identity_of,
    is_base,
    is_dealer,
    is_owner,
    refuse_revoked_caller,
    require_dealer,
)

STORED: Final = "stored"
INCOMPLETE: Final = "incomplete"
OPEN: Final = "open"
ABANDONED: Final = "abandoned"
#: From when on an object with fewer than t acknowledgements is called incomplete, seconds after its manifest.
SETTLED_WITHIN_S: Final = 300


def put_object(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """PutObject(manifest): the manifest of version 1 as it is kept."""
    members(argument, "", (*OF_VERSION, *OF_OBJECT), ("meta",))
    fixed = read_object_part(argument)
    manifest = read_version_part(argument, fixed, 1, stub.get_channel_id())
    cycle = present_cycle(stub)
    cluster = cluster_of(cycle, fixed["cluster"])
    require_dealer(stub, caller, cluster)
    name = fixed["object"]
    if stub.get_state(keys.an_object(name)) is not None:
        refuse("object", f"{name} exists; a new version of it comes by Reshare, other data under another name")
    check_against_cycle(stub, manifest, cycle, cluster)
    owner, time_us = identity_of(caller), stub.get_tx_timestamp()
    kept = manifest | {"spare": cluster["spare"], "owner": owner, "read": None, "time_us": time_us}
    record = fixed | {
        "length": manifest["length"],
        "version": 1,
        "owner": owner,
        "time_us": time_us,
        "abandoned": None,
    }
    stub.put_state(keys.an_object(name), record)
    stub.put_state(keys.version(name, 1), kept)
    stub.put_state(keys.in_cluster(fixed["cluster"], name), {"object": name})
    stub.set_event("ObjectPut", announced(kept))
    return kept


def settle(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """Settle({object, version?}): {object, version, status, acks, needed}; ``acks`` are the holders that count."""
    members(argument, "", ("object",), ("version",))
    name = object_name(argument["object"])
    record = read_object(stub, name)
    version = version_of(argument, record)
    manifest = read_manifest(stub, name, version)
    require_settler(stub, caller, record)
    refuse_abandoned(record)
    return settle_version(stub, manifest)


def settle_version(stub: Stub, manifest: Record, added: Collection[str] = ()) -> Record:
    """What Settle answers of a version, and does where t + spare holders count. ``added``: holders whose
    acknowledgements this very transaction writes, which it cannot read."""
    name, version, needed = manifest["object"], manifest["version"], manifest["t"] + manifest["spare"]
    known = stub.get_state(keys.settled(name, version))
    if known is not None:
        return {"object": name, "version": version, "status": STORED, "acks": known["acks"], "needed": needed}
    acks = [share["holder"] for share in manifest["shares"] if _counts(stub, name, version, share, added)]
    status = status_of(manifest, len(acks), stub.get_tx_timestamp())
    result = {"object": name, "version": version, "status": status, "acks": acks, "needed": needed}
    if status == STORED:
        time_us = stub.get_tx_timestamp()
        stub.put_state(keys.settled(name, version), {"acks": acks, "time_us": time_us})
        if version > (stored_version(stub, name) or 0):
            stub.put_state(keys.stored(name), {"version": version, "time_us": time_us})
        stub.set_event("Stored", result)
    return result


def abandon(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """Abandon({object, reason}): {object, reason, by, time_us}, for good."""
    members(argument, "", ("object", "reason"))
    name, reason = object_name(argument["object"]), text(argument["reason"], "reason", MAX_REMARK)
    record = read_object(stub, name)
    refuse_revoked_caller(stub, caller)
    refuse_abandoned(record)
    if not is_owner(caller, record["owner"]):
        if not is_base(stub, caller):
            refuse("caller", f"{name} is abandoned by its owner, or by the base where it was never stored")
        if stored_version(stub, name) is not None:
            refuse("object", f"{name} is stored: only its owner abandons it")
    told = {"reason": reason, "by": identity_of(caller), "time_us": stub.get_tx_timestamp()}
    stub.put_state(keys.an_object(name), record | {"abandoned": told})
    result = {"object": name, **told}
    stub.set_event("Abandoned", result)
    return result


def announced(manifest: Record) -> Record:
    """What an event tells of a manifest: all but the audits' secret, which is long."""
    return {field: value for field, value in manifest.items() if field != "audit_secret"}


def read_object(stub: Stub, name: str) -> Record:
    """What holds for all versions of an object; refused where there is none."""
    found: Record | None = stub.get_state(keys.an_object(name))
    if found is None:
        refuse("object", f"there is no object {name}")
    return found


def refuse_abandoned(record: Record) -> None:
    """Refuse an object that was abandoned."""
    if record["abandoned"] is not None:
        refuse("object", f"{record['object']} was abandoned: {record['abandoned']['reason']}")


def stored_version(stub: Stub, name: str) -> int | None:
    """The newest version that is stored, if any is."""
    found = stub.get_state(keys.stored(name))
    return None if found is None else int(found["version"])


def version_of(argument: Record, record: Record) -> int:
    """The version that is meant: the one named, else the newest."""
    if argument.get("version") is None:
        return int(record["version"])
    return integer(argument["version"], "version", 1, record["version"])


def status_of(manifest: Record, acks: int, now_us: int) -> str:
    """What an object that is not settled yet is called, by how many holders have acknowledged their shares."""
    if acks >= manifest["t"] + manifest["spare"]:
        return STORED
    late = now_us >= manifest["time_us"] + SETTLED_WITHIN_S * 1_000_000
    return INCOMPLETE if late and acks < manifest["t"] else OPEN


def require_settler(stub: Stub, caller: ClientIdentity, record: Record) -> None:
    """Refuse a caller that is neither the base, nor the object's owner, nor a dealer of its cluster."""
    refuse_revoked_caller(stub, caller)
    if is_base(stub, caller) or is_owner(caller, record["owner"]):
        return
    if not is_dealer(stub, caller, cluster_of(present_cycle(stub), record["cluster"])):
        refuse("caller", "is neither the base, nor the owner, nor a dealer of the object's cluster")


def _counts(stub: Stub, name: str, version: int, share: Record, added: Collection[str]) -> bool:
    """Whether an acknowledgement is there, of a holder that is still who it was and has not deleted its share."""
    holder = share["holder"]
    return (
        (holder in added or stub.get_state(keys.ack(name, version, holder)) is not None)
        and stub.get_state(keys.revoked(holder)) is None
        and stub.get_state(keys.holder(holder))["id"] == share["id"]
        and stub.get_state(keys.bad(name, version, holder)) is None
        and stub.get_state(keys.deleted(name, version, holder)) is None
    )

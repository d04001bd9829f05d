"""Repair and Reshare: the same share for a holder that lost it; new shares of the same data for all."""

from __future__ import annotations

from typing import Any

from gridledger.contract import ClientIdentity, Stub
from gridledger.contract.arguments import integer, members, refuse, sha256

from . import keys
from .arguments import VERSION_LIMIT, object_name, version_number
from .audits import fresh_tally
from .cycles import cluster_of, present_cycle
from .manifests import (
    MAX_AUDITS,
    OF_VERSION,
    check_against_cycle,
    read_manifest,
    read_share,
    read_version_part,
    secret,
    share_of,
)
from .objects import announced, read_object, refuse_abandoned, stored_version
from .permissions import (
    Record,
    certificate_of,
    identity_of,
    is_base,
    is_dealer,
    is_owner,
    refuse_revoked_caller,
    refuse_revoked_holder,
)
from .reads import REPAIR, RESHARE, own_read, repairs_of


def repair(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """Repair({object, version, read, share, audits?, audit_secret?}): what stands of the repair.

    ``share`` is the manifest's entry. With audits of its own it has another ``audit_root``, else that which holds now.
    """
    members(argument, "", ("object", "version", "read", "share"), ("audits", "audit_secret"))
    name, version = object_name(argument["object"]), version_number(argument["version"])
    record = read_object(stub, name)
    _require_mender(stub, caller, record)
    refuse_abandoned(record)
    manifest = read_manifest(stub, name, version)
    share = read_share(argument["share"], "share", manifest["profile"])
    holder = share["holder"]
    committed = share_of(manifest, holder)
    _require_the_same(stub, share, committed)
    granted = own_read(stub, caller, name, sha256(argument["read"], "read"), REPAIR)
    if granted["version"] != version:
        refuse("read", f"was granted of version {granted['version']}, not {version}")
    before = repairs_of(stub, manifest, committed)
    repaired = {
        "holder": holder,
        "repairs": before["repairs"] + 1,
        **_audits(argument, share, before),
        "by": {"mspid": caller.get_mspid(), "certificate": certificate_of(caller)},
        "read": argument["read"],
        "cause": stub.get_state(keys.bad(name, version, holder)),
        "time_us": stub.get_tx_timestamp(),
    }
    stub.put_state(keys.repaired(name, version, holder), repaired)
    stub.put_state(keys.tally(name, version, holder), fresh_tally(stub, name, version, holder, repaired["series"]))
    stub.del_state(keys.bad(name, version, holder))
    result = {"object": name, "version": version, **announced(repaired)}
    stub.set_event("Repaired", result)
    return result


def reshare(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """Reshare(manifest and read): the manifest of the next version as it is kept."""
    members(argument, "", (*OF_VERSION, "read"))
    name = object_name(argument["object"])
    record = read_object(stub, name)
    cycle = present_cycle(stub)
    cluster = cluster_of(cycle, record["cluster"])
    _require_dealer_or_owner(stub, caller, record, cluster)
    refuse_abandoned(record)
    version = record["version"] + 1
    if version >= VERSION_LIMIT:
        refuse("object", f"{name} has {record['version']} versions, and can have no more")
    manifest = read_version_part(argument, record, version, stub.get_channel_id())
    if manifest["length"] != record["length"]:
        refuse("length", f"the data of {name} stay as they are: {record['length']} bytes, not {manifest['length']}")
    granted = own_read(stub, caller, name, sha256(argument["read"], "read"), RESHARE)
    stored = stored_version(stub, name)
    if stored is not None and granted["version"] < stored:
        refuse("read", f"was granted of version {granted['version']}, which {stored} has replaced; read it again")
    check_against_cycle(stub, manifest, cycle, cluster)
    time_us = stub.get_tx_timestamp()
    kept = manifest | {
        "spare": cluster["spare"],
        "owner": record["owner"],
        "by": identity_of(caller),
        "read": argument["read"],
        "time_us": time_us,
    }
    stub.put_state(keys.an_object(name), record | {"version": version})
    stub.put_state(keys.version(name, version), kept)
    stub.set_event("Reshared", announced(kept))
    return kept


def _require_mender(stub: Stub, caller: ClientIdentity, record: Record) -> None:
    refuse_revoked_caller(stub, caller)
    if is_base(stub, caller):
        return
    if not is_dealer(stub, caller, cluster_of(present_cycle(stub), record["cluster"])):
        refuse("caller", "is neither the base nor a dealer of the object's cluster")


def _require_dealer_or_owner(stub: Stub, caller: ClientIdentity, record: Record, cluster: Record) -> None:
    refuse_revoked_caller(stub, caller)
    if not (is_owner(caller, record["owner"]) or is_base(stub, caller) or is_dealer(stub, caller, cluster)):
        refuse("caller", "is neither the owner, nor the base, nor a dealer of the object's cluster")


def _require_the_same(stub: Stub, share: Record, committed: Record) -> None:
    """A repair changes nothing but the audits; who else a holder became since is for Reshare."""
    holder = share["holder"]
    refuse_revoked_holder(stub, holder, "share.holder")
    present = stub.get_state(keys.holder(holder))["id"]
    if present != committed["id"]:
        refuse("share.id", f"the id of {holder} was {committed['id']} and is {present} now: Reshare gives it a share")
    for field in ("id", "bytes", "root", "key_sha256"):
        if share[field] != committed[field]:
            refuse(f"share.{field}", f"must stay {committed[field]}, not {share[field]}")


def _audits(argument: Record, share: Record, before: Record) -> Record:
    """{series, audits, audit_root, audit_secret} from now on."""
    unspent = {field: before[field] for field in ("series", "audits", "audit_root", "audit_secret")}
    given = [field for field in ("audits", "audit_secret") if argument.get(field) is not None]
    if not given:
        if share["audit_root"] != unspent["audit_root"]:
            refuse("share.audit_root", f"must stay {unspent['audit_root']} where no new audits come")
        return unspent
    if len(given) == 1:
        refuse("audits", "and audit_secret come together, or neither")
    if before["series"] + 1 >= 10**keys.SERIES_DIGITS:
        refuse("audits", "were renewed as often as they can be; Reshare gives new shares and audits")
    return {
        "series": before["series"] + 1,
        "audits": integer(argument["audits"], "audits", 1, MAX_AUDITS),
        "audit_root": share["audit_root"],
        "audit_secret": secret(argument["audit_secret"]),
    }

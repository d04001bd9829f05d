"""Queries, for any member of the channel and its readers. The paged ones answer a bookmark, null at the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from gridledger.contract import ClientIdentity, Stub
from gridledger.contract.arguments import integer, members, refuse, sha256
from gridledger.contract.paging import behind, bookmark_of, entries_of, limit_of, page

from . import keys
from .arguments import cluster_name, holder_name, object_name
from .audits import read_audit, tally_of
from .cycles import present_cycle, read_cluster
from .health import version_status
from .manifests import MAX_AUDITS, read_manifest, share_of
from .objects import read_object, stored_version, version_of
from .permissions import ID, Record, base_mspid, is_holder
from .reads import holders_of, repairs_of

#: Suspicions that GetHolder answers.
MAX_SUSPICIONS: Final = 100


def get_object(stub: Stub, argument: Any) -> Record:
    """GetObject({object, version?}): the version's manifest, with readers, meta, newest, stored, status, abandoned."""
    members(argument, "", ("object",), ("version",))
    record = read_object(stub, object_name(argument["object"]))
    manifest = read_manifest(stub, record["object"], version_of(argument, record))
    return {
        **manifest,
        **{field: record[field] for field in ("readers", "meta", "abandoned")},
        "newest": record["version"],
        "stored": stored_version(stub, record["object"]),
        "status": version_status(stub, record, manifest, len(_acks(stub, manifest))),
    }


def list_objects(stub: Stub, argument: Any) -> Record:
    """ListObjects({cluster?, limit?, bookmark?}): what holds for all versions, and stored, by name."""
    members(argument, "", (), ("cluster", "limit", "bookmark"))
    limit = limit_of(argument)
    start = bookmark_of(argument, lambda bookmark: bool(object_name(bookmark, "bookmark")), "")
    if argument.get("cluster") is None:
        found = entries_of(stub, keys.OBJECTS, start, limit)
    else:
        found = _objects_of(stub, cluster_name(argument["cluster"]), start, limit)
    return page(((name, record | {"stored": stored_version(stub, name)}) for name, record in found), limit)


def get_holder(stub: Stub, argument: Any) -> Record:
    """GetHolder({holder}): {holder, record, join, revoked, active, suspicions}; what is not there is null."""
    members(argument, "", ("holder",))
    name = holder_name(argument["holder"])
    record, waiting = stub.get_state(keys.holder(name)), stub.get_state(keys.join(name))
    revoked = stub.get_state(keys.revoked(name))
    if record is None and waiting is None and revoked is None:
        refuse("holder", f"there is no holder {name}")
    prefix = keys.suspicions(name)
    return {
        "holder": name,
        "record": record,
        "join": waiting,
        "revoked": revoked,
        "active": revoked is None and name in _in_cycle(stub),
        "suspicions": [value for _, value in entries_of(stub, prefix, "", MAX_SUSPICIONS - 1)],
    }


def list_holders(stub: Stub, argument: Any) -> Record:
    """ListHolders({cluster?, limit?, bookmark?}): records with revoked and active, by name; admitted ones only."""
    members(argument, "", (), ("cluster", "limit", "bookmark"))
    limit = limit_of(argument)
    cluster = None if argument.get("cluster") is None else cluster_name(argument["cluster"])
    start = bookmark_of(argument, lambda bookmark: bool(holder_name(bookmark, "bookmark")), "")
    return page(_holders(stub, cluster, start, limit), limit)


def list_joins(stub: Stub, argument: Any) -> Record:
    """ListJoins({limit?, bookmark?}): those that wait to be admitted, by name."""
    members(argument, "", (), ("limit", "bookmark"))
    limit = limit_of(argument)
    start = bookmark_of(argument, lambda bookmark: bool(holder_name(bookmark, "bookmark")), "")
    return page(entries_of(stub, keys.JOINS, start, limit), limit)


def get_cluster(stub: Stub, argument: Any) -> Record:
    """GetCluster({cluster}): the record, which the next cycle takes."""
    members(argument, "", ("cluster",))
    return read_cluster(stub, cluster_name(argument["cluster"]))


def list_clusters(stub: Stub, argument: Any) -> Record:
    """ListClusters({limit?, bookmark?}): records by name, and base: the MSP of the base, null before there is one."""
    members(argument, "", (), ("limit", "bookmark"))
    limit = limit_of(argument)
    start = bookmark_of(argument, lambda bookmark: bool(cluster_name(bookmark, "bookmark")), "")
    return page(entries_of(stub, keys.CLUSTERS, start, limit), limit) | {"base": base_mspid(stub)}


def get_cycle(stub: Stub, argument: Any) -> Record:
    """GetCycle({cycle?}): the present cycle, or an earlier one as it began."""
    members(argument, "", (), ("cycle",))
    present = present_cycle(stub)
    if argument.get("cycle") is None:
        return present
    number = integer(argument["cycle"], "cycle", 1, present["cycle"])
    found: Record = stub.get_state(keys.past_cycle(number))
    return found


def get_acks(stub: Stub, argument: Any) -> Record:
    """GetAcks({object, version?}): {object, version, acks: [{holder, root, log_head, signature?, time_us}]}."""
    members(argument, "", ("object",), ("version",))
    record = read_object(stub, object_name(argument["object"]))
    manifest = read_manifest(stub, record["object"], version_of(argument, record))
    return {"object": record["object"], "version": manifest["version"], "acks": _acks(stub, manifest)}


def get_read(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """GetRead({object, read}): the entry with read, holders, reader_revoked, and serve: {holder, allowed, why} or null.

    ``serve`` is for the holder of that version that asks, null for anybody else. It does not know the time: the holder
    compares ``until_us`` with its own clock.
    """
    members(argument, "", ("object", "read"))
    name, read = object_name(argument["object"]), sha256(argument["read"], "read")
    entry = stub.get_state(keys.read(name, read))
    if entry is None:
        refuse("read", f"{read} is no read of {name}")
    manifest = read_manifest(stub, name, entry["version"])
    reader_revoked = _is_revoked(stub, entry["reader"])
    told = {"read": read, **entry, "holders": holders_of(stub, manifest), "reader_revoked": reader_revoked}
    return told | {"serve": _serve(stub, caller, manifest, told)}


def get_reads(stub: Stub, argument: Any) -> Record:
    """GetReads({object, limit?, bookmark?}): each read with its transaction, in the order of these."""
    members(argument, "", ("object",), ("limit", "bookmark"))
    limit = limit_of(argument)
    start = bookmark_of(argument, lambda bookmark: bool(sha256(bookmark, "bookmark")), "")
    name = read_object(stub, object_name(argument["object"]))["object"]
    found = entries_of(stub, keys.reads(name), start, limit)
    return page(((read, {"read": read, **entry}) for read, entry in found), limit)


def get_repair(stub: Stub, argument: Any) -> Record:
    """GetRepair({object, holder, version?}): the last repair of a holder's share, with the audits that hold since."""
    members(argument, "", ("object", "holder"), ("version",))
    record, holder = read_object(stub, object_name(argument["object"])), holder_name(argument["holder"])
    version = version_of(argument, record)
    manifest = read_manifest(stub, record["object"], version)
    repaired = repairs_of(stub, manifest, share_of(manifest, holder))
    if repaired["repairs"] == 0:
        refuse("holder", f"the share of {holder} was never repaired")
    return {"object": record["object"], "version": version, **repaired}


def get_audit(stub: Stub, argument: Any) -> Record:
    """GetAudit({object, holder, number, version?}): an audit of the series that holds now."""
    members(argument, "", ("object", "holder", "number"), ("version",))
    record, holder = read_object(stub, object_name(argument["object"])), holder_name(argument["holder"])
    number = integer(argument["number"], "number", 0, MAX_AUDITS - 1)
    manifest = read_manifest(stub, record["object"], version_of(argument, record))
    return read_audit(stub, manifest, share_of(manifest, holder), number)


def list_audits(stub: Stub, argument: Any) -> Record:
    """ListAudits({object, holder, version?, limit?, bookmark?}): a holder's audits of a version, and tally."""
    members(argument, "", ("object", "holder"), ("version", "limit", "bookmark"))
    record, holder = read_object(stub, object_name(argument["object"])), holder_name(argument["holder"])
    limit = limit_of(argument)
    start = bookmark_of(argument, _is_audit, "")
    version = version_of(argument, record)
    prefix = keys.audits(record["object"], version, holder)
    tally = tally_of(stub, record["object"], version, holder)
    return page(entries_of(stub, prefix, start, limit), limit) | {"tally": tally}


def _acks(stub: Stub, manifest: Record) -> list[Record]:
    name, version = manifest["object"], manifest["version"]
    found = (stub.get_state(keys.ack(name, version, share["holder"])) for share in manifest["shares"])
    return [ack for ack in found if ack is not None]


def _objects_of(stub: Stub, cluster: str, start: str, limit: int) -> Iterator[tuple[str, Any]]:
    for name, _ in entries_of(stub, keys.in_clusters(cluster), start, limit):
        yield name, stub.get_state(keys.an_object(name))


def _holders(stub: Stub, cluster: str | None, start: str, limit: int) -> Iterator[tuple[str, Any]]:
    """One more than ``limit``, of one cluster or of all."""
    active, found = _in_cycle(stub), 0
    for key, record in stub.get_state_by_range(keys.HOLDERS + start, behind(keys.HOLDERS)):
        if cluster is not None and record["cluster"] != cluster:
            continue
        name = key[len(keys.HOLDERS) :]
        revoked = stub.get_state(keys.revoked(name))
        yield name, record | {"revoked": revoked, "active": revoked is None and name in active}
        found += 1
        if found > limit:
            return


def _in_cycle(stub: Stub) -> frozenset[str]:
    """The holders that the present cycle has."""
    cycle = stub.get_state(keys.CYCLE)
    clusters = [] if cycle is None else cycle["clusters"]
    return frozenset(holder["holder"] for cluster in clusters for holder in cluster["holders"])


def _is_revoked(stub: Stub, reader: Record) -> bool:
    names = [reader["certificate"], *([] if reader["holder"] is None else [reader["holder"]])]
    return any(stub.get_state(keys.revoked(name)) is not None for name in names)


def _serve(stub: Stub, caller: ClientIdentity, manifest: Record, told: Record) -> Record | None:
    x = caller.get_attribute_value(ID)
    share = next((share for share in manifest["shares"] if share["id"] == x), None)
    if share is None:
        return None
    name = share["holder"]
    record = stub.get_state(keys.holder(name))
    abandoned = read_object(stub, manifest["object"])["abandoned"] is not None
    why = None
    if not is_holder(caller, record):
        why = f"the caller is not {name}"
    elif not any(holder["holder"] == name for holder in told["holders"]):
        why = f"{name} is revoked"
    elif told["reader_revoked"]:
        why = "the reader is revoked"
    elif abandoned:
        why = f"{manifest['object']} was abandoned"
    return {"holder": name, "allowed": why is None, "why": why}


def _is_audit(bookmark: str) -> bool:
    series, _, number = bookmark.partition("/")
    return all(
        len(part) == digits and part.isascii() and part.isdigit()
        for part, digits in ((series, keys.SERIES_DIGITS), (number, keys.NUMBER_DIGITS))
    )

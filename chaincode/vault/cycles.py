"""Clusters and cycles: SetCluster, BeginCycle.

What SetCluster and Admit change takes effect with the next cycle: a manifest is judged by the cycle that it names.
"""

from __future__ import annotations

from typing import Any, Final

from gridledger.contract import ClientIdentity, Stub
from gridledger.contract.arguments import choice, integer, items, members, refuse
from gridledger.contract.paging import behind

from . import keys
from .arguments import CYCLE_LIMIT, MAX_HOLDERS, PROFILES, cluster_name, holder_name, mspid, refuse_weak
from .permissions import BASE, HEADS, ROLE, Record, base_mspid, refuse_revoked_holder, require_base

MAX_CLUSTERS: Final = 64
#: Holders that are admitted and not revoked, of all clusters.
MAX_ACTIVE: Final = MAX_CLUSTERS * MAX_HOLDERS


def set_cluster(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """SetCluster({cluster, t, profile, spare, mspid?, head?}): the record as it is kept."""
    members(argument, "", ("cluster", "t", "profile", "spare"), ("mspid", "head"))
    name = cluster_name(argument["cluster"])
    t = integer(argument["t"], "t", 2, MAX_HOLDERS - 1)
    spare = integer(argument["spare"], "spare", 0, MAX_HOLDERS - 1 - t)
    profile = choice(argument["profile"], "profile", PROFILES)
    base = found_base(stub, caller)
    known = stub.get_state(keys.cluster(name))
    record = {
        "cluster": name,
        "mspid": _mspid_of(argument, name, known, base),
        "head": known["head"] if known is not None else None,
        "t": t,
        "profile": profile,
        "spare": spare,
    }
    if argument.get("head") is not None:
        record["head"] = _new_head(stub, argument["head"], record)
    if known is None and len(_clusters(stub)) >= MAX_CLUSTERS:
        refuse("cluster", f"there are {MAX_CLUSTERS} clusters, and can be no more")
    if profile == "article":
        _refuse_weak_ids(stub, record)
    record["time_us"] = stub.get_tx_timestamp()
    stub.put_state(keys.cluster(name), record)
    stub.set_event("ClusterSet", record)
    return record


def begin_cycle(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """BeginCycle({cycle, heads?, without?}): {cycle, clusters: [{cluster, mspid, head, t, spare, profile, holders}],
    time_us}. The clusters of ``without`` take no part, as those without a holder."""
    members(argument, "", ("cycle",), ("heads", "without"))
    number = integer(argument["cycle"], "cycle", 1, CYCLE_LIMIT - 1)
    heads, without = _heads(argument.get("heads")), _without(argument.get("without"))
    require_base(stub, caller)
    before = stub.get_state(keys.CYCLE)
    following = 1 if before is None else before["cycle"] + 1
    if number != following:
        refuse("cycle", f"must be {following}, the one after the present one, not {number}")
    clusters = _taking_part(stub, heads, without)
    holders = _holders_by_cluster(stub, number)
    begun = [
        _begin_cluster(stub, cluster, holders.get(cluster["cluster"], []), heads)
        for cluster in clusters
        if cluster["cluster"] != HEADS and (cluster["cluster"] in holders or cluster["cluster"] in heads)
    ]
    begun += [_begin_heads(cluster, begun) for cluster in clusters if cluster["cluster"] == HEADS]
    record = {"cycle": number, "clusters": begun, "time_us": stub.get_tx_timestamp()}
    stub.put_state(keys.CYCLE, record)
    stub.put_state(keys.past_cycle(number), record)
    stub.set_event("CycleBegun", record)
    return record


def present_cycle(stub: Stub) -> Record:
    """The present cycle; refused before the first one."""
    found: Record | None = stub.get_state(keys.CYCLE)
    if found is None:
        refuse("cycle", "none has begun; the base begins the first one (BeginCycle)")
    return found


def cluster_of(cycle: Record, name: str) -> Record:
    """A cluster as a cycle has it."""
    found: Record | None = next((each for each in cycle["clusters"] if each["cluster"] == name), None)
    if found is None:
        refuse("cluster", f"{name} takes no part in cycle {cycle['cycle']}")
    return found


def read_cluster(stub: Stub, name: str) -> Record:
    """The record of a cluster; refused where there is none."""
    found: Record | None = stub.get_state(keys.cluster(name))
    if found is None:
        refuse("cluster", f"there is no cluster {name}; the base sets it (SetCluster)")
    return found


def found_base(stub: Stub, caller: ClientIdentity) -> str:
    """The MSP of the base, which the caller must be; the first call of all makes it the caller's."""
    known = base_mspid(stub)
    if known is not None:
        require_base(stub, caller)
        return known
    caller.assert_attribute_value(ROLE, BASE)
    stub.put_state(keys.BASE, {"mspid": caller.get_mspid(), "time_us": stub.get_tx_timestamp()})
    return caller.get_mspid()


def _mspid_of(argument: Record, name: str, known: Record | None, base: str) -> str:
    given = None if argument.get("mspid") is None else mspid(argument["mspid"])
    bound = base if name == HEADS else None if known is None else str(known["mspid"])
    if bound is None and given is None:
        refuse("mspid", "is missing: a new cluster is bound to the organisation of its holders")
    if bound is not None and given is not None and given != bound:
        refuse("mspid", f"{name} is bound to {bound} for good")
    return str(bound or given)


def _new_head(stub: Stub, value: Any, cluster: Record) -> str:
    if cluster["cluster"] == HEADS:
        refuse("head", f"{HEADS} has none: its members are the heads of all other clusters")
    name = holder_name(value, "head")
    record = stub.get_state(keys.holder(name))
    if record is None or record["cluster"] != cluster["cluster"]:
        refuse("head", f"{name} is no holder of {cluster['cluster']}; it joins (Join) and is admitted (Admit) first")
    refuse_revoked_holder(stub, name, "head")
    return name


def _refuse_weak_ids(stub: Stub, cluster: Record) -> None:
    """Refuse profile ``article`` with a t for which a holder of the cluster has a weak id."""
    for holder in _active(stub):
        if cluster["cluster"] in (HEADS, holder["cluster"]):
            refuse_weak(int(holder["id"]), cluster["t"], f"t: the id of {holder['holder']}")


def _clusters(stub: Stub) -> list[Record]:
    return [value for _, value in stub.get_state_by_range(keys.CLUSTERS, behind(keys.CLUSTERS), MAX_CLUSTERS)]


def _active(stub: Stub) -> list[Record]:
    """[{holder, cluster, id, from_cycle}]: who is admitted and not revoked, by cluster."""
    found = [value for _, value in stub.get_state_by_range(keys.ACTIVE, behind(keys.ACTIVE), MAX_ACTIVE + 1)]
    if len(found) > MAX_ACTIVE:
        refuse("cycle", f"more than {MAX_ACTIVE} holders are admitted; revoke those that are not needed (Revoke)")
    return found


def _holders_by_cluster(stub: Stub, cycle: int) -> dict[str, list[Record]]:
    """{cluster: [{holder, id}]}: admitted for this cycle or before, and not revoked."""
    holders: dict[str, list[Record]] = {}
    for active in _active(stub):
        if active["from_cycle"] <= cycle:
            holders.setdefault(active["cluster"], []).append({"holder": active["holder"], "id": active["id"]})
    return holders


def _heads(value: Any) -> dict[str, str]:
    if value is None:
        return {}
    if type(value) is not dict or len(value) > MAX_CLUSTERS:
        refuse("heads", "must be an object: the names of heads by cluster")
    return {cluster_name(name, "heads"): holder_name(head, f"heads.{name}") for name, head in value.items()}


def _without(value: Any) -> list[str]:
    if value is None:
        return []
    named = items(value, "without", MAX_CLUSTERS, least=0)
    return [cluster_name(name, f"without[{i}]") for i, name in enumerate(named)]


def _taking_part(stub: Stub, heads: dict[str, str], without: list[str]) -> list[Record]:
    """The clusters but those that are left out, by name; refuses names of clusters that there are not."""
    clusters = {cluster["cluster"]: cluster for cluster in _clusters(stub)}
    for name in without:
        if name not in clusters:
            refuse("without", f"there is no cluster {name}")
    for name in heads:
        if name == HEADS or name not in clusters or name in without:
            refuse(f"heads.{name}", "is no cluster that has a head in this cycle")
    return [cluster for name, cluster in clusters.items() if name not in without]


def _begin_cluster(stub: Stub, cluster: Record, holders: list[Record], named: dict[str, str]) -> Record:
    name = cluster["cluster"]
    head = named.get(name, cluster["head"])
    if head is None or not any(holder["holder"] == head for holder in holders):
        why = "has no head yet" if head is None else f"cannot have the head {head}, which is not active in it"
        refuse(f"heads.{name}", f"{name} {why}; name one of its holders")
    if head != cluster["head"]:
        stub.put_state(keys.cluster(name), cluster | {"head": head})
    return _checked(cluster | {"head": head}, holders)


def _begin_heads(cluster: Record, begun: list[Record]) -> Record:
    heads = [next(holder for holder in other["holders"] if holder["holder"] == other["head"]) for other in begun]
    return _checked(cluster, heads)


def _checked(cluster: Record, holders: list[Record]) -> Record:
    """The cluster in its new cycle: t + spare of n, and one more at least."""
    name, needed = cluster["cluster"], cluster["t"] + cluster["spare"]
    if len(holders) < needed + 1:
        refuse(
            "cycle",
            f"{name} has {len(holders)} active holders, its t + spare is {needed} and must be at most one less than "
            "they are; admit more, set a lower t or spare (SetCluster), or leave it out of this cycle (without)",
        )
    if len(holders) > MAX_HOLDERS:
        refuse("cycle", f"{name} has {len(holders)} active holders; a cluster has at most {MAX_HOLDERS}")
    parts = {field: cluster[field] for field in ("cluster", "mspid", "head", "t", "spare", "profile")}
    return parts | {"holders": holders}

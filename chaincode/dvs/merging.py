"""GlobalController: groups that lend one another their VVC lists, on the main channel.

A merge is one document, ``merge/M``. Its status goes gathering -> open -> returning -> closed, and back from open to
gathering when one more group joins. Each component goes asked -> in -> out -> back. While a component's list is with
the merge but not in use, the document holds it (``part``); while the merge is open, the lists joined are those of the
merged id, ``vvc/ID``. What stands goes the same way (``part_standing``), where the merged record has ``release``; the
merge then says so, too. ``merge/0`` has the last number given out and which group is in which unclosed merge.
"""

from __future__ import annotations

from typing import Any, Final

from gridledger.contract import ClientIdentity, Stub
from gridledger.contract.arguments import members, refuse

from . import keys
from .arguments import components_of, group_id, integer, merged_id, single_group_id, text, vvc_list
from .grouping import Record, load_buses
from .permissions import require_aggregator, require_aggregator_msp, require_aggregator_of
from .records import component_records, read_record
from .resources import VVC, find_resources, read_resources, same_amounts, write_resources
from .standing import at_buses, ordered, put_entries, read_standing, standing_list

GATHERING: Final = "gathering"
OPEN: Final = "open"
RETURNING: Final = "returning"
CLOSED: Final = "closed"
NO_GROUP: Final = "no_group"

ASKED: Final = "asked"
IN: Final = "in"
OUT: Final = "out"
BACK: Final = "back"

Merge = dict[str, Any]


def global_controller(stub: Stub, caller: ClientIdentity, argument: Any) -> Merge:
    """GlobalController({group}): starts a merge for an escalated group, extends an open one, or answers.

    ``no_group`` where every neighbour is in an unclosed merge, is back from a later one, or has no VVC.
    """
    members(argument, "", ("group",))
    group = group_id(argument["group"])
    _require_member(stub, caller, group)
    index = _read_index(stub)
    own = components_of(group)
    standing = {index["groups"].get(component) for component in own}
    if standing == {None}:
        if len(own) > 1:
            refuse("group", f"{group} is in no unclosed merge; a single group that escalates starts one")
        return _gather(stub, index, group, None)
    if len(standing) > 1:
        refuse("group", f"{group} is no part of one merge: its components are in different ones, or in none")
    merge = _read_merge(stub, standing.pop())
    if merge["status"] == OPEN and merge["group"] == group:
        return _gather(stub, index, group, merge)
    return _answer(merge)


def adopt(stub: Stub, caller: ClientIdentity, argument: Any) -> Merge:
    """Adopt({merge, group, vvc, channel, tx_id, standing?}): takes a lent list in; the last one opens the merge."""
    members(argument, "", ("merge", "group", "vvc", "channel", "tx_id"), ("standing",))
    merge, component, group = _component(stub, caller, argument)
    lent = _lent(argument, group, read_record(stub, group))
    if component["status"] != ASKED:
        same = {name: component["lent"].get(name) == lent.get(name) for name in ("channel", "tx_id", "standing")}
        for name, is_same in {"vvc": same_amounts(component["lent"]["vvc"], lent["vvc"]), **same}.items():
            if not is_same:
                refuse(name, f"group {group} is in merge {merge['merge']} already, with another {name}")
        return _answer(merge)
    for name, other in merge["components"].items():
        for bus in other["lent"]["vvc"] if other["status"] == IN else ():
            if bus in lent["vvc"]:
                refuse(f"vvc.{bus}", f"is in the list of group {name} of this merge, too; correct the records")
    component.update(status=IN, lent=lent, part=lent["vvc"])
    if "standing" in lent or "release" in merge:
        component["part_standing"] = lent.get("standing", [])
    if all(other["status"] == IN for other in merge["components"].values()):
        _open(stub, merge)
    stub.put_state(keys.merge(merge["merge"]), merge)
    return _answer(merge)


def split(stub: Stub, caller: ClientIdentity, argument: Any) -> Merge:
    """Split({merge}): ends an open merge; answers what is left, for each component to get back."""
    members(argument, "", ("merge",))
    number = integer(argument["merge"], "merge", 1)
    merge = _own_merge(stub, caller, number)
    if merge["status"] == GATHERING:
        waiting = [name for name, component in merge["components"].items() if component["status"] == ASKED]
        refuse("merge", f"merge {number} is still gathering: adopt {', '.join(waiting)} first, then split")
    if merge["status"] == OPEN:
        _take_apart(stub, merge)
        for component in merge["components"].values():
            component["status"] = OUT
        merge["status"] = RETURNING
        stub.put_state(keys.merge(number), merge)
    answer = _answer(merge) | {"vvc": {name: component["part"] for name, component in merge["components"].items()}}
    standing = {
        name: component["part_standing"]
        for name, component in merge["components"].items()
        if "part_standing" in component
    }
    return answer | {"standing": standing} if standing else answer


def close(stub: Stub, caller: ClientIdentity, argument: Any) -> Merge:
    """Close({merge, group, tx_id}): a component has its list back; the last one closes the merge."""
    members(argument, "", ("merge", "group", "tx_id"))
    merge, component, group = _component(stub, caller, argument)
    tx_id = text(argument["tx_id"], "tx_id")
    if component["status"] == BACK:
        if component["restored"] != tx_id:
            refuse("tx_id", f"group {group} is back from merge {merge['merge']} already, by another transaction")
        return _answer(merge)
    if component["status"] != OUT:
        refuse("merge", f"merge {merge['merge']} is {merge['status']}: split it before closing it")
    component.update(status=BACK, restored=tx_id)
    stub.put_state(keys.returned(group), merge["merge"])
    if all(other["status"] == BACK for other in merge["components"].values()):
        merge["status"] = CLOSED
        index = _read_index(stub)
        for name in merge["components"]:
            index["groups"].pop(name, None)
        stub.put_state(keys.MERGE_INDEX, index)
        stub.set_event("Closed", _answer(merge))
    stub.put_state(keys.merge(merge["merge"]), merge)
    return _answer(merge)


def _lent(argument: Merge, group: str, head: Record) -> dict[str, Any]:
    """What Adopt is given; the list has an amount for each load bus, and for each bus that it or what stands names.

    These may be any members of the group. Where a generator reached or left a limit since Lend, a bus of the list is
    none of the load buses now; what it has is the merge's all the same, and is used once the bus is a load bus again.
    """
    lent: dict[str, Any] = {}
    named = set(load_buses(head))
    if "standing" in argument:
        lent["standing"] = standing_list(argument["standing"], "standing", group, head["members"])
        named |= {entry["bus"] for entry in lent["standing"]}
    lent["vvc"] = vvc_list(argument["vvc"], "vvc", named, head["members"])
    lent["channel"] = text(argument["channel"], "channel")
    lent["tx_id"] = text(argument["tx_id"], "tx_id")
    return lent


def _gather(stub: Stub, index: Merge, group: str, merge: Merge | None) -> Merge:
    """Ask a neighbour of ``group`` into ``merge`` (a new one where None), and answer."""
    head = read_record(stub, group)
    number = index["last"] + 1 if merge is None else merge["merge"]
    neighbour = _choose(stub, index, head, number)
    if neighbour is None:
        return {"merge": None, "group": group, "status": NO_GROUP, "components": {}}
    joined = merged_id([*components_of(group), neighbour])
    joined_head = read_record(stub, joined)
    if joined_head["profile"] != head["profile"]:
        refuse("group", f"the record of {joined} has another profile than that of {group}")
    if merge is None:
        index["last"] = number
        merge = {"merge": number, "components": {group: {"status": ASKED}}}
    else:
        _take_apart(stub, merge)
    asked = merge["components"] | {neighbour: {"status": ASKED}}
    merge = {
        "merge": merge["merge"],
        "group": joined,
        "status": GATHERING,
        "components": {name: asked[name] for name in components_of(joined)},
    }
    if "release" in joined_head:
        merge["release"] = True
    groups = index["groups"] | dict.fromkeys(merge["components"], merge["merge"])
    index["groups"] = {name: groups[name] for name in _sorted(groups)}
    stub.put_state(keys.MERGE_INDEX, index)
    stub.put_state(keys.merge(merge["merge"]), merge)
    stub.set_event("Merged", _answer(merge))
    return _answer(merge)


def _choose(stub: Stub, index: Merge, head: Record, number: int) -> str | None:
    """The first neighbour, ascending, in no unclosed merge, that may lend and has VVC, as far as this channel knows.

    A group that is back from a merge lends to later ones only (Lend). One that is back from a later merge than this one
    (``number``), which has stood longer, could never be adopted, and the merge never be ended.
    """
    own = components_of(head["id"])
    for name in _sorted(head["adjacent"]):
        if name in index["groups"] or (stub.get_state(keys.returned(name)) or 0) >= number:
            continue
        neighbour = read_record(stub, name, "adjacent")
        if not any(component in neighbour["adjacent"] for component in own):
            refuse("adjacent", f"the record of {head['id']} names group {name}, whose own record names none of {own}")
        resources = find_resources(stub, name)
        if resources is None or any(amount > 0.0 for amount in resources.listed(load_buses(neighbour)).values()):
            return name
    return None


def _open(stub: Stub, merge: Merge) -> None:
    """All lists are in: they become the merged id's, whose actions go on being counted."""
    resources = read_resources(stub, merge["group"])
    joined: VVC = {}
    for component in merge["components"].values():
        joined |= component.pop("part")
    resources.vvc = {bus: joined[bus] for bus in _sorted(joined)}
    write_resources(stub, merge["group"], resources)
    if "release" in merge:
        parts = [component.pop("part_standing", []) for component in merge["components"].values()]
        put_entries(stub, merge["group"], [entry for part in parts for entry in part])
    merge["status"] = OPEN
    stub.set_event("Merged", _answer(merge))


def _take_apart(stub: Stub, merge: Merge) -> None:
    """Move what is left in the merged id's list back into the merge, component by component."""
    resources = read_resources(stub, merge["group"])
    for component in merge["components"].values():
        component["part"] = {bus: resources.vvc.get(bus, 0.0) for bus in component["lent"]["vvc"]}
    resources.vvc = {}
    write_resources(stub, merge["group"], resources)
    if "release" in merge:
        entries = read_standing(stub, merge["group"]).entries
        for component in merge["components"].values():
            component["part_standing"] = ordered(at_buses(entries, map(int, component["lent"]["vvc"])))
        put_entries(stub, merge["group"], [])


def _component(stub: Stub, caller: ClientIdentity, argument: Merge) -> tuple[Merge, Merge, str]:
    """The merge that ``argument`` names, its component, and the component's id."""
    number = integer(argument["merge"], "merge", 1)
    group = single_group_id(argument["group"])
    merge = _own_merge(stub, caller, number)
    component = merge["components"].get(group)
    if component is None:
        refuse("group", f"{group} is no component of merge {number}, which is {merge['group']}")
    return merge, component, group


def _own_merge(stub: Stub, caller: ClientIdentity, number: int) -> Merge:
    """A merge, for an aggregator of one of its components."""
    require_aggregator(caller)
    merge = _read_merge(stub, number)
    _require_member(stub, caller, merge["group"])
    return merge


def _require_member(stub: Stub, caller: ClientIdentity, group: str) -> None:
    """Refuse a caller that is the aggregator of no component of ``group``."""
    require_aggregator_of(caller, group)
    require_aggregator_msp(caller, group, component_records(stub, group))


def _read_merge(stub: Stub, number: int | None) -> Merge:
    merge: Merge | None = stub.get_state(keys.merge(number or 0))
    if merge is None:
        refuse("merge", f"there is no merge {number} on this channel")
    return merge


def _read_index(stub: Stub) -> Merge:
    stored: Merge | None = stub.get_state(keys.MERGE_INDEX)
    return {"last": 0, "groups": {}} if stored is None else stored


def _sorted(names: Any) -> list[str]:
    """Decimal names in ascending numeric order."""
    return sorted(names, key=int)


def _answer(merge: Merge) -> Merge:
    """What all merge operations answer; ``group`` is the merged id."""
    return {
        "merge": merge["merge"],
        "group": merge["group"],
        "status": merge["status"],
        "components": {name: component["status"] for name, component in merge["components"].items()},
    }

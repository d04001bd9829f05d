"""VVC lists: how much reactive power each load bus of a group can still inject, and who owns the list.

A list is owned by one place at a time: by its group, or by the merge that it is lent to. What is lent is out of the
group's list; the record of the loan stays, so that a repeated Lend can answer again and Restore cannot give back more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from gridledger.contract import ClientIdentity, Stub

from . import keys
from .arguments import integer, members, refuse, single_group_id, vvc_list
from .grouping import Record, load_buses
from .permissions import require_aggregator_msp, require_aggregator_of
from .records import read_record

VVC = dict[str, float]
"""Reactive power that can be injected, p.u., by load bus (decimal), ascending."""


@dataclass(slots=True)
class Loan:
    """A list that was lent to ``merge``, or that came back from it."""

    merge: int
    vvc: VVC


@dataclass(slots=True)
class Resources:
    """What is stored for a group or a merged group.

    ``vvc``: the list, moved out while it is lent. ``actions``: number of injections since the beginning. ``last``: time
    of the frame that caused the last of them, microseconds. ``lent``: the loan that stands. ``returned``: the last
    loan that came back.
    """

    vvc: VVC = field(default_factory=dict)
    actions: int = 0
    last: int | None = None
    lent: Loan | None = None
    returned: Loan | None = None

    def listed(self, loads: Iterable[int]) -> VVC:
        """The list by load bus, complete and ascending."""
        return {str(bus): self.vvc.get(str(bus), 0.0) for bus in sorted(loads)}

    def available(self, loads: Iterable[int]) -> dict[int, float]:
        """The list with bus numbers as keys."""
        return {bus: self.vvc.get(str(bus), 0.0) for bus in loads}


def read_resources(stub: Stub, group: str) -> Resources:
    """What is stored for a group; no list and no action where nothing is."""
    return find_resources(stub, group) or Resources()


def find_resources(stub: Stub, group: str) -> Resources | None:
    """What is stored for a group, or None."""
    stored = stub.get_state(keys.vvc(group))
    if stored is None:
        return None
    return Resources(
        vvc=stored["vvc"],
        actions=stored["actions"],
        last=stored["last"],
        lent=_loan(stored["lent"]),
        returned=_loan(stored["returned"]),
    )


def write_resources(stub: Stub, group: str, resources: Resources) -> None:
    """Store what belongs to a group."""
    stub.put_state(
        keys.vvc(group),
        {
            "vvc": resources.vvc,
            "actions": resources.actions,
            "last": resources.last,
            "lent": _stored(resources.lent),
            "returned": _stored(resources.returned),
        },
    )


def update_resources(stub: Stub, caller: ClientIdentity, argument: Any) -> dict[str, Any]:
    """UpdateResources({group, vvc}): replaces a group's list, not its count of actions. Refused while it is lent."""
    members(argument, "", ("group", "vvc"))
    group = single_group_id(argument["group"])
    loads = load_buses(_own_record(stub, caller, group))
    vvc = vvc_list(argument["vvc"], "vvc", loads)
    resources = read_resources(stub, group)
    if resources.lent is not None:
        refuse("group", f"the list of group {group} is lent to merge {resources.lent.merge}; restore it first")
    resources.vvc = vvc
    write_resources(stub, group, resources)
    return {"group": group, "vvc": vvc, "actions": resources.actions}


def lend(stub: Stub, caller: ClientIdentity, argument: Any) -> dict[str, Any]:
    """Lend({group, merge}): moves a group's list out, for a merge to adopt. Repeated, it answers the same."""
    group, merge = _loan_arguments(argument, ("group", "merge"))
    loads = load_buses(_own_record(stub, caller, group))
    resources = read_resources(stub, group)
    if resources.lent is None:
        if resources.returned is not None and merge <= resources.returned.merge:
            refuse("merge", f"group {group} has its list back from merge {resources.returned.merge} already")
        moved = resources.listed(loads)
        resources.lent = Loan(merge, moved)
        resources.vvc = _without(resources.vvc, moved)
        write_resources(stub, group, resources)
    elif resources.lent.merge != merge:
        refuse("merge", f"the list of group {group} is lent to merge {resources.lent.merge}, not {merge}")
    return {"group": group, "merge": merge, "vvc": resources.lent.vvc}


def restore(stub: Stub, caller: ClientIdentity, argument: Any) -> dict[str, Any]:
    """Restore({group, merge, vvc}): the list is the group's again. No bus may get more than was lent."""
    group, merge = _loan_arguments(argument, ("group", "merge", "vvc"))
    loads = load_buses(_own_record(stub, caller, group))
    vvc = vvc_list(argument["vvc"], "vvc", loads)
    resources = read_resources(stub, group)
    lent, returned = resources.lent, resources.returned
    if lent is None or lent.merge != merge:
        if returned is None or returned.merge != merge:
            refuse("merge", f"the list of group {group} is not lent to merge {merge}")
        if returned.vvc != vvc:
            refuse("vvc", f"group {group} has its list back from merge {merge} already, with other contents")
        return {"group": group, "merge": merge, "vvc": vvc}
    for bus, amount in vvc.items():
        if amount > lent.vvc.get(bus, 0.0):
            refuse(f"vvc.{bus}", f"is more than was lent: {amount!r} p.u. against {lent.vvc.get(bus, 0.0)!r}")
    resources.vvc = resources.vvc | {bus: amount for bus, amount in vvc.items() if bus in lent.vvc}
    resources.lent = None
    resources.returned = Loan(merge, vvc)
    write_resources(stub, group, resources)
    return {"group": group, "merge": merge, "vvc": vvc}


def _own_record(stub: Stub, caller: ClientIdentity, group: str) -> Record:
    """The record of a single group, for its aggregator."""
    require_aggregator_of(caller, group)
    head = read_record(stub, group)
    require_aggregator_msp(caller, group, (head,))
    return head


def _loan_arguments(argument: Any, names: tuple[str, ...]) -> tuple[str, int]:
    members(argument, "", names)
    return single_group_id(argument["group"]), integer(argument["merge"], "merge", 1)


def _without(vvc: VVC, moved: VVC) -> VVC:
    """What stays: amounts at buses that a later record took out of the group. They are not lost, only out of use."""
    return {bus: amount for bus, amount in vvc.items() if bus not in moved}


def _loan(stored: Any) -> Loan | None:
    return None if stored is None else Loan(stored["merge"], stored["vvc"])


def _stored(loan: Loan | None) -> dict[str, Any] | None:
    return None if loan is None else {"merge": loan.merge, "vvc": loan.vvc}

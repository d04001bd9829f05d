"""VVC lists: how much reactive power each load bus of a group can still inject, and who owns the list.

A list is owned by one place at a time: by its group, or by the merge that it is lent to. What is lent is out of the
group's list; the record of the loan stays, so that a repeated Lend can answer again and Restore cannot give back more.
Where the record has ``release``, what stands at the group's load buses is lent and given back with the list.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from gridledger.contract import ClientIdentity, Stub
from gridledger.contract.arguments import members, refuse

from . import keys
from .arguments import integer, single_group_id, vvc_list
from .grouping import Record, load_buses
from .permissions import require_aggregator_msp, require_aggregator_of
from .records import read_record
from .standing import Entry, at_buses, by_bus, ordered, put_entries, read_standing, standing_list, write_standing

#: By how much amounts that are added and subtracted in another order may differ, p.u. for each p.u.
ROUNDING: Final = 1e-12

VVC = dict[str, float]
"""Reactive power that can be injected, p.u., by load bus (decimal), ascending."""


@dataclass(slots=True)
class Loan:
    """A list that was lent to ``merge``, or that came back from it; with what stood then, where the record says so."""

    merge: int
    vvc: VVC
    standing: list[Entry] | None = None

    def answer(self, group: str) -> dict[str, Any]:
        """{group, merge, vvc} and, where it was handed over, standing."""
        found: dict[str, Any] = {"group": group, "merge": self.merge, "vvc": self.vvc}
        return found if self.standing is None else found | {"standing": self.standing}

    def buses(self) -> list[int]:
        """The buses of which there is something in it."""
        return [*map(int, self.vvc), *(entry["bus"] for entry in self.standing or ())]


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
    """UpdateResources({group, vvc, standing?}): replaces a group's list, not its count of actions.

    With ``standing`` what stands is replaced as well. Refused while the list is lent.
    """
    members(argument, "", ("group", "vvc"), ("standing",))
    group = single_group_id(argument["group"])
    loads = load_buses(_own_record(stub, caller, group))
    vvc = vvc_list(argument["vvc"], "vvc", loads)
    standing = _standing_in(argument, group, loads)
    resources = read_resources(stub, group)
    if resources.lent is not None:
        refuse("group", f"the list of group {group} is lent to merge {resources.lent.merge}; restore it first")
    resources.vvc = vvc
    write_resources(stub, group, resources)
    answer = {"group": group, "vvc": vvc, "actions": resources.actions}
    if standing is None:
        return answer
    put_entries(stub, group, standing)
    return answer | {"standing": standing}


def lend(stub: Stub, caller: ClientIdentity, argument: Any) -> dict[str, Any]:
    """Lend({group, merge}): moves a group's list out, for a merge to adopt. Repeated, it answers the same."""
    group, merge = _loan_arguments(argument, ("group", "merge"))
    head = _own_record(stub, caller, group)
    loads = load_buses(head)
    resources = read_resources(stub, group)
    if resources.lent is None:
        if resources.returned is not None and merge <= resources.returned.merge:
            refuse("merge", f"group {group} has its list back from merge {resources.returned.merge} already")
        moved = resources.listed(loads)
        resources.lent = Loan(merge, moved, _move_out(stub, group, loads) if "release" in head else None)
        resources.vvc = _without(resources.vvc, moved)
        write_resources(stub, group, resources)
    elif resources.lent.merge != merge:
        refuse("merge", f"the list of group {group} is lent to merge {resources.lent.merge}, not {merge}")
    return resources.lent.answer(group)


def restore(stub: Stub, caller: ClientIdentity, argument: Any) -> dict[str, Any]:
    """Restore({group, merge, vvc, standing?}): the list is the group's again.

    No bus may get more than was lent: of the list where nothing stood or stands, else of both together. What was lent
    comes back also at a bus that a later record made none of the group's load buses. A member that was none of them at
    Lend may be named, with nothing: the merge's own record may have made it one meanwhile.
    """
    group, merge = _loan_arguments(argument, ("group", "merge", "vvc"), ("standing",))
    head = _own_record(stub, caller, group)
    resources = read_resources(stub, group)
    lent, returned = resources.lent, resources.returned
    loan = lent if lent is not None and lent.merge == merge else returned
    buses = {*head["members"], *(loan.buses() if loan is not None and loan.merge == merge else ())}
    vvc = vvc_list(argument["vvc"], "vvc", load_buses(head), buses)
    given = Loan(merge, vvc, _standing_in(argument, group, buses))
    if lent is None or lent.merge != merge:
        if returned is None or returned.merge != merge:
            refuse("merge", f"the list of group {group} is not lent to merge {merge}")
        for name, is_same in (
            ("vvc", same_amounts(returned.vvc, given.vvc)),
            ("standing", returned.standing == given.standing),
        ):
            if not is_same:
                refuse(name, f"group {group} has its list back from merge {merge} already, with other contents")
        return returned.answer(group)
    _check_restored(lent, given)
    resources.vvc = resources.vvc | {bus: amount for bus, amount in vvc.items() if bus in lent.vvc}
    resources.lent = None
    resources.returned = given
    write_resources(stub, group, resources)
    if given.standing is not None:
        kept = read_standing(stub, group).entries
        put_entries(stub, group, [*kept, *given.standing])
    return given.answer(group)


def same_amounts(one: VVC, other: VVC) -> bool:
    """Whether two lists say the same; a bus that one of them lacks has nothing.

    Lists that were completed under different records name different buses.
    """
    return all(one.get(bus, 0.0) == other.get(bus, 0.0) for bus in (*one, *other))


def _standing_in(argument: dict[str, Any], group: str, loads: Iterable[int]) -> list[Entry] | None:
    return standing_list(argument["standing"], "standing", group, loads) if "standing" in argument else None


def _move_out(stub: Stub, group: str, loads: list[int]) -> list[Entry]:
    """Take what stands at a group's load buses out of its keeping; the rest is out of use, as in the list."""
    standing = read_standing(stub, group)
    moved = at_buses(standing.entries, loads)
    standing.entries = [entry for entry in standing.entries if entry not in moved]
    write_standing(stub, group, standing)
    return ordered(moved)


def _check_restored(lent: Loan, given: Loan) -> None:
    """Refuse more than was lent."""
    if lent.standing is None and given.standing is None:
        for bus, amount in given.vvc.items():
            if amount > lent.vvc.get(bus, 0.0):
                refuse(f"vvc.{bus}", f"is more than was lent: {amount!r} p.u. against {lent.vvc.get(bus, 0.0)!r}")
        return
    if given.standing is None:
        refuse("standing", f"is missing; it was lent with the list to merge {given.merge}")
    stood, stands = by_bus(lent.standing or []), by_bus(given.standing)
    for bus in sorted({*given.vvc, *stands}, key=int):
        amount = given.vvc.get(bus, 0.0) + stands.get(bus, 0.0)
        most = lent.vvc.get(bus, 0.0) + stood.get(bus, 0.0)
        if amount - most > ROUNDING * max(1.0, most):
            refuse(f"vvc.{bus}", f"is with what stands more than was lent: {amount!r} p.u. against {most!r}")


def _own_record(stub: Stub, caller: ClientIdentity, group: str) -> Record:
    """The record of a single group, for its aggregator."""
    require_aggregator_of(caller, group)
    head = read_record(stub, group)
    require_aggregator_msp(caller, group, (head,))
    return head


def _loan_arguments(argument: Any, names: tuple[str, ...], optional: tuple[str, ...] = ()) -> tuple[str, int]:
    members(argument, "", names, optional)
    return single_group_id(argument["group"]), integer(argument["merge"], "merge", 1)


def _without(vvc: VVC, moved: VVC) -> VVC:
    """What stays: amounts at buses that a later record took out of the group. They are not lost, only out of use."""
    return {bus: amount for bus, amount in vvc.items() if bus not in moved}


def _loan(stored: Any) -> Loan | None:
    return None if stored is None else Loan(stored["merge"], stored["vvc"], stored.get("standing"))


def _stored(loan: Loan | None) -> dict[str, Any] | None:
    if loan is None:
        return None
    stored: dict[str, Any] = {"merge": loan.merge, "vvc": loan.vvc}
    return stored if loan.standing is None else stored | {"standing": loan.standing}

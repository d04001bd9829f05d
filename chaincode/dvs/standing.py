"""What stands: injections that were carried out and not taken back yet, kept for groups whose record has ``release``.

An entry is {bus, q_pu, weak, by, time}: ``q_pu`` from bus ``bus`` stands because bus ``weak`` sagged in the frame of
``time``, and was ordered under the id ``by``. Entries are ordered by (time, bus).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gridledger.contract import Stub
from gridledger.contract.arguments import members, refuse

from . import keys
from .arguments import VVC_LIMIT, components_of, group_id, integer, items, number_within
from .control import Injection
from .rules import LONGEST_WAIT_S

#: Where so many entries stand, an injection at a bus that has one joins it.
MANY_ENTRIES: Final = 1000
#: An injection so soon after a release doubles the wait, however short that is, seconds.
LEAST_WATCHED_S: Final = 1.0

Entry = dict[str, Any]


@dataclass(slots=True)
class Standing:
    """What is stored of a single or merged id.

    ``released``: time of the frame that caused its last release, microseconds. ``wait_s``: how long it waits since
    injections followed its releases; None: as long as its record says.
    """

    entries: list[Entry] = field(default_factory=list)
    released: int | None = None
    wait_s: float | None = None

    def wait(self, hold_s: float) -> float:
        """How long an entry stands at least, seconds. ``hold_s``: the record's."""
        return hold_s if self.wait_s is None or self.wait_s < hold_s else self.wait_s

    def injected(self, injection: Injection, by: str, time: int, hold_s: float) -> None:
        """Note an injection: one that comes soon after a release doubles the wait, another one resets it."""
        wait = self.wait(hold_s)
        watched_s = wait if wait > LEAST_WATCHED_S else LEAST_WATCHED_S
        soon = self.released is not None and float(time - self.released) <= watched_s * 1e6
        self.wait_s = min(2.0 * wait, LONGEST_WAIT_S) if soon else None
        entry = {"bus": injection.source, "q_pu": injection.q_pu, "weak": injection.weak, "by": by, "time": time}
        if len(self.entries) >= MANY_ENTRIES:
            older = next((one for one in self.entries if one["bus"] == injection.source), None)
            if older is not None:
                self.entries.remove(older)
                entry["q_pu"] = older["q_pu"] + injection.q_pu
        self.entries = ordered([*self.entries, entry])

    def taken_back(self, entry: Entry, q_pu: float, time: int) -> None:
        """Note a release of ``q_pu`` of an entry; the rest stands on."""
        left = entry["q_pu"] - q_pu
        at = self.entries.index(entry)
        self.entries[at : at + 1] = [entry | {"q_pu": left}] if left > 0.0 else []
        self.released = time


def read_standing(stub: Stub, group: str) -> Standing:
    """What stands of a group; nothing where nothing is stored."""
    stored = stub.get_state(keys.standing(group))
    return Standing() if stored is None else Standing(stored["entries"], stored["released"], stored["wait_s"])


def write_standing(stub: Stub, group: str, standing: Standing) -> None:
    """Store what stands of a group."""
    stub.put_state(
        keys.standing(group),
        {"entries": standing.entries, "released": standing.released, "wait_s": standing.wait_s},
    )


def put_entries(stub: Stub, group: str, entries: Iterable[Entry]) -> None:
    """Replace the entries of a group; the times of its releases stay."""
    standing = read_standing(stub, group)
    standing.entries = ordered(entries)
    write_standing(stub, group, standing)


def standing_list(value: Any, where: str, group: str, loads: Iterable[int]) -> list[Entry]:
    """Entries that a caller hands over for a single group, in their order; each at one of its ``loads``."""
    entries = []
    at_home = set(loads)
    for i, one in enumerate(items(value, where)):
        at = f"{where}[{i}]"
        members(one, at, ("bus", "q_pu", "weak", "by", "time"))
        bus = integer(one["bus"], f"{at}.bus")
        if bus not in at_home:
            refuse(f"{at}.bus", f"bus {bus} is no load bus of group {group}")
        q_pu = number_within(one["q_pu"], f"{at}.q_pu", 0.0, VVC_LIMIT)
        if q_pu == 0.0:
            refuse(f"{at}.q_pu", "must be above 0")
        by = group_id(one["by"], f"{at}.by")
        if group not in components_of(by):
            refuse(f"{at}.by", f"{by} does not contain group {group}")
        weak, time = integer(one["weak"], f"{at}.weak"), integer(one["time"], f"{at}.time")
        entries.append({"bus": bus, "q_pu": q_pu, "weak": weak, "by": by, "time": time})
    if len(entries) > MANY_ENTRIES + len(at_home):
        refuse(where, f"has {len(entries)} entries; join those of a bus until {MANY_ENTRIES} are left")
    return ordered(entries)


def ordered(entries: Iterable[Entry]) -> list[Entry]:
    """Entries by (time, bus); those that are equal in both stay as they came."""
    return sorted(entries, key=lambda entry: (entry["time"], entry["bus"]))


def at_buses(entries: Iterable[Entry], buses: Iterable[int]) -> list[Entry]:
    """The entries at some buses, in their order."""
    named = set(buses)
    return [entry for entry in entries if entry["bus"] in named]


def by_bus(entries: Sequence[Entry]) -> dict[str, float]:
    """What stands, p.u. by load bus (decimal), added up in the order of the entries."""
    amounts: dict[str, float] = {}
    for entry in entries:
        bus = str(entry["bus"])
        amounts[bus] = amounts.get(bus, 0.0) + entry["q_pu"]
    return amounts

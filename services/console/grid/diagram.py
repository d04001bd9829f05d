"""The one-line diagram as values: where each bus is drawn, what it is, and what joins them.

Made of a case, or of the records that planners submitted (:mod:`services.console.grid.making`); read and drawn here
without numpy, which the console's process does not hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from gridledger.errors import InputError

Kind = Literal["load", "generator", "reference"]

RADIUS: Final = 15.0
"""Of a bus, in the units of the drawing; a number of four digits fits in at 10 units."""
MANY: Final = 120
"""With more buses the drawing is looked at in parts: its texts are too small where it is shown as a whole."""


@dataclass(frozen=True, slots=True)
class Bus:
    """A bus: where it is drawn, and the single group that it is a member of, "" where none is known."""

    number: int
    x: float
    y: float
    kind: Kind
    group: str


@dataclass(frozen=True, slots=True)
class Line:
    """What joins two buses, parallel branches as one: ``count`` of them. ``tie``: between two groups."""

    f: int
    t: int
    count: int
    tie: bool


@dataclass(frozen=True, slots=True)
class Diagram:
    """A drawing of ``width`` by ``height`` units. ``source``: what it was made of, for people."""

    source: str
    width: float
    height: float
    buses: tuple[Bus, ...]
    lines: tuple[Line, ...]
    places: Mapping[int, Bus] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "places", {bus.number: bus for bus in self.buses})

    @property
    def many(self) -> bool:
        """Whether it has too many buses to be read as a whole."""
        return len(self.buses) > MANY

    @property
    def groups(self) -> dict[str, tuple[int, ...]]:
        """The buses of each group, in the order of groups."""
        found: dict[str, list[int]] = {}
        for bus in self.buses:
            found.setdefault(bus.group, []).append(bus.number)
        return {group: tuple(found[group]) for group in sorted(found, key=_by_number)}

    def to_dict(self) -> dict[str, Any]:
        """Its JSON form."""
        return {
            "source": self.source,
            "width": self.width,
            "height": self.height,
            "buses": [asdict(bus) for bus in self.buses],
            "lines": [asdict(line) for line in self.lines],
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Diagram:
        """Read the JSON form, which our own process wrote."""
        return cls(
            value["source"],
            value["width"],
            value["height"],
            tuple(Bus(**bus) for bus in value["buses"]),
            tuple(Line(**line) for line in value["lines"]),
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """What a diagram is made of: buses with their kinds and groups, and branches by their ends."""

    source: str
    kinds: Mapping[int, Kind]
    groups: Mapping[int, str]
    branches: tuple[tuple[int, int], ...]

    def lines(self) -> tuple[Line, ...]:
        """Parallel branches joined."""
        counts: dict[tuple[int, int], int] = {}
        for f, t in self.branches:
            ends = (min(f, t), max(f, t))
            counts[ends] = counts.get(ends, 0) + 1
        return tuple(
            Line(f, t, count, self.groups.get(f, "") != self.groups.get(t, "")) for (f, t), count in counts.items()
        )


def plan_of_records(records: Iterable[Mapping[str, Any]]) -> Plan:
    """The plan that records of single groups give together, as ``GetGroup`` answers them.

    A bus across a border is known by the group that it is a member of, and is a load where none tells. Raises
    :class:`InputError` where a record is none.
    """
    kinds: dict[int, Kind] = {}
    groups: dict[int, str] = {}
    branches: dict[tuple[int, int, int], None] = {}
    ties: set[int] = set()
    for record in records:
        try:
            group, members, dim, told = record["id"], record["members"], record["dim"], record["kind"]
            matrix_buses = dict(zip(dim[: record["nm"]], told, strict=False))
            for bus in members:
                groups[bus] = group
                kind = matrix_buses.get(bus)
                kinds[bus] = "reference" if kind is None else "load" if kind == 1 else "generator"
            parallel: dict[tuple[int, int], int] = {}
            for f, t in record["branches"]:
                ends = (min(f, t), max(f, t))
                parallel[ends] = parallel.get(ends, 0) + 1
                branches[(*ends, parallel[ends])] = None
            ties.update(dim[record["nm"] :])
        except (KeyError, TypeError, ValueError):
            raise InputError(
                "a record of the ledger is none of a group: it lacks members, dim, kind or branches"
            ) from None
    kinds |= {bus: "load" for bus in sorted(ties) if bus not in kinds}
    names = ", ".join(sorted(set(groups.values()), key=_by_number))
    joined = tuple((f, t) for f, t, _ in branches if f in kinds and t in kinds)
    return Plan(f"the records of groups {names}", kinds, groups, joined)


def _by_number(group: str) -> tuple[int, str]:
    return (int(group) if group.isascii() and group.isdigit() else 0, group)

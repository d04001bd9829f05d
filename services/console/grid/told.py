"""What blocks tell of the grid: frames, actions, merges, and what people do about alarms. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Place:
    """The transaction that told something. ``index``: its place in its block; ``proposed_us``: its proposal's time."""

    tx_id: str
    block: int
    index: int
    proposed_us: int


@dataclass(frozen=True, slots=True)
class Action:
    """An injection, or one that is taken back: its amount is negative then. ``vvc_left``: p.u. by bus."""

    number: int
    weak_bus: int
    source_bus: int
    q_mvar: float
    vvc_left: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class FrameTold:
    """A frame and what the contract answered. ``time_us``: the frame's own; voltages and indices by bus, in p.u."""

    place: Place
    group: str
    time_us: int
    vm: Mapping[int, float] = field(repr=False)
    vsi: Mapping[int, float] = field(repr=False)
    weak_bus: int | None
    threshold: float | None
    alarm: bool
    outcome: str
    action: Action | None
    suspect: str | None

    @property
    def margin(self) -> float | None:
        """How far the weak bus is above the threshold that judges it; None without load buses."""
        if self.weak_bus is None or self.threshold is None:
            return None
        return self.vsi[self.weak_bus] - self.threshold


@dataclass(frozen=True, slots=True)
class MergeTold:
    """How far a merge is: gathering, open, returning or closed. ``components``: the status by single group."""

    place: Place
    number: int
    group: str
    status: str
    components: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ResourcesTold:
    """A group's VVC list from here on, p.u. by bus. ``afresh``: by the group itself; nothing stands any more."""

    place: Place
    group: str
    vvc: Mapping[int, float]
    afresh: bool = False


@dataclass(frozen=True, slots=True)
class RecordTold:
    """A group has another record: its buses, lines or threshold may have changed. None where it has no threshold."""

    place: Place
    group: str
    threshold: float | None
    loads: frozenset[int] = field(repr=False)


@dataclass(frozen=True, slots=True)
class AcknowledgedTold:
    """Somebody acknowledged an alarm."""

    place: Place
    group: str
    kind: str
    raised_us: int
    by: str
    mspid: str
    time_us: int
    note: str | None


@dataclass(frozen=True, slots=True)
class ShelvedTold:
    """A source is shelved until then, or no more (``until_us`` None)."""

    place: Place
    group: str
    kind: str
    until_us: int | None
    by: str
    mspid: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class UnreadableTold:
    """A valid transaction of a chaincode of this name that cannot be read as what its function says."""

    place: Place
    function: str
    why: str


Told = FrameTold | MergeTold | ResourcesTold | RecordTold | AcknowledgedTold | ShelvedTold | UnreadableTold


@dataclass(frozen=True, slots=True)
class BlockTold:
    """What one block tells. ``timestamp_us``: the block's; ``invalid``: frames that do not count (superseded ones)."""

    channel: str
    number: int
    timestamp_us: int
    told: tuple[Told, ...] = ()
    invalid: int = 0

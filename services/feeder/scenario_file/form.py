"""The form of a scenario file. What its members must be to a grid is :mod:`~.against_grid`'s to say.

Units: MW, MVAr, per-unit voltages, degrees, seconds since the stream began.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from gridledger.grid.layout import GROUP_ID
from gridledger.grid.records import PROFILES, Profile

MAX_EVENTS = 2000
MAX_DURATION_S = 86_400.0
MAX_RATE = 1000.0
_MAX_POWER = 1e6
_MAX_BUSES = 20_000


def _group_id(value: Any) -> Any:
    """A group's id may be written as a number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _branch(value: list[int]) -> list[int]:
    if len(value) > 2 and value[2] < 1:  # noqa: PLR2004 -- [from, to, number]
        raise ValueError("the number of a parallel branch counts from 1")
    return value


_GROUP_KEY = Annotated[str, BeforeValidator(_group_id), Field(pattern=f"^{GROUP_ID.pattern}$")]
Group = Annotated[_GROUP_KEY, WithJsonSchema({"type": ["string", "integer"], "pattern": f"^{GROUP_ID.pattern}$"})]
Bus = Annotated[int, Field(ge=0, lt=10**9)]
Buses = Annotated[list[Bus], Field(min_length=1, max_length=_MAX_BUSES)]
Branch = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=2, max_length=3), AfterValidator(_branch)]
"""[f, t] or [f, t, n]: the n-th branch between these buses."""
Seconds = Annotated[float, Field(ge=0.0, le=MAX_DURATION_S, allow_inf_nan=False)]
Power = Annotated[float, Field(ge=-_MAX_POWER, le=_MAX_POWER, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0.0, le=_MAX_POWER, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0.0, le=_MAX_POWER, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
Load = Annotated[list[Power], Field(min_length=2, max_length=2)]
FileName = Annotated[str, Field(min_length=1, max_length=1024)]


class Part(BaseModel):
    """A part of the file: no member that is not named, and no value that is not written in its type."""

    model_config = ConfigDict(extra="forbid", strict=True)

    def given(self, *names: str) -> list[str]:
        """Those of ``names`` that the file gives."""
        return [name for name in names if getattr(self, name) is not None]

    def check_one_of(self, *names: str) -> str:
        """The one of ``names`` that is given; ValueError where it is not exactly one."""
        given = self.given(*names)
        if len(given) != 1:
            raise ValueError(
                f"needs exactly one of {', '.join(names)}" + (f", has {', '.join(given)}" if given else "")
            )
        return given[0]


class Groups(Part):
    """Groups of buses: ``count`` automatic ones, automatic ones of at most ``max_buses``, or ``members`` by group."""

    count: Annotated[int, Field(ge=1, le=1000)] | None = None
    max_buses: Annotated[int, Field(ge=2, le=_MAX_BUSES)] | None = None
    members: dict[_GROUP_KEY, Buses] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.members is not None and self.given("count", "max_buses"):
            raise ValueError("members are listed: give neither count nor max_buses")
        if not self.given("count", "max_buses", "members"):
            raise ValueError("needs count, max_buses or members")
        return self


class Thresholds(Part):
    """Below which index a group alarms: ``by_group``, ``margin`` below its weakest bus at the start, or a ``file``."""

    margin: Share | None = None
    by_group: dict[_GROUP_KEY, Share] | None = None
    file: FileName | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        self.check_one_of("margin", "by_group", "file")
        return self


class Vvc(Part):
    """Reactive power that may be injected: ``mvar`` at each load bus, ``by_bus`` instead where named.

    A source gives multiples of ``step_mvar`` where that is set, and Q proportional to V^2 where ``as_shunt``.
    """

    mvar: NotNegative = 0.0
    by_bus: dict[Bus, NotNegative] = Field(default_factory=dict)
    none_at: list[Bus] = Field(default_factory=list)
    none_in: list[Group] = Field(default_factory=list)
    step_mvar: Positive | None = None
    as_shunt: bool = False


class Scale(Part):
    """Loads times ``factor``: of ``buses``, of a ``group``, or of the whole grid where neither is given."""

    factor: Annotated[float, Field(ge=0.0, le=1000.0, allow_inf_nan=False)]
    buses: Buses | None = None
    group: Group | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.given("buses", "group")) > 1:
            raise ValueError("give buses or a group, not both")
        return self


class Sag(Part):
    """In each of ``groups`` groups the load bus nearest to its alarm, raised until the alarm sounds and V is low."""

    groups: Annotated[int, Field(ge=1, le=1000)] = 1


class Event(Part):
    """One change at a time. ``loads`` and ``scale`` with ``until`` are ramps."""

    at: Seconds
    until: Seconds | None = None
    loads: Annotated[dict[Bus, Load], Field(min_length=1, max_length=_MAX_BUSES)] | None = None
    scale: Scale | None = None
    csv: FileName | None = None
    sag: Sag | None = None
    outage: Branch | None = None
    close: Branch | None = None
    vvc: Annotated[dict[Bus, NotNegative], Field(min_length=1, max_length=_MAX_BUSES)] | None = None
    title: Annotated[str, Field(min_length=1, max_length=120)] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        kind = self.check_one_of("loads", "scale", "csv", "sag", "outage", "close", "vvc")
        if self.until is not None:
            if kind not in ("loads", "scale"):
                raise ValueError(f"until makes a ramp of loads or scale, not of {kind}")
            if self.until <= self.at:
                raise ValueError("until must be later than at")
        return self


class Noise(Part):
    """Standard deviations of what the meters show: ``v`` p.u., ``angle`` degrees, ``p`` MW, ``q`` MVAr."""

    v: Annotated[float, Field(ge=0.0, le=0.1)] = 0.0
    angle: Annotated[float, Field(ge=0.0, le=10.0)] = 0.0
    p: Annotated[float, Field(ge=0.0, le=1e4)] = 0.0
    q: Annotated[float, Field(ge=0.0, le=1e4)] = 0.0


BUS_QUANTITIES = ("Pd", "Qd", "Vm", "Va")
BRANCH_QUANTITIES = ("Pf", "Qf", "Pt", "Qt")


class BadData(Part):
    """A gross ``error`` on one quantity of a bus or a branch, for ``frames`` frames from ``at`` on.

    Each of these frames has it with ``probability``, which the seed and the frame's number decide.
    """

    at: Seconds
    frames: Annotated[int, Field(ge=1, le=1_000_000)]
    bus: Bus | None = None
    branch: Branch | None = None
    quantity: Literal["Pd", "Qd", "Vm", "Va", "Pf", "Qf", "Pt", "Qt"]
    error: Power
    probability: Share = 1.0

    @model_validator(mode="after")
    def _check(self) -> Self:
        place = self.check_one_of("bus", "branch")
        wanted = BUS_QUANTITIES if place == "bus" else BRANCH_QUANTITIES
        if self.quantity not in wanted:
            raise ValueError(f"the quantity at a {place} is one of {', '.join(wanted)}")
        return self


class Release(Part):
    """When calm frames take back what was injected; see docs/release.md."""

    v_max: Annotated[float, Field(gt=0.5, le=2.0)]
    margin: Share
    hold_s: Annotated[float, Field(ge=0.001, le=3600.0)]
    dv_max: Annotated[float, Field(ge=0.0001, le=0.5)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.margin < self.dv_max / 2.0:
            raise ValueError("margin must be at least half of dv_max")
        return self


class Check(Part):
    """How far a frame may contradict itself before it is suspect."""

    tolerance_mva: Annotated[float, Field(ge=0.001, le=1e6)]
    e_v: Annotated[float, Field(ge=0.0, le=0.1)] = 0.0


def _profiles(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


_PROFILE = {"enum": list(PROFILES)}
Profiles = Annotated[
    list[Profile],
    BeforeValidator(_profiles),
    Field(min_length=1, max_length=len(PROFILES)),
    WithJsonSchema({"anyOf": [_PROFILE, {"type": "array", "items": _PROFILE, "minItems": 1}]}),
]
"""One profile, or a list of those in which the scenario may run."""


class ScenarioForm(Part):
    """A scenario: a grid, its groups, what may be injected, what happens, how it is measured."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$")]
    title: Annotated[str, Field(min_length=1, max_length=120)]
    case: FileName | None = None
    profile: Profiles = ["corrected"]
    groups: Groups | None = None
    thresholds: Thresholds | None = None
    v_required: Annotated[float, Field(ge=0.5, le=2.0)] = 0.98
    enforce_q_limits: bool = False
    vvc: Vvc
    events: Annotated[list[Event], Field(max_length=MAX_EVENTS)] = Field(default_factory=list)
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 1
    noise: Noise | None = None
    bad_data: Annotated[list[BadData], Field(max_length=MAX_EVENTS)] = Field(default_factory=list)
    rate: Annotated[float, Field(gt=0.0, le=MAX_RATE, allow_inf_nan=False)] = 30.0
    duration: Annotated[float, Field(gt=0.0, le=MAX_DURATION_S, allow_inf_nan=False)] = 60.0
    release: Release | None = None
    check: Check | None = None
    deadband_mw: NotNegative | None = None

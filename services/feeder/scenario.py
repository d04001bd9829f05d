"""A scenario on a grid: which reactive power is there, what happens when, and how it is measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gridledger.grid.case import Case
from gridledger.grid.records import PROFILES, Planner, Profile
from gridledger.grid.vvc_source import VvcSource
from services.feeder.meter import Meter, MeterErrors
from services.feeder.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Scenario:
    """``vvc_mvar``: what each load bus may inject; ``schedule``: what happens within ``duration_s``.

    ``rate`` is in frames per second of each group; ``errors`` are those of the meters;
    ``sources`` tells how the devices at some buses give what is ordered of them.
    """

    name: str
    title: str
    vvc_mvar: Mapping[int, float]
    schedule: Schedule = field(default_factory=Schedule)
    profiles: tuple[Profile, ...] = PROFILES
    rate: float = 30.0
    duration_s: float = 60.0
    errors: MeterErrors | None = None
    sources: Mapping[int, VvcSource] = field(default_factory=dict)

    @property
    def loads(self) -> dict[int, tuple[float, float]]:
        """MW, MVAr of the buses whose demand has changed at the end."""
        return self.schedule.loads

    def resources(self, planner: Planner) -> dict[str, dict[str, float]]:
        """Every group's VVC list, p.u. by load bus."""
        base = planner.case.base_mva
        return {
            group: {str(bus): self.vvc_mvar.get(bus, 0.0) / base for bus in planner.area(group).load_buses}
            for group in planner.grouping
        }

    def meter(self, case: Case) -> Meter | None:
        """What measures; None where nothing adds to what is true."""
        return None if self.errors is None else Meter(case, self.errors, self.rate)

    def lasting(self, seconds: float, *, rate: float) -> Scenario:
        """The same with its times stretched so that it lasts ``seconds``, at ``rate`` frames per second."""
        factor = seconds / self.duration_s
        errors = None if self.errors is None else self.errors.stretched(factor)
        return replace(self, rate=rate, duration_s=seconds, schedule=self.schedule.stretched(factor), errors=errors)

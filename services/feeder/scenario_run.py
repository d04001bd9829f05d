"""One run of a scenario as it went: rounds, injections, merges, latencies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gridledger.grid.case import FloatArray
from gridledger.grid.records import Planner
from services.feeder.clock import Clock
from services.feeder.group_loop import STALE, SUSPECT, FrameAnswer
from services.feeder.merging import Merge
from services.feeder.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Moment:
    """The grid in one round: seconds since the scenario's begin, voltages (p.u., case order), VSI by bus."""

    at_s: float
    vm: FloatArray = field(repr=False)
    vsi: dict[int, float] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Injection:
    """Reactive power that the ledger ordered; negative where it took back what stood."""

    at_s: float
    group: str
    bus: int
    q_mvar: float
    tx_id: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Something to show on the time axis.

    ``kind`` is that of a change (``load``, ``outage``, ``restored``, ``resources``), ``merged``, ``extended``,
    ``returned`` or ``stale``.
    """

    at_s: float
    kind: str
    text: str


@dataclass(slots=True)
class ScenarioRun:
    """One scenario in one profile. Voltages p.u.; VVC sums p.u. over all groups, before, after, given by changes.

    ``weak_bus`` and ``threshold`` are those of the first alarm, in round ``first_alarm``.
    """

    scenario: Scenario
    planner: Planner
    clock: Clock = field(repr=False)
    begun_us: int
    moments: list[Moment] = field(default_factory=list)
    injections: list[Injection] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    latencies_s: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    merges: list[str] = field(default_factory=list)
    frames: int = 0
    suspects: int = 0
    """How many frames contradicted themselves."""
    settled: bool = False
    cured: bool = False
    weak_bus: int = 0
    threshold: float = 0.0
    alarms: tuple[int, ...] = ()
    """The weak buses that alarmed in the last round."""
    first_alarm: int = 0
    vvc_before: float = 0.0
    vvc_after: float = 0.0
    vvc_given: float = 0.0
    injected_pu: float = 0.0

    @property
    def steps(self) -> int:
        """How many injections it took, releases not counted."""
        return sum(injection.q_mvar > 0.0 for injection in self.injections)

    @property
    def before(self) -> Moment:
        """The round of the first alarm; where none came, the last round."""
        return self.moments[self.first_alarm]

    @property
    def after(self) -> Moment:
        """The last round."""
        return self.moments[-1]

    def voltage(self, moment: Moment) -> float:
        """Voltage of the weak bus, p.u."""
        return float(moment.vm[self.planner.case.position[self.weak_bus]])

    def add_round(self, answers: Sequence[FrameAnswer]) -> None:
        """Record the answers of one round."""
        vsi: dict[int, float] = {}
        for answer in answers:
            vsi |= answer.vsi
        self.alarms = tuple(a.result["weak_bus"] for a in answers if a.result is not None and a.result["alarm"])
        self.moments.append(Moment(self._at_s(answers[0].time_us), answers[0].state.vm, vsi))
        for answer in answers:
            self._add(answer)

    def add_injection(self, answer: FrameAnswer, control: dict[str, Any]) -> None:
        """Record the injection that an answer ordered."""
        at_s = self._at_s(answer.time_us) + answer.latency_s
        self.injections.append(Injection(at_s, answer.group, control["source_bus"], control["q_mvar"], answer.tx_id))
        self.injected_pu += control["q_pu"]

    def add_merge(self, what: str, merge: Merge) -> None:
        """Record that a merge was "merged", "extended" or "returned"."""
        self.mark(what, merge.group)
        self.merges.append(f"{what} {merge.group}")

    def mark(self, kind: str, text: str) -> None:
        """Record something for the time axis, now."""
        self.marks.append(Mark(self._at_s(self.clock.now_us()), kind, text))

    def _add(self, answer: FrameAnswer) -> None:
        self.frames += 1
        if answer.result is None:
            self.faults.append(answer.fault)
            return
        self.latencies_s.append(answer.latency_s)
        self.suspects += answer.outcome == SUSPECT
        if answer.outcome == STALE:
            self.mark("stale", f"group {answer.group}: new record")
        elif answer.result["alarm"] and not self.weak_bus:
            self.weak_bus, self.threshold = answer.result["weak_bus"], answer.result["threshold"]
            self.first_alarm = len(self.moments) - 1
        if answer.control is not None:
            self.add_injection(answer, answer.control)

    def _at_s(self, time_us: int) -> float:
        return (time_us - self.begun_us) / 1e6

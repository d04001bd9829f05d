"""The expectations of each scenario of case30: the thesis's printed steps, and what the corrected profile promises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from services.feeder.scenario_run import ScenarioRun
from services.feeder.scenarios.shipped import RECOVERY

VOLTAGE_TOLERANCE = 0.02
_SUM_TOLERANCE = 1e-9
_RECOVERED_PU = 1e-6

PRINTED_SOURCES: Mapping[str, Sequence[int]] = {"base": (), "1a": (3,), "1b": (4, 4), "2": (15, 15, 15), "3": (30,)}
PRINTED_FIRST_MVAR: Mapping[str, tuple[float, float]] = {
    "1a": (11.0712522, 5e-8),
    "1b": (55.35002089586425, 1e-9),
    "2": (7.341455832851773, 1e-9),
}
"""First injections as printed, MVAr, and the tolerance of their digits."""


def unmet_expectations(run: ScenarioRun) -> list[str]:
    """The expectations that a run of a case30 scenario did not meet."""
    faults = [] if run.cured else ["not cured"]
    sources = [injection.bus for injection in run.injections]
    if run.planner.profile == "published":
        printed = list(PRINTED_SOURCES[run.scenario.name])
        if sources != printed:
            faults.append(f"injections at {sources}, printed are {printed}")
        first, tolerance = PRINTED_FIRST_MVAR.get(run.scenario.name, (None, 0.0))
        if first is not None and run.injections and abs(run.injections[0].q_mvar - first) > tolerance:
            faults.append(f"the first injection is {run.injections[0].q_mvar!r} MVAr, printed is {first!r}")
    elif run.scenario.name == RECOVERY:
        faults += _not_recovered(run)
    elif run.scenario.schedule:
        if run.steps != 1:
            faults.append(f"{run.steps} steps instead of one")
        if abs(run.voltage(run.after) - run.planner.v_required) > VOLTAGE_TOLERANCE:
            faults.append(f"voltage {run.voltage(run.after):.4f} is not within {VOLTAGE_TOLERANCE} of the target")
    elif run.steps:
        faults.append(f"{run.steps} injections where none is needed")
    if run.scenario.name == "starved" and run.merges != ["merged 1_2", "returned 1_2"]:
        faults.append(f"merges {run.merges} instead of one of 1 and 2, given back")
    if abs(run.vvc_before + run.vvc_given - run.vvc_after - run.injected_pu) > _SUM_TOLERANCE:
        faults.append(f"VVC {run.vvc_before} became {run.vvc_after} with {run.injected_pu} p.u. injected")
    return faults


def _not_recovered(run: ScenarioRun) -> list[str]:
    """What is not as before, after the load has returned."""
    faults = []
    if run.steps < 1 or len(run.injections) == run.steps:
        faults.append(f"{run.steps} injections and {len(run.injections) - run.steps} releases")
    if abs(run.injected_pu) > _SUM_TOLERANCE:
        faults.append(f"{run.injected_pu} p.u. still stand")
    difference = float(np.abs(run.after.vm - run.moments[0].vm).max())
    if difference > _RECOVERED_PU:
        faults.append(f"a voltage is {difference:.2e} p.u. from where it began")
    if run.suspects:
        faults.append(f"{run.suspects} frames that contradict themselves")
    return faults

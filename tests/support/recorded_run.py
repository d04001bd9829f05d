"""A run on case30 and the real contract, in process, told to a recorder as the feeder's loops tell theirs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gridledger.grid.records import Profile
from services.feeder.group_loop import INJECTED
from services.feeder.meter import MeterErrors
from services.feeder.results.recorder import RecordedChange, RunMeta, RunRecorder
from services.feeder.scenario import Scenario
from services.feeder.scenario_runner import ScenarioRunner
from services.feeder.scenarios.shipped import scenario_for
from tests.support.dvs_world import FakeClock, World
from tests.support.feeder_world import SHARDED, scenario_runner

QUIET_ROUNDS = 2


def meta_of(runner: ScenarioRunner, scenario: Scenario, begun_us: int) -> RunMeta:
    """What is known of the run before its first frame."""
    planner = runner.planner
    return RunMeta(
        case=planner.case,
        grouping=planner.grouping,
        profile=planner.profile,
        thresholds=planner.thresholds,
        v_required=planner.v_required,
        scenario={"name": scenario.name, "loads": {str(bus): list(load) for bus, load in scenario.loads.items()}},
        begun_us=begun_us,
        seed=7,
    )


async def record_run(
    recorder: RunRecorder,
    name: str,
    profile: Profile = "corrected",
    *,
    rounds: int = 6,
    ends: bool = True,
    errors: MeterErrors | None = None,
) -> tuple[ScenarioRunner, list[Any]]:
    """Rounds of a scenario after two quiet ones; the runner and every answer. ``ends``: whether the run ends.

    ``errors``: those of the meters.
    """
    clock = FakeClock()
    runner = scenario_runner(World(SHARDED), profile, clock=clock)
    scenario = replace(scenario_for(name, runner.planner, runner.power_flow, runner.base), errors=errors)
    await runner.prepare()
    run, coordinator = await runner.begin(scenario)
    recorder.begin(meta_of(runner, scenario, run.begun_us))
    answers = []
    told = 0
    for number in range(QUIET_ROUNDS + rounds):
        if number == QUIET_ROUNDS and scenario.loads:
            runner.plant.set_loads(scenario.loads)
            for bus, (p_mw, q_mvar) in scenario.loads.items():
                recorder.change(RecordedChange(clock.now_us(), "load", scenario.title, bus, p_mw, q_mvar))
        for answer in await coordinator.round(number):
            answers.append(answer)
            recorder.frame(answer, answer.state, late_s=0.001)
            if answer.outcome == INJECTED and answer.control is not None:
                recorder.action(answer.group, answer.control, answer.time_us, answer.tx_id)
        for text in run.merges[told:]:
            what, group = text.split(" ")
            recorder.merge(what, coordinator_merge(group), clock.now_us())
        told = len(run.merges)
    if ends:
        recorder.end({"cured": True})
    return runner, answers


def coordinator_merge(group: str) -> Any:
    """A merge as the ledger tells it; the run keeps its id only."""
    from services.feeder.merging import Merge  # noqa: PLC0415

    return Merge(1, group, "open", {})

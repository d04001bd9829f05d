"""The expectations of case30's scenarios: a run that departs from them says how."""

from __future__ import annotations

from dataclasses import replace

from gridledger.grid.records import Profile
from services.feeder.expectations import unmet_expectations
from services.feeder.scenario_run import Injection, ScenarioRun
from services.feeder.scenario_runner import ScenarioRunner
from services.feeder.scenarios.shipped import RECOVERY, scenario_for, shipped
from services.feeder.set_up import Asked, set_up
from tests.support.dvs_world import FakeClock, World, dvs_client
from tests.support.feeder_world import SINGLE, scenario_runner


async def met(name: str, profile: Profile) -> ScenarioRun:
    """A run that meets all expectations."""
    runner = scenario_runner(World(SINGLE), profile)
    await runner.prepare()
    run = await runner.run(scenario_for(name, runner.planner, runner.power_flow, runner.base))
    assert unmet_expectations(run) == []
    return run


async def test_a_run_that_is_not_cured_is_told() -> None:
    assert unmet_expectations(replace(await met("base", "corrected"), cured=False)) == ["not cured"]


async def test_other_sources_than_printed_are_told() -> None:
    run = await met("1a", "published")
    moved = replace(run, injections=[replace(run.injections[0], bus=4)])
    assert unmet_expectations(moved) == ["injections at [4], printed are [3]"]


async def test_another_first_injection_than_printed_is_told() -> None:
    run = await met("1a", "published")
    larger = replace(run, injections=[replace(run.injections[0], q_mvar=11.08)])
    assert unmet_expectations(larger) == ["the first injection is 11.08 MVAr, printed is 11.0712522"]


async def test_a_second_step_and_a_low_voltage_are_told() -> None:
    run = await met("1a", "corrected")
    twice = replace(run, injections=run.injections * 2)
    assert unmet_expectations(twice) == ["2 steps instead of one"]
    low = replace(run, moments=[run.before], first_alarm=0)
    assert unmet_expectations(low) == ["voltage 0.9556 is not within 0.02 of the target"]


async def test_an_injection_without_a_load_is_told() -> None:
    run = replace(await met("base", "corrected"), injections=[Injection(0.0, "1", 3, 1.0, "tx")])
    assert unmet_expectations(run) == ["1 injections where none is needed"]


async def test_what_did_not_recover_is_told() -> None:
    clock, asked = FakeClock(), set_up(shipped(RECOVERY), Asked())
    runner = ScenarioRunner(
        asked.planner, asked.power_flow, dvs=dvs_client(World(SINGLE), None, clock), clock=clock, pace_s=0.05
    )
    await runner.prepare()
    run = await runner.run(asked.scenario)
    assert unmet_expectations(run) == []
    assert unmet_expectations(replace(run, injections=run.injections[:1])) == ["1 injections and 0 releases"]
    standing = replace(run, injected_pu=0.1, vvc_after=run.vvc_after - 0.1)
    assert unmet_expectations(standing) == ["0.1 p.u. still stand"]
    assert "from where it began" in unmet_expectations(replace(run, moments=run.moments[:5]))[0]
    assert unmet_expectations(replace(run, suspects=2)) == ["2 frames that contradict themselves"]


async def test_a_merge_too_many_and_lost_vvc_are_told() -> None:
    run = await met("starved", "corrected")
    assert unmet_expectations(replace(run, merges=["merged 1_2"])) == [
        "merges ['merged 1_2'] instead of one of 1 and 2, given back"
    ]
    lost = replace(run, vvc_after=run.vvc_after - 0.1)
    assert "p.u. injected" in unmet_expectations(lost)[0]

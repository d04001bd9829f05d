"""Every scenario on the contract in process: what the thesis printed, what the corrected profile promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridledger.errors import InputError, UnavailableError
from gridledger.grid.grouping import grouping_of
from gridledger.grid.layout import Layout
from gridledger.grid.planning import planner_for
from gridledger.grid.power_flow import Grid, PowerFlowDiverged
from gridledger.grid.records import Profile
from services.feeder.expectations import unmet_expectations
from services.feeder.scenario import Scenario
from services.feeder.scenario_runner import ScenarioRunner
from services.feeder.scenarios.shipped import RECOVERY, THESIS, scenario_for, shipped
from services.feeder.set_up import Asked, set_up
from tests.support.dvs_world import FakeClock, Life, World, conflict, dvs_client
from tests.support.feeder_world import SHARDED, SINGLE, scenario_runner
from tests.support.scenario_files import HEAD, scenario_file
from tests.support.solved_grid import base_state, planner, power_flow

PAIRS = [(name, profile) for name in THESIS for profile in shipped(name).form.profile]


def scenario(name: str, profile: Profile = "corrected") -> Scenario:
    """A scenario on case30."""
    return scenario_for(name, planner(profile), power_flow(), base_state())


TWO = Layout("mainchain", ("shard1", "shard2", "shard2"))


@pytest.mark.parametrize("layout", [SHARDED, SINGLE, TWO], ids=["three shards", "one channel", "two shards"])
async def test_all_scenarios_show_what_they_must_one_after_the_other(layout: Layout) -> None:
    world, clock = World(layout), FakeClock()
    for profile in ("published", "corrected"):
        running = scenario_runner(world, profile, clock=clock)  # type: ignore[arg-type]
        assert (await running.prepare())[0] == 0
        for name in THESIS:
            if (name, profile) in PAIRS:
                run = await running.run(scenario(name, profile))  # type: ignore[arg-type]
                assert unmet_expectations(run) == [], (name, profile)
                assert run.faults == []


@pytest.mark.parametrize(("name", "profile"), PAIRS)
async def test_a_scenario_does_not_need_those_before_it(name: str, profile: Profile) -> None:
    running = scenario_runner(World(SHARDED), profile)
    await running.prepare()
    assert unmet_expectations(await running.run(scenario(name, profile))) == []


@pytest.mark.parametrize("layout", [SHARDED, SINGLE], ids=["three shards", "one channel"])
async def test_the_recovery_gives_back_what_it_injected(layout: Layout) -> None:
    world, clock = World(layout), FakeClock()
    asked = set_up(shipped(RECOVERY), Asked())
    for times in (1, 2):
        running = ScenarioRunner(
            asked.planner, asked.power_flow, dvs=dvs_client(world, None, clock), clock=clock, pace_s=0.05
        )
        await running.prepare()
        run = await running.run(asked.scenario)
        assert unmet_expectations(run) == []
        assert [injection.q_mvar > 0.0 for injection in run.injections] == [True, False, False], times
        assert abs(run.vvc_after - run.vvc_before) <= 1e-12


async def test_a_start_forgets_what_stood_before() -> None:
    """The plant is reset: a phantom would be released where nothing is injected."""
    world, clock = World(SINGLE), FakeClock()
    asked = set_up(shipped(RECOVERY), Asked())
    running = ScenarioRunner(asked.planner, asked.power_flow, dvs=dvs_client(world, None, clock), clock=clock)
    await running.prepare()
    _, coordinator = await running.begin(asked.scenario)
    running.plant.set_loads({3: (52.8, 26.4)})
    await coordinator.round()
    assert world.main.call("GetResources", {"group": "1"})["standing"] != []
    await running.begin(asked.scenario)
    assert world.main.call("GetResources", {"group": "1"})["standing"] == []


@pytest.mark.parametrize("profile", ["published", "corrected"])
async def test_failures_that_pass_are_measured_again(profile: Profile) -> None:
    """Frames that met a concurrent transaction, and a peer that was away: one step more of measuring, no other end."""
    life = Life(faults={"ComputeVSI": [conflict(), UnavailableError("away")] * 3})
    life.faults["InitialGrouping"] = [UnavailableError("away")]
    life.faults["UpdateResources"] = [conflict()]
    running = scenario_runner(World(SHARDED), profile, life)
    await running.prepare()
    run = await running.run(scenario_for("1b", planner(profile), power_flow(), running.base))
    assert unmet_expectations(run) == []
    assert len(run.faults) == 6


async def test_a_sag_is_found_and_cured_in_both_profiles() -> None:
    for profile in ("published", "corrected"):
        running = scenario_runner(World(SINGLE), profile)  # type: ignore[arg-type]
        await running.prepare()
        run = await running.run(scenario_for("sag", running.planner, power_flow(), running.base))
        assert run.steps >= 1
        assert run.settled


async def test_several_buses_that_are_weak_at_once_are_each_helped() -> None:
    running = scenario_runner(World(SHARDED))
    await running.prepare()
    run = await running.run(scenario("several"))
    assert {injection.group for injection in run.injections} == {"1", "2", "3"}
    assert run.cured


async def test_a_storm_of_outage_ramp_and_noise_is_weathered() -> None:
    """Noise is drawn by number, so the same run comes out again, whatever was sent before."""
    found = []
    for _ in range(2):
        world = World(SHARDED)
        running = scenario_runner(world)
        await running.prepare()
        run = await running.run(scenario("storm"))
        assert run.cured
        assert run.faults == []
        assert [mark.kind for mark in run.marks if mark.kind != "stale"] == ["outage", "load", "restored"]
        found.append([(injection.bus, injection.q_mvar) for injection in run.injections])
    assert found[0] == found[1]
    assert found[0]


async def test_a_generator_at_its_limit_counts_as_a_load_bus(tmp_path: Path) -> None:
    text = HEAD + "enforce_q_limits: true\nevents:\n  - {at: 1, loads: {24: [40, 60]}}\n"
    made = set_up(scenario_file(tmp_path, text), Asked())
    world, clock = World(SINGLE), FakeClock()
    running = ScenarioRunner(made.planner, made.power_flow, dvs=dvs_client(world, None, clock), clock=clock)
    await running.prepare()
    run = await running.run(made.scenario)
    limits = [mark.text for mark in run.marks if mark.kind == "limit"]
    assert limits
    assert all("reaches a limit" in text or "holds its voltage again" in text for text in limits)
    # What the ledger holds at the end is the grid's topology.
    kinds = dict(zip(running.plant.case.numbers, running.plant.case.kind.tolist(), strict=True))
    for group in made.grouping:
        record = world.main.stored(f"group/{group}")
        assert {bus: kind == 1 for bus, kind in zip(record["dim"][: record["nm"]], record["kind"], strict=False)} == {
            bus: kinds[bus] == 1 for bus in record["dim"][: record["nm"]]
        }
    assert run.settled


@pytest.mark.parametrize(("name", "growth"), [("1a", 7.0), ("1b", 7.0), ("2", 5.4), ("3", 2.9), ("starved", 7.2)])
def test_a_load_can_still_grow_before_the_power_flow_ends(name: str, growth: float) -> None:
    """README and docs/feeder.md say how many times; power factor kept, nothing injected."""
    loads = scenario(name).loads
    solvable, unsolvable = 1.0, 20.0
    while unsolvable - solvable > 0.01:
        factor = (solvable + unsolvable) / 2.0
        grid = Grid(power_flow())
        grid.set_loads({bus: (p * factor, q * factor) for bus, (p, q) in loads.items()})
        try:
            grid.state()
            solvable = factor
        except PowerFlowDiverged:
            unsolvable = factor
    assert solvable == pytest.approx(growth, abs=0.05)


def test_scenarios_of_the_thesis_need_its_grid_and_profile() -> None:
    base = base_state()
    with pytest.raises(InputError, match="corrected only"):
        scenario_for("starved", planner("published"), power_flow(), base)
    with pytest.raises(InputError, match="no scenario '4'"):
        scenario_for("4", planner("published"), power_flow(), base)
    case57 = power_flow("case57")
    other = planner_for(case57.case, grouping_of(case57.case), "corrected", base_state("case57"))
    with pytest.raises(
        InputError, match=r"case57 with these groups has no scenario '1a'.*base and sag are for every case"
    ):
        scenario_for("1a", other, case57, base_state("case57"))

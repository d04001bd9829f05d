"""A feeder that was killed between the ledger's order and the plant: the next one and the ledger agree on the grid."""

from __future__ import annotations

from services.feeder.scenario_file.on_grid import planner_of
from services.feeder.scenario_runner import ScenarioRunner
from services.feeder.scenarios.shipped import scenario_for, shipped
from tests.support.dvs_world import FakeClock, World, dvs_client
from tests.support.feeder_world import SHARDED
from tests.support.solved_grid import base_state, planner, power_flow


async def test_an_order_that_nobody_carried_out_does_not_stand_in_the_next_run() -> None:
    """A plant is of one run: the next begins in the base case, with fresh lists and nothing standing on the ledger."""
    world, clock = World(SHARDED), FakeClock()
    made = planner_of(
        shipped("recovery"), planner("corrected").case, planner("corrected").grouping, "corrected", base_state()
    )
    scenario = scenario_for("recovery", made, power_flow(), base_state())

    def feeder() -> ScenarioRunner:
        return ScenarioRunner(made, power_flow(), dvs=dvs_client(world, None, clock), clock=clock)

    killed = feeder()
    await killed.prepare()
    await killed.begin(scenario)
    killed.plant.set_loads({3: (52.8, 26.4)})
    frame = killed.plant.frame("1", clock.now_us())
    result, _ = await dvs_client(world).compute_vsi("1", frame)
    assert result["outcome"] == "injected"
    ordered = world.channel_of("1").call("GetResources", {"group": "1"})
    assert [entry["bus"] for entry in ordered["standing"]] == [3]

    clock.us = frame["time"]
    next_one = feeder()
    await next_one.prepare()
    _, coordinator = await next_one.begin(scenario)
    found = world.channel_of("1").call("GetResources", {"group": "1"})
    assert (found["standing"], next_one.plant.standing) == ([], {})
    assert found["actions"] == next_one.plant.applied("1") == 1
    assert sum(found["vvc"].values()) == sum(ordered["vvc"].values()) + result["control"]["q_pu"]
    assert {answer.outcome for answer in await coordinator.round()} == {"normal"}

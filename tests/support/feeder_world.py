"""The feeder's logic on case30 and the real contract, in process."""

from __future__ import annotations

from gridledger.grid.layout import Layout
from gridledger.grid.plant import Plant
from gridledger.grid.power_flow import Grid
from gridledger.grid.records import Profile
from services.feeder.coordinator import Coordinator
from services.feeder.record_submitter import RecordSubmitter
from services.feeder.scenario_runner import ScenarioRunner
from tests.support.dvs_channel import full_list
from tests.support.dvs_world import FakeClock, Life, World, dvs_client
from tests.support.solved_grid import planner, power_flow

SHARDED = Layout("mainchain", ("shard1", "shard2", "shard3"))
SINGLE = Layout("grid", ("grid",))
GROUPS = ("1", "2", "3")


def plant() -> Plant:
    """case30 in its base state."""
    return Plant(Grid(power_flow()), planner("corrected").area)


def new_coordinator(world: World, grid: Plant, clock: FakeClock, life: Life | None = None) -> Coordinator:
    """An aggregator's process that knows nothing yet; the plant is the physical one."""
    dvs = dvs_client(world, life, clock)
    records = RecordSubmitter(planner("corrected"), dvs, clock)
    return Coordinator(GROUPS, plant=grid, records=records, dvs=dvs, clock=clock)


async def planned_world(layout: Layout, without: tuple[str, ...] = ()) -> tuple[World, Plant, FakeClock]:
    """Records and lists (none of power for ``without``) on the ledger, the grid in its base state."""
    world, grid, clock = World(layout), plant(), FakeClock()
    await new_coordinator(world, grid, clock).records.submit_all(grid.state())
    for group in GROUPS:
        vvc = full_list(planner("corrected").area(group).load_buses, 0.0 if group in without else 1.5)
        await dvs_client(world).submit(group, "UpdateResources", vvc=vvc)
    return world, grid, clock


def scenario_runner(
    world: World, profile: Profile = "corrected", life: Life | None = None, clock: FakeClock | None = None
) -> ScenarioRunner:
    """A runner on case30."""
    clock = clock or FakeClock()
    return ScenarioRunner(planner(profile), power_flow(), dvs=dvs_client(world, life, clock), clock=clock)

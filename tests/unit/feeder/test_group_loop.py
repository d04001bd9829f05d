"""One group's loop: what each outcome makes it do, and what it does when an answer gets lost."""

from __future__ import annotations

from gridledger.errors import TimeoutExceeded
from gridledger.grid.plant import Plant
from services.feeder.coordinator import Coordinator
from services.feeder.group_loop import FAILED
from tests.support.dvs_world import FakeClock, Life, World, conflict, dvs_client
from tests.support.feeder_world import SHARDED, new_coordinator, planned_world, plant

SAG = {3: (52.8, 26.4)}
TURNED = {14: (24.8, 6.4)}


async def ready(life: Life | None = None) -> tuple[World, Coordinator, Plant]:
    """Records and full lists on the ledger, the grid in its base state, and a process that lives as told."""
    world, grid, clock = await planned_world(SHARDED)
    return world, new_coordinator(world, grid, clock, life), grid


async def outcomes(coordinator: Coordinator, group: str, count: int) -> list[str]:
    """Outcomes of the next frames."""
    return [(await coordinator.loop(group).measure()).outcome for _ in range(count)]


async def test_an_injection_is_carried_out_before_the_next_frame() -> None:
    _, coordinator, grid = await ready()
    assert await outcomes(coordinator, "1", 1) == ["normal"]
    grid.set_loads(SAG)
    low = grid.grid.voltage(3)
    assert await outcomes(coordinator, "1", 2) == ["injected", "normal"]
    assert grid.applied("1") == 1
    assert grid.grid.voltage(3) > low + 0.02


async def test_turned_power_makes_new_records_on_all_their_channels() -> None:
    world, coordinator, grid = await ready()
    grid.set_loads(TURNED)
    assert await outcomes(coordinator, "1", 2) == ["stale", "normal"]
    renewed = [entry[0] for entry in world.log[-3:-1]]
    assert sorted(renewed) == ["mainchain", "shard1"]


async def test_a_lost_answer_is_fetched_and_carried_out_once() -> None:
    life = Life(lost={"ComputeVSI": [TimeoutExceeded("no answer")]})
    _, coordinator, grid = await ready(life)
    grid.start_counting("1", 0)
    grid.set_loads(SAG)
    assert await outcomes(coordinator, "1", 3) == [FAILED, "pending", "normal"]
    assert grid.applied("1") == 1


async def test_an_action_of_another_aggregator_is_carried_out() -> None:
    """The first one dies between the ledger's answer and the actuator."""
    world, coordinator, grid = await ready()
    await coordinator.loop("1").start_counting()
    grid.set_loads(SAG)
    frame = grid.frame("1", FakeClock().now_us())
    await dvs_client(world).compute_vsi("1", frame)
    second = new_coordinator(world, grid, FakeClock(frame["time"]))
    assert await outcomes(second, "1", 2) == ["pending", "normal"]
    assert grid.applied("1") == 1


async def test_a_conflict_writes_nothing_and_is_measured_again() -> None:
    life = Life(faults={"ComputeVSI": [conflict()]})
    _, coordinator, grid = await ready(life)
    grid.start_counting("1", 0)
    answer = await coordinator.loop("1").measure()
    assert (answer.outcome, answer.fault, answer.result) == (FAILED, "MVCC_READ_CONFLICT", None)
    assert await outcomes(coordinator, "1", 1) == ["normal"]


async def test_an_aggregator_that_comes_late_counts_from_the_ledger() -> None:
    """Actions of days ago are in the grid as it is found; they are not carried out again."""
    world, coordinator, grid = await ready()
    grid.set_loads(SAG)
    await outcomes(coordinator, "1", 2)
    later = plant()
    second = new_coordinator(world, later, FakeClock(FakeClock().now_us() + 10_000_000))
    assert await outcomes(second, "1", 1) == ["normal"]
    assert later.applied("1") == 1
    assert later.grid.voltage(3) == plant().grid.voltage(3)

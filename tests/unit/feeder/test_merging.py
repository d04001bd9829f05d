"""Merges driven by the feeder: aggregators that die after any step, others with the same certificates that finish."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridledger.errors import GridLedgerError, TimeoutExceeded, UnavailableError
from gridledger.grid.case import load_case
from gridledger.grid.grouping import grouping_of
from gridledger.grid.layout import Layout
from gridledger.grid.planning import planner_for
from gridledger.grid.plant import Plant
from gridledger.grid.power_flow import Grid, PowerFlow
from services.feeder.coordinator import Coordinator
from services.feeder.scenario_runner import MAX_ROUNDS, ScenarioRunner
from tests.support.dvs_world import Died, FakeClock, Life, World, conflict, dvs_client
from tests.support.feeder_world import GROUPS, SHARDED, SINGLE, new_coordinator, planned_world
from tests.support.solved_grid import planner

STARVED = {3: (51.6, 25.8)}
EXACT = 1e-9
MERGE_STEPS = ("GlobalController", "Lend", "Adopt", "Split", "Restore", "Close")


async def starved(layout: Layout, empty: tuple[str, ...] = ("1",)) -> tuple[World, Plant, FakeClock, float]:
    """Records, lists (none for ``empty``), a load that they cannot bear; and the sum of VVC."""
    world, grid, clock = await planned_world(layout, without=empty)
    grid.set_loads(STARVED)
    return world, grid, clock, world.owned()


def injected(world: World) -> float:
    """What the ledger ordered, p.u."""
    return sum(p["control"]["q_pu"] for _, name, p in world.log if name == "ComputeVSI" and p["control"] is not None)


async def settle(coordinator: Coordinator) -> None:
    """Until nothing more is to do."""
    for _ in range(MAX_ROUNDS):
        if coordinator.settled(await coordinator.round()):
            return
    raise AssertionError(f"not settled after {MAX_ROUNDS} rounds")


def check_end(world: World, grid: Plant, before: float) -> None:
    """All lists back, nothing lost, what was ordered is in the grid, once."""
    for group in GROUPS:
        assert world.channel_of(group).stored(f"vvc/{group}")["lent"] is None
    assert world.unclosed_merges() == {}
    assert world.owned() + injected(world) == pytest.approx(before, abs=EXACT)
    in_grid = (sum(planner("corrected").case.qd) + 25.8 - 1.2 - sum(grid.state().qd)) / 100.0
    assert injected(world) == pytest.approx(in_grid, abs=EXACT)
    assert grid.grid.voltage(3) == pytest.approx(0.97974, abs=2e-2)


@pytest.mark.parametrize("layout", [SHARDED, SINGLE], ids=["three shards", "one channel"])
async def test_starved_group_borrows_and_gives_back(layout: Layout) -> None:
    world, grid, clock, before = await starved(layout)
    await settle(new_coordinator(world, grid, clock))
    check_end(world, grid, before)
    # On one channel the planner's and the aggregators' steps stand on the same chain; the order is the protocol's.
    steps = [name for _, name, _ in world.log if name in MERGE_STEPS]
    assert steps == ["GlobalController", *["Lend", "Adopt"] * 2, "Split", *["Restore", "Close"] * 2]


@pytest.mark.parametrize(("layout", "merges"), [(SHARDED, ["1_2", "1_2_3"]), (SINGLE, ["1_3"])])
async def test_neighbour_without_power(layout: Layout, merges: list[str]) -> None:
    """A main channel of its own does not know the list of group 2: it merges, escalates again, and takes in group 3."""
    world, grid, clock, before = await starved(layout, ("1", "2"))
    await settle(new_coordinator(world, grid, clock))
    assert [p["group"] for _, name, p in world.log if name == "GlobalController"] == merges
    assert world.owned() + injected(world) == pytest.approx(before, abs=EXACT)
    assert world.unclosed_merges() == {}


@pytest.mark.parametrize("layout", [SHARDED, SINGLE], ids=["three shards", "one channel"])
async def test_a_merge_is_finished_before_another_case_comes(layout: Layout) -> None:
    """The lists that were lent name buses that the other case's groups lack."""
    died = 0
    for died_after in range(1, 12):
        world, grid, clock, _ = await starved(layout)
        with suppress(Died):
            await settle(new_coordinator(world, grid, clock, Life(die_after=died_after)))
        died += bool(world.unclosed_merges())
        case = load_case("case57")
        flow = PowerFlow(case)
        other = planner_for(case, grouping_of(case, 3), "corrected", Grid(flow).state())
        await ScenarioRunner(other, flow, dvs=dvs_client(world, None, clock), clock=clock).prepare()
        assert world.unclosed_merges() == {}
    assert died > 3


@pytest.mark.parametrize("layout", [SHARDED, SINGLE], ids=["three shards", "one channel"])
async def test_nobody_can_help(layout: Layout) -> None:
    """All lists empty: everything is given back, and for this load nobody asks again."""
    world, grid, clock, before = await starved(layout, GROUPS)
    coordinator = new_coordinator(world, grid, clock)
    await settle(coordinator)
    asked = [name for _, name, _ in world.log].count("GlobalController")
    await settle(coordinator)
    assert [name for _, name, _ in world.log].count("GlobalController") == asked
    assert before == world.owned() == 0.0
    grid.set_loads(STARVED)
    await settle(coordinator)
    assert [name for _, name, _ in world.log].count("GlobalController") > asked


async def steps_of_a_life(layout: Layout) -> int:
    """Transactions from the first alarm until everything is given back."""
    world, grid, clock, _ = await starved(layout)
    life = Life()
    await settle(new_coordinator(world, grid, clock, life))
    return life.submitted


@pytest.mark.parametrize("deaf", [False, True], ids=["after the answer", "before the answer"])
@pytest.mark.parametrize("layout", [SHARDED, SINGLE], ids=["three shards", "one channel"])
async def test_another_aggregator_finishes_after_the_death_at_any_step(layout: Layout, deaf: bool) -> None:
    for died_after in range(1, await steps_of_a_life(layout)):
        world, grid, clock, before = await starved(layout)
        with pytest.raises(Died):
            await settle(new_coordinator(world, grid, clock, Life(die_after=died_after, deaf=deaf)))
        assert world.owned() + injected(world) == pytest.approx(before, abs=EXACT)
        await settle(new_coordinator(world, grid, clock))
        check_end(world, grid, before)


@settings(max_examples=25, deadline=None)
@given(deaths=st.lists(st.tuples(st.integers(1, 24), st.booleans()), max_size=4), single=st.booleans())
async def test_any_number_of_deaths(deaths: list[tuple[int, bool]], single: bool) -> None:
    """Each takes over from the one before and dies, too, whether or not it heard of its last step; the last lives."""
    world, grid, clock, before = await starved(SINGLE if single else SHARDED)
    for died_after, deaf in deaths:
        with suppress(Died):
            await settle(new_coordinator(world, grid, clock, Life(die_after=died_after, deaf=deaf)))
        assert world.owned() + injected(world) == pytest.approx(before, abs=EXACT)
    await settle(new_coordinator(world, grid, clock))
    check_end(world, grid, before)


@settings(max_examples=25, deadline=None)
@given(
    function=st.sampled_from(MERGE_STEPS),
    error=st.sampled_from([conflict(), UnavailableError("away"), TimeoutExceeded("no answer")]),
    lost=st.booleans(),
    single=st.booleans(),
)
async def test_steps_that_fail_or_whose_answers_get_lost_are_repeated(
    function: str, error: GridLedgerError, lost: bool, single: bool
) -> None:
    world, grid, clock, before = await starved(SINGLE if single else SHARDED)
    life = Life(**{"lost" if lost else "faults": {function: [error, error]}})  # type: ignore[arg-type]
    await settle(new_coordinator(world, grid, clock, life))
    check_end(world, grid, before)


async def test_two_that_finish_at_once() -> None:
    """The other one adopts in between: what is refused is asked anew, and both end well."""
    world, grid, clock, before = await starved(SHARDED)
    first = new_coordinator(world, grid, clock)
    merge = await first.merger.begin("1")
    second = new_coordinator(world, grid, clock)
    open_merge = await second.merger.gather(merge)
    assert open_merge.status == "open"
    assert (await first.merger.finish("1")) is not None
    assert (await second.merger.finish("2")) is None
    await settle(first)
    check_end(world, grid, before)

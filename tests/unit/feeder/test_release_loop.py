"""Release under loads that do not rest: cycles, random runs, merges that are held, aggregators that change."""

from __future__ import annotations

import pytest

from gridledger.errors import TimeoutExceeded
from tests.support.dvs_world import Life
from tests.support.release_world import HOLD_S, INTERVAL_S, ReleaseWorld, random_run, release_planner

CONSERVED = 1e-12
LOAD_1A = {3: (52.8, 26.4)}
STARVED = {3: (51.6, 25.8)}
LONGEST_WAIT_HERE_S = 70.0
SPLIT_FOR_A_THIRD = {22}
QUICK_SEEDS, SEEDS_IN_ALL = 4, 28
SEEDS = [pytest.param(seed, marks=[pytest.mark.long] if seed >= QUICK_SEEDS else []) for seed in range(SEEDS_IN_ALL)]


async def cycled(run: ReleaseWorld, loads: dict[int, tuple[float, float]], frames: int, rounds: int) -> None:
    """A load that comes and goes every so many frames, then stays away until nothing is ordered for long."""
    await run.start()
    for number in range(rounds):
        if number % (2 * frames) == 0:
            run.set_loads(loads)
        elif number % frames == 0:
            run.restore_loads(tuple(loads))
        await run.round()
    run.restore_loads(tuple(loads))
    await run.until_quiet(LONGEST_WAIT_HERE_S)


@pytest.mark.parametrize("rounds", [200, pytest.param(400, marks=pytest.mark.long)])
@pytest.mark.parametrize(("name", "frames"), [("1a", 2), ("1a", 5), ("1a", 30), ("3", 5), ("3", 30), ("starved", 30)])
async def test_a_load_that_cycles_makes_at_most_one_release_a_hold(name: str, frames: int, rounds: int) -> None:
    loads = {"1a": LOAD_1A, "3": {30: (17.4, 13.4)}, "starved": STARVED}[name]
    run = ReleaseWorld(release_planner("case30"), empty=("1",) if name == "starved" else ())
    await cycled(run, loads, frames, rounds)
    assert len(run.releases) >= 3
    assert run.shortest_pause() >= HOLD_S - 1e-9
    assert len(run.releases) <= rounds * INTERVAL_S / HOLD_S + LONGEST_WAIT_HERE_S / HOLD_S
    assert run.alarms_after_releases()[0] == []
    assert run.standing() == 0.0
    assert run.deviation() == 0.0
    assert run.check_conserved() <= CONSERVED


@pytest.mark.parametrize("seed", SEEDS)
async def test_no_limit_cycle_lasts_in_a_random_run(seed: int) -> None:
    """Quiet comes under unchanged load, and again when the loads are the base case's; then nothing stands.

    Only what was borrowed in a merge that was split for a third group does, until both are merged again.
    """
    run = await random_run(seed)
    stuck = [entry for group in run.groups for entry in (await run.resources(group))["standing"]]
    home = {bus: group for group, members in run.planner.grouping.items() for bus in members}
    assert all(home[entry["bus"]] != home[entry["weak"]] for entry in stuck)
    assert bool(stuck) == (seed in SPLIT_FOR_A_THIRD)
    assert run.standing() == pytest.approx(sum(entry["q_pu"] for entry in stuck), abs=CONSERVED)
    assert stuck or run.deviation() <= 1e-9
    assert run.check_conserved() <= CONSERVED
    assert run.shortest_pause() >= HOLD_S - 1e-9
    assert run.alarms_after_releases()[0] == []
    assert run.lowest_after_release >= 0.0


async def held(empty: tuple[str, ...] = ("1",)) -> ReleaseWorld:
    """A merge of groups 1 and 2 that is held while the load of starved stands."""
    run = ReleaseWorld(release_planner("case30"), empty=empty)
    await run.start()
    run.set_loads(STARVED)
    await run.rounds(8)
    assert run.merges == ["merged 1_2"]
    assert run.outcomes["held"] >= 3
    return run


async def test_a_held_merge_is_settled_and_kept() -> None:
    run = await held()
    answers = await run.round()
    assert run.coordinator.settled(answers)
    await run.rounds(30)
    assert run.merges == ["merged 1_2"]
    assert run.coordinator.measured == ("1_2", "3")


async def test_a_merge_that_borrowed_is_kept_where_its_voltage_suffices() -> None:
    """It alarms, and its weak bus has its voltage: without ``release`` that ends a merge."""
    run = await held()
    run.set_loads({15: (40.0, 15.0)})
    await run.rounds(6)
    assert run.outcomes["voltage_ok"] >= 3
    assert run.merges == ["merged 1_2"]


async def test_a_held_merge_is_split_for_a_third_group_that_finds_none() -> None:
    """What it borrowed stands on until a merge holds both buses again."""
    run = await held(empty=("1", "3"))
    run.set_loads({19: (60.0, 22.0)})
    await run.rounds(6)
    assert run.merges == ["merged 1_2", "returned 1_2", "merged 2_3"]
    run.restore_loads((3, 19))
    await run.until_quiet()
    assert run.merges[-1] == "returned 2_3"
    borrowed = sum(action.q_pu for action in run.actions if action.group == "1_2")
    assert run.standing() == pytest.approx(borrowed, abs=CONSERVED)
    left = await run.resources("2")
    assert {entry["by"] for entry in left["standing"]} == {"1_2"}
    await run.coordinator.merge_by_hand("1")
    await run.until_quiet()
    assert run.standing() == 0.0
    assert run.check_conserved() <= CONSERVED


async def test_another_aggregator_goes_on_with_a_held_merge() -> None:
    run = await held()
    run.coordinator = run.new_coordinator()
    await run.rounds(3)
    assert run.coordinator.measured == ("1_2", "3")
    assert run.merges == ["merged 1_2"]
    run.restore_loads((3,))
    await run.until_quiet()
    assert run.merges == ["merged 1_2", "returned 1_2"]
    assert run.standing() == 0.0


async def test_a_start_of_a_scenario_ends_held_merges_too() -> None:
    run = await held()
    assert await run.new_coordinator().recover() == 1
    assert run.world.unclosed_merges() == {}


async def test_a_lost_release_is_carried_out_by_the_next_frame() -> None:
    run = ReleaseWorld(release_planner("case30"))
    await run.start()
    run.set_loads(LOAD_1A)
    await run.rounds(3)
    run.restore_loads((3,))
    stood = run.standing()
    life = Life(lost={"ComputeVSI": [TimeoutExceeded("no answer") for _ in range(90)]})
    run.coordinator, run.tolerant = run.new_coordinator(life), True
    while (await run.resources("1"))["actions"] == 1:
        await run.round()
    assert run.standing() == stood
    life.lost.clear()
    outcomes = [answer.outcome for answers in await run.rounds(2) for answer in answers if answer.group == "1"]
    assert outcomes == ["pending", "normal"]
    assert run.plant.applied("1") == 2
    assert 0.0 < run.standing() < stood

"""The injections of the thesis's scenarios, the loop closed by hand: measure, compute, inject, measure again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from gridledger.grid.power_flow import Grid
from gridledger.grid.records import PROFILES, Profile
from tests.acceptance.case30 import Case30Channel, grid_in, published
from tests.support.solved_grid import power_flow

MAX_STEPS = 50
SCENARIO_3 = {30: (17.4, 13.4)}
STARVED = {3: (51.6, 25.8)}


@dataclass
class Run:
    """What one loop did: the controls in order, and the last answer."""

    controls: list[dict[str, Any]]
    answer: dict[str, Any]

    @property
    def injections(self) -> list[tuple[int, float]]:
        return [(control["source_bus"], control["q_mvar"]) for control in self.controls]


def close_the_loop(channel: Case30Channel, grid: Grid, group: str, resources: dict[str, float]) -> Run:
    """Until the group answers something other than an injection."""
    channel.plan(grid.state(), group)
    channel.call("UpdateResources", {"group": group, "vvc": resources})
    controls: list[dict[str, Any]] = []
    for _ in range(MAX_STEPS):
        answer = channel.vsi(group, grid.state())
        if answer["outcome"] == "stale":
            channel.plan(grid.state(), group)
        elif answer["outcome"] == "injected":
            controls.append(answer["control"])
            grid.inject(answer["control"]["source_bus"], answer["control"]["q_mvar"])
        else:
            return Run(controls, answer)
    raise AssertionError(f"no end after {MAX_STEPS} steps")


def _grid(scenario: str) -> tuple[Grid, str, int, dict[str, float]]:
    """Grid, group, weak bus and what of the resources is missing, of a scenario of the thesis."""
    if scenario == "3":
        grid = Grid(power_flow())
        grid.set_loads(SCENARIO_3)
        return grid, "2", 30, {}
    if scenario == "2":
        return grid_in("s2_before"), "3", 14, {"bus_14": 0.0}
    return grid_in("s1_before"), "1", 3, {} if scenario == "1a" else {"bus_3": 0.0}


def test_three_injections_are_published() -> None:
    assert len(published()["injections"]) == 3


@pytest.mark.parametrize("number", range(3))
def test_first_injections_as_printed(number: int) -> None:
    wanted = published()["injections"][number]
    channel = Case30Channel("published")
    grid = grid_in(wanted["state"])
    group = str(wanted["group"])
    channel.plan(grid.state(), group)
    channel.call("UpdateResources", {"group": group, "vvc": wanted["vvc_available_pu"]})
    control = channel.vsi(group, grid.state())["control"]
    assert (control["weak_bus"], control["source_bus"]) == (wanted["weak_bus"], wanted["source_bus"])
    tolerance = 5e-8 if number == 0 else 1e-9
    assert abs(control["q_mvar"] - wanted["Q_MVAr"]) <= tolerance
    assert abs(control["sensitivity"] - wanted["sensitivity_computed"]) <= 1e-9


@pytest.mark.parametrize(("scenario", "bus", "steps"), [("1a", 3, 1), ("1b", 4, 2), ("2", 15, 3), ("3", 30, 1)])
def test_published_profile_takes_the_thesis_steps(scenario: str, bus: int, steps: int) -> None:
    grid, group, _, missing = _grid(scenario)
    channel = Case30Channel("published")
    run = close_the_loop(channel, grid, group, channel.full_resources(group, **missing))
    assert [source for source, _ in run.injections] == [bus] * steps
    assert run.answer["outcome"] == "normal"
    assert run.answer["alarm"] is False


@pytest.mark.parametrize("scenario", ["1a", "1b", "2", "3"])
def test_corrected_profile_cures_in_one_step(scenario: str) -> None:
    grid, group, weak_bus, missing = _grid(scenario)
    channel = Case30Channel("corrected")
    run = close_the_loop(channel, grid, group, channel.full_resources(group, **missing))
    assert len(run.injections) == 1
    assert run.controls[0]["weak_bus"] == weak_bus
    assert run.answer["outcome"] == "normal"
    assert abs(grid.voltage(weak_bus) - 0.98) <= 0.02


@pytest.mark.parametrize("profile", PROFILES)
def test_the_base_state_is_silent(profile: Profile) -> None:
    grid = grid_in("base")
    for group in ("1", "2", "3"):
        channel = Case30Channel(profile)
        assert close_the_loop(channel, grid, group, channel.full_resources(group)).injections == []


def test_a_record_of_another_flow_direction_is_stale() -> None:
    """In s2_before branch 4-12 has turned against base: records of base are stale for groups 1 and 3."""
    channel = Case30Channel("corrected")
    channel.plan(grid_in("base").state(), "1", "2", "3")
    outcomes = {group: channel.vsi(group, grid_in("s2_before").state())["outcome"] for group in ("1", "2", "3")}
    assert outcomes["1"] == outcomes["3"] == "stale"


def test_starved_borrows_and_gives_back() -> None:
    """Specification section 7: g1 escalates, merges with g2, one injection at bus 6, normal, everything given back."""
    channel = Case30Channel("corrected")
    grid = Grid(power_flow())
    grid.set_loads(STARVED)
    channel.plan(grid.state(), "1", "2", "3", "1_2", "1_3", "2_3", "1_2_3")
    before = 0.0
    for group, amount in (("1", 0.0), ("2", 1.5), ("3", 1.5)):
        vvc = channel.full_resources(group, amount)
        channel.call("UpdateResources", {"group": group, "vvc": vvc})
        before += sum(vvc.values())
    first = channel.vsi("1", grid.state())
    assert (first["outcome"], first["weak_bus"]) == ("escalate", 3)
    assert first["vsi"][0]["vsi"] == pytest.approx(0.8757, abs=5e-5)
    assert grid.voltage(3) == pytest.approx(0.95629, abs=5e-6)

    merge = channel.call("GlobalController", {"group": "1"})
    assert (merge["merge"], merge["group"], merge["status"]) == (1, "1_2", "gathering")
    for group in ("1", "2"):
        lent = channel.call("Lend", {"group": group, "merge": 1})
        merge = channel.call("Adopt", {**lent, "channel": "grid", "tx_id": f"lend-{group}"})
    assert merge["status"] == "open"

    control = channel.vsi("1_2", grid.state())["control"]
    assert (control["weak_bus"], control["source_bus"]) == (3, 6)
    assert control["q_mvar"] == pytest.approx(94.116, abs=5e-4)
    grid.inject(control["source_bus"], control["q_mvar"])
    channel.plan(grid.state(), "1", "2", "3")
    second = channel.vsi("1_2", grid.state())
    assert second["outcome"] == "normal"
    assert {row["bus"]: row["vsi"] for row in second["vsi"]}[3] == pytest.approx(0.8813, abs=5e-5)
    assert grid.voltage(3) == pytest.approx(0.97974, abs=5e-6)

    split = channel.call("Split", {"merge": 1})
    assert split["status"] == "returning"
    for group in ("1", "2"):
        channel.call("Restore", {"group": group, "merge": 1, "vvc": split["vvc"][group]})
        merge = channel.call("Close", {"merge": 1, "group": group, "tx_id": f"restore-{group}"})
    assert merge["status"] == "closed"
    left = sum(sum(channel.vvc(group).values()) for group in ("1", "2", "3"))
    assert left + control["q_pu"] == pytest.approx(before, abs=1e-12)
    assert channel.vsi("1", grid.state())["outcome"] == "normal"

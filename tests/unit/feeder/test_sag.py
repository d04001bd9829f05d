"""The sag: the load that is found, on grids that hold their voltage while they alarm as well."""

from __future__ import annotations

from functools import cache

import pytest

from gridledger.errors import InputError
from gridledger.grid.case import load_case
from gridledger.grid.grouping import grouping_of
from gridledger.grid.planning import planner_for
from gridledger.grid.power_flow import Grid, PowerFlow
from gridledger.grid.records import Planner, Profile
from gridledger.grid.stability import vsi_of
from services.feeder import sag as module
from services.feeder.sag import sag
from tests.support.case_files import case_file


@cache
def grid(name: str) -> tuple[PowerFlow, Grid]:
    """A case of tests/data/cases and its solver."""
    power_flow = PowerFlow(load_case(case_file(name)))
    return power_flow, Grid(power_flow)


def planner(name: str, profile: Profile) -> Planner:
    """Its automatic groups."""
    power_flow, base = grid(name)
    return planner_for(power_flow.case, grouping_of(power_flow.case), profile, base.state())


def home(ours: Planner, bus: int) -> str:
    """The group of a bus."""
    return next(group for group, members in ours.grouping.items() if bus in members)


def only(bus: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have only one load tried."""
    monkeypatch.setattr(module, "_by_margin", lambda ours, _base: [(bus, home(ours, bus))])


@pytest.mark.parametrize(("profile", "bus"), [("corrected", 9), ("published", 10)])
def test_a_load_is_raised_past_its_alarm_until_its_voltage_is_low(
    profile: Profile, bus: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On case14 every load that is raised by itself alarms while its voltage is above 0.975."""
    only(bus, monkeypatch)
    power_flow, calm = grid("case14")
    ours = planner("case14", profile)
    ((found, load),) = sag(ours, power_flow, calm.state()).items()
    raised = Grid(power_flow)
    raised.set_loads({bus: load})
    indices = vsi_of(ours, home(ours, bus), raised.state())
    assert found == bus == min(indices, key=lambda other: indices[other])
    assert indices[bus] < ours.thresholds[home(ours, bus)]
    assert raised.voltage(bus) < 0.975


def test_where_no_load_gets_so_far_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    only(9, monkeypatch)
    power_flow, calm = grid("case14")
    ours = planner("case14", "corrected")
    silent = Planner(ours.case, ours.grouping, "corrected", dict.fromkeys(ours.grouping, 0.0))
    with pytest.raises(InputError) as refused:
        sag(silent, power_flow, calm.state(), 2)
    told = refused.value.message
    assert told.startswith("case14 has no load that can be raised alone until its group alarms")
    for part in ("below 0.975 p.u.", "1 were tried", "v_required", "{at: 15, loads: {BUS: [MW, MVAr], ...}}"):
        assert part in told
    with pytest.raises(InputError, match="9 groups are asked for, and case14 has 3"):
        sag(ours, power_flow, calm.state(), 9)

"""The solved grid, records and frames against the published tables and the specification's examples."""

from __future__ import annotations

from typing import Any

import pandapower
import pandapower.networks
import pytest

from gridledger.grid.case import load_case
from gridledger.grid.frames import FrameMaker
from gridledger.grid.power_flow import Grid
from gridledger.grid.records import PROFILES, Profile
from tests.acceptance.case30 import grid_in, published
from tests.support.dvs_channel import example
from tests.support.solved_grid import planner, power_flow

STATES = ("base", "s1_before", "s2_before")
VM_TOLERANCE, VA_TOLERANCE = 6e-11, 6e-10
PRINTED_VOLTAGES = 179
MATPOWER_VOLTAGES = {
    "case57": {18: 1.0006592328, 25: 0.9825207769, 31: 0.9359324505, 33: 0.9475806485, 53: 0.9709455151},
    "case118": {5: 1.0019846369, 38: 0.9612857335, 68: 1.0032494204, 81: 0.9968066401, 95: 0.9803318730},
    "case300": {2040: 0.9694848735, 9033: 0.9287992618, 9042: 0.9502668087, 526: 0.9428728915, 120: 0.9584373237},
}


@pytest.mark.parametrize("state", STATES)
def test_bus_tables_are_met_to_the_last_printed_digit(state: str) -> None:
    grid = grid_in(state)
    solved = grid.state()
    compared = 0
    for row in published()["states"][state]["buses"]:
        index = grid.index(row["bus"])
        wanted = (
            (row["Vm"], solved.vm[index], VM_TOLERANCE),
            (row["Va"], solved.va[index], VA_TOLERANCE),
            (row["Pd"], solved.pd[index], 0.0),
            (row["Qd"], solved.qd[index], 0.0),
        )
        for printed, got, tolerance in wanted:
            if printed is not None:
                compared += 1
                assert abs(printed - got) <= tolerance, (row["bus"], printed, got)
    blanks = sum(value is None for row in published()["states"][state]["buses"] for value in row.values())
    assert compared == 4 * 30 - blanks
    assert solved.iterations == 3


def test_the_tables_counted() -> None:
    """What published.json holds, so that no test above or below passes by finding nothing to compare."""
    states = published()["states"]
    assert tuple(states) == STATES
    printed = [row[name] for s in states.values() for row in s["buses"] for name in ("Vm", "Va")]
    assert len([value for value in printed if value is not None]) == PRINTED_VOLTAGES
    assert len(printed) == 180


def test_the_solver_and_the_case_are_pandapowers() -> None:
    net = pandapower.networks.case30()
    pandapower.runpp(net, init="flat", tolerance_mva=1e-6, numba=False, lightsim2grid=False)
    solved = Grid(power_flow()).state()
    assert abs(net.res_bus.vm_pu.to_numpy() - solved.vm).max() < 1e-13
    assert abs(net.res_bus.va_degree.to_numpy() - solved.va).max() < 1e-12
    flows = net.res_line[["p_from_mw", "q_from_mvar", "p_to_mw", "q_to_mvar"]].to_numpy()
    assert abs(flows - solved.flows).max() < 1e-11


def _differences(got: Any, wanted: Any, path: str = "") -> float:
    """Largest difference of two JSON values' binary64 numbers; all else must be equal."""
    if isinstance(wanted, dict):
        assert list(got) == list(wanted), path
        return max((_differences(got[key], wanted[key], f"{path}.{key}") for key in wanted), default=0.0)
    if isinstance(wanted, list):
        assert len(got) == len(wanted), path
        pairs = enumerate(zip(got, wanted, strict=True))
        return max((_differences(a, b, f"{path}[{i}]") for i, (a, b) in pairs), default=0.0)
    if isinstance(wanted, float):
        assert isinstance(got, float), path
        return abs(got - wanted)
    assert got == wanted, (path, got, wanted)
    assert type(got) is type(wanted), path
    return 0.0


@pytest.mark.parametrize("profile", PROFILES)
def test_the_record_of_group_1_is_the_example(profile: Profile) -> None:
    record = planner(profile).record("1", grid_in("base").state())
    wanted = example(f"record-1-{profile}")
    assert _differences(record, wanted) < 1e-15
    # Y, A, PI and all that is counted agree to the bit; an inverse differs by its libraries' last bit.
    assert {**record, "Zth": None} == {**wanted, "Zth": None}


@pytest.mark.parametrize(("state", "time_us"), [("base", 1767225600000000), ("s1_before", 1767225601000000)])
def test_the_frame_of_group_1_is_the_example(state: str, time_us: int) -> None:
    frame = FrameMaker(planner("corrected").area("1")).frame(grid_in(state).state(), time_us)
    # Same iterate, other linear algebra: the last bits of a solved state depend on it, and on the processor's type.
    assert _differences(frame, example(f"frame-1-{state}")) < 1e-11


@pytest.mark.parametrize(
    ("case", "buses", "branches"), [("case57", 57, 80), ("case118", 118, 186), ("case300", 300, 411)]
)
def test_the_other_cases_are_matpowers(case: str, buses: int, branches: int) -> None:
    """Against the voltages that MATPOWER's runpf gives (computed from its case files with an independent Newton)."""
    data = load_case(case)
    assert (len(data.numbers), len(data.branches)) == (buses, branches)
    grid = Grid(power_flow(case))
    for bus, vm in MATPOWER_VOLTAGES[case].items():
        assert abs(grid.voltage(bus) - vm) < 1e-9, (bus, grid.voltage(bus))

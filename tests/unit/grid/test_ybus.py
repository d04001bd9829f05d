"""Admittances against the solver: with them the voltages of a solved state give its flows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gridledger.grid.case import CASE_NAMES, Case, load_case
from gridledger.grid.power_flow import PowerFlow
from gridledger.grid.ybus import branch_admittances, bus_admittance
from tests.support.case_files import case_file


def with_phase_shifters() -> Case:
    """case57 with its transformers shifting by 5 degrees: no shipped case has a phase shifter."""
    case = load_case("case57")
    return replace(case, branches=replace(case.branches, shift=np.where(case.branches.tap != 1.0, 5.0, 0.0)))


CASES = [*map(load_case, CASE_NAMES), with_phase_shifters()]
IDS = [*CASE_NAMES, "phase shifters"]


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_branch_admittances_give_the_solved_flows(case: Case) -> None:
    """Taps, charging and parallel branches included."""
    state = PowerFlow(case).solve(case.pd, case.qd)
    own = branch_admittances(case)
    voltage = state.vm * np.exp(1j * np.deg2rad(state.va))
    v_f, v_t = voltage[case.branches.f], voltage[case.branches.t]
    at_f = v_f * np.conj(own.ff * v_f + own.ft * v_t) * case.base_mva
    at_t = v_t * np.conj(own.tf * v_f + own.tt * v_t) * case.base_mva
    flows = np.stack([at_f.real, at_f.imag, at_t.real, at_t.imag], axis=1)
    assert np.abs(flows - state.flows).max() < 1e-8


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_row_sums_to_the_shunts_at_its_bus(case: Case) -> None:
    """At equal voltages a plain series branch carries nothing: charging, taps, shifts and bus shunts are left."""
    own = branch_admittances(case)
    rest = (case.gs + 1j * case.bs) / case.base_mva
    np.add.at(rest, case.branches.f, own.ff + own.ft)
    np.add.at(rest, case.branches.t, own.tf + own.tt)
    assert np.abs(bus_admittance(case).sum(axis=1) - rest).max() < 1e-12


def test_the_ybus_of_9241_buses_is_sparse() -> None:
    case = load_case(case_file("case9241pegase"))
    ybus = bus_admittance(case)
    assert ybus.shape == (9241, 9241)
    assert ybus.nnz <= 9241 + 2 * len(case.branches)
    voltage = case.vm0 * np.exp(1j * np.deg2rad(case.va0))
    # The file's voltages have 7 digits: at its load buses the power that Ybus gives is the demand, to a few MW.
    off = voltage * np.conj(ybus @ voltage) * case.base_mva + case.pd + 1j * case.qd
    assert np.median(np.abs(off[case.kind == 1])) < 0.1

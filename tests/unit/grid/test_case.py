"""What a case answers: branches by their ends, itself without branches or with load buses, and its digest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gridledger.errors import InputError
from gridledger.grid.case import CASE_NAMES, PQ, load_case
from gridledger.grid.power_flow import PowerFlow
from tests.support.dvs_grid import CASE as FOUR_GROUPS


def test_a_branch_is_found_from_either_end() -> None:
    case = load_case("case30")
    assert case.ends(case.branch(4, 12)) == (4, 12)
    assert case.branch(12, 4) == case.branch(4, 12)


def test_parallel_branches_are_counted_in_case_order() -> None:
    first, second = FOUR_GROUPS.branch(3, 4), FOUR_GROUPS.branch(4, 3, 2)
    assert (first, second) == (3, 4)
    with pytest.raises(InputError, match="has 2 in parallel between 3 and 4, no branch number 3"):
        FOUR_GROUPS.branch(3, 4, 3)


def test_a_branch_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(InputError, match="no branch 3-30: bus 3 is joined to 1, 4"):
        load_case("case30").branch(3, 30)
    with pytest.raises(InputError, match="case30 has no bus 31"):
        load_case("case30").branch(3, 31)


def test_a_case_without_a_branch_keeps_all_others_in_order() -> None:
    case = load_case("case30")
    gone = case.branch(4, 12)
    less = case.without_branches([gone])
    rest = [case.ends(branch) for branch in range(len(case.branches)) if branch != gone]
    assert [less.ends(branch) for branch in range(len(less.branches))] == rest
    assert len(case.branches) == len(less.branches) + 1
    assert PowerFlow(less).solve(less.pd, less.qd).iterations > 0


def test_a_bus_is_never_cut_off() -> None:
    case = load_case("case30")
    with pytest.raises(InputError, match="without 9-11 no branch joins bus 11 to the reference bus 1"):
        case.without_branches([case.branch(9, 11)])
    with pytest.raises(InputError, match="without 1-2, 1-3 no branch joins bus 2, 3, 4, 5, 6 and 24 more to"):
        case.without_branches([case.branch(1, 2), case.branch(1, 3)])
    with pytest.raises(InputError, match="no branch at position 41"):
        case.without_branches([41])


def test_a_generator_bus_becomes_a_load_bus() -> None:
    case = load_case("case30")
    limited = case.with_load_buses([13, 22])
    assert [limited.kind[limited.position[bus]] for bus in (13, 22)] == [PQ, PQ]
    assert limited.generator_buses == (1, 2, 23, 27)
    assert {limited.numbers[position] for position in limited.generators.bus} == {1, 2, 23, 27}
    assert case.generator_buses == (1, 2, 13, 22, 23, 27)


@pytest.mark.parametrize("bus", [1, 3])
def test_only_a_generator_bus_can_become_a_load_bus(bus: int) -> None:
    with pytest.raises(InputError, match=f"bus {bus} of case30 is no generator bus that could become a load bus"):
        load_case("case30").with_load_buses([bus])


def test_built_in_cases_have_limits_and_voltages() -> None:
    """MATPOWER's case30: the generator at bus 1 within -20 and 150 MVAr, all buses at 135 kV."""
    case = load_case("case30")
    assert (case.generators.qmin[0], case.generators.qmax[0]) == (-20.0, 150.0)
    assert set(case.base_kv.tolist()) == {135.0}
    assert load_case("case57").vm0[30] == 0.936


def test_limits_and_base_voltages_may_be_missing() -> None:
    assert set(FOUR_GROUPS.generators.qmin.tolist()) == {-np.inf}
    assert set(FOUR_GROUPS.generators.qmax.tolist()) == {np.inf}
    assert set(FOUR_GROUPS.base_kv.tolist()) == {0.0}


def test_a_digest_tells_grids_apart_and_no_names() -> None:
    case = load_case("case30")
    digests = {load_case(name).digest for name in CASE_NAMES}
    assert len(digests) == len(CASE_NAMES)
    assert replace(case, name="mine", coordinates=case.coordinates + 1.0).digest == case.digest
    others = [
        case.without_branches([0]),
        case.with_load_buses([13]),
        replace(case, pd=case.pd + 1e-9),
        replace(case, base_kv=case.base_kv * 2.0),
        replace(case, generators=replace(case.generators, qmax=case.generators.qmax * 2.0)),
    ]
    assert len({other.digest for other in (case, *others)}) == 1 + len(others)


def test_the_digest_of_case30_stays() -> None:
    assert load_case("case30").digest.startswith("424120e8b3b78bee")

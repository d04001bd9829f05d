"""Gains of sources at a weak bus: what the estimate of all at once says, and what is left to one solution each."""

# The names are the specification's.
# ruff: noqa: N806

from __future__ import annotations

from math import isfinite
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincode.dvs.arithmetic import Elimination
from chaincode.dvs.control import LEAST_GAIN, local_controller
from chaincode.dvs.grouping import LOAD
from chaincode.dvs.response import VoltageResponse
from chaincode.dvs.vsi import Bus

Head = dict[str, Any]
Entries = list[list[Any]]


def chain(lines: list[float]) -> tuple[Head, Entries, dict[int, Bus]]:
    """Load buses 1, 2, ... in a row, each with a way to ground; ``lines``: susceptances between neighbours, p.u."""
    size = len(lines) + 1
    Y: Entries = [[n, n, 0.0, -(5.0 + sum(lines[max(0, n - 1) : n + 1]))] for n in range(size)]
    for n, b in enumerate(lines):
        Y += [[n, n + 1, 0.0, b], [n + 1, n, 0.0, b]]
    dim = list(range(1, size + 1))
    head: Head = {
        "dim": dim,
        "nm": size,
        "kind": [LOAD] * size,
        "base": 100.0,
        "v_required": 0.98,
        "profile": "corrected",
    }
    return head, Y, {bus: (0.0, 2.0, 1.0 - bus / 100, -0.1 * bus) for bus in dim}


@given(st.lists(st.floats(1e-9, 50.0), min_size=1, max_size=9), st.data())
def test_no_source_is_passed_over_that_the_exact_solution_would_take(lines: list[float], data: st.DataObject) -> None:
    head, Y, buses = chain(lines)
    buses[1] = (0.0, data.draw(st.floats(-1e4, 1e4)), 0.9, 0.0)  # near singular, too
    response = VoltageResponse(head, Y, buses)
    for weak in head["dim"]:
        for source in head["dim"]:
            gains = response.to(source)
            if response.surely_below(LEAST_GAIN, source, weak):
                assert gains is not None
                assert isfinite(gains[weak])
                assert gains[weak] < LEAST_GAIN


def test_sources_out_of_reach_cost_no_solution_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line of the chain divides the gain by ten and more; forty buses behind the fourth line do not count."""
    head, Y, buses = chain([0.5] * 43)
    solved = []
    solve = Elimination.solve

    def counted(self: Elimination, right: list[float]) -> list[float]:
        solved.append(right.index(1.0) + 1)
        return solve(self, right)

    monkeypatch.setattr(Elimination, "solve", counted)
    matrices = {"Y": Y, "PI": [[n, n + 1, 0.5] for n in range(43)]}
    buses[1] = (80.0, 60.0, 0.9, 0.0)
    assert local_controller(head, matrices, buses, 1, {bus: 1.0 for bus in head["dim"] if bus > 6}) is None
    assert solved == []
    found = local_controller(head, matrices, buses, 1, {bus: 1.0 for bus in head["dim"] if bus > 1})
    assert found is not None
    assert (found.source, solved) == (2, [2])

"""What an operator is warned of when a planner's records have ``release``."""

from __future__ import annotations

import pytest

from gridledger.grid.grouping import CASE30_GROUPS
from gridledger.grid.planning import CASE30_THRESHOLDS, warnings_of
from gridledger.grid.records import Planner
from gridledger.grid.rules import Release, release_warnings
from tests.support.solved_grid import base_state, planner


@pytest.mark.parametrize(
    ("rule", "distance", "words"),
    [
        (Release(v_max=1.05), 0.05, []),
        (Release(v_max=0.98), 0.05, ["above v_max"]),
        (Release(v_max=1.05, margin=0.06), 0.05, ["nothing is ever released"]),
        (Release(v_max=0.98, margin=0.05), 0.05, ["above v_max", "nothing is ever released"]),
    ],
)
def test_what_is_unwise_is_told(rule: Release, distance: float, words: list[str]) -> None:
    found = release_warnings(rule, planner("corrected").area("2"), base_state(), distance)
    assert len(found) == len(words)
    for told, word in zip(found, words, strict=True):
        assert word in told
        assert "group 2" in told


@pytest.mark.parametrize(("margin", "warned"), [(0.02, 0), (0.055, 1), (0.2, 3)])
def test_a_margin_that_no_group_keeps_is_told_of_each(margin: float, warned: int) -> None:
    """In the base case the groups are 0.109, 0.059 and 0.050 above their thresholds."""
    plan = Planner(planner("corrected").case, CASE30_GROUPS, "corrected", CASE30_THRESHOLDS["corrected"])
    assert warnings_of(plan, base_state()) == []
    plan.release = Release(v_max=1.05, margin=margin)
    assert len(warnings_of(plan, base_state())) == warned

"""What an operator is warned of when a planner's records have ``release``."""

from __future__ import annotations

import pytest

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

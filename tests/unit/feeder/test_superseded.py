"""Which conflicts of frames are explained by a change that was made while they were on their way."""

from __future__ import annotations

import pytest

from services.feeder.group_loop import ESCALATE, INJECTED, LENT, NORMAL, STALE, FrameAnswer
from services.feeder.superseded import Changes
from tests.support.solved_grid import base_state, power_flow


def changes(outcome: str, group: str = "1") -> Changes:
    """One change, made between 10 and 12 s."""
    found = Changes()
    found.add(FrameAnswer(group, 0, outcome, "tx", None, base_state(), power_flow().case, 0.0), 10.0, 12.0)
    return found


@pytest.mark.parametrize(
    ("begin_s", "end_s", "met"), [(9.0, 9.9, False), (9.0, 10.1, True), (11.0, 11.1, True), (12.1, 13.0, False)]
)
def test_a_frame_meets_a_change_that_it_overlaps(begin_s: float, end_s: float, met: bool) -> None:
    assert changes(INJECTED).met("1", begin_s, end_s) is met


@pytest.mark.parametrize(
    ("outcome", "group", "met"),
    [
        (INJECTED, "1", True),
        (INJECTED, "2", False),
        (INJECTED, "1_2", True),
        (STALE, "1", True),
        (STALE, "2", False),
        (ESCALATE, "2", True),
        (LENT, "3", True),
        (NORMAL, "1", False),
    ],
)
def test_a_merge_concerns_every_group_and_an_injection_its_own(outcome: str, group: str, met: bool) -> None:
    assert changes(outcome).met(group, 11.0, 11.1) is met

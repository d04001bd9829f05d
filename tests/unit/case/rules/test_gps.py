"""The rule about GPS spoofing points to the batches that its phasors came in."""

from __future__ import annotations

import numpy as np
import pytest

from services.case.rules.catalogue import examine
from services.case.rules.gps import Measured, gps_rule
from tests.support.phasor_day import BEGIN_US, grid, steady, turned
from tests.support.told_rows import batch


def test_the_batches_of_the_wrong_clock_are_pointed_to() -> None:
    phasors = turned(steady(120, seed=9), "pmu-15", np.where(np.arange(120) >= 70, 50.0, 0.0))
    rows = [batch(pmu, begin, 60, {}) for pmu in ("pmu-15", "pmu-16") for begin in (0, 60)]
    assert rows[0].said_us == BEGIN_US
    examined = examine(rows, more=[gps_rule(Measured(grid()[2], phasors, 50.0))])
    (found,) = [each for each in examined.findings if each.rule == "gps-spoofing"]
    assert found.subject == {"device": "pmu-15"}
    assert [pointer.tx_id for pointer in found.rows] == [rows[1].tx_id]
    assert found.details["clock_us"] == pytest.approx(50.0, abs=10.0)
    assert "us ahead" in found.text


def test_without_phasors_the_rule_says_that_it_was_not_applied() -> None:
    assert "gps-spoofing" in examine([]).not_applied
    assert examine([], more=[gps_rule(Measured(grid()[2], steady(5), 50.0))]).findings == ()

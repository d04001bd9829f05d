"""Alignment: instants by their time, a wait window, and what was late, missing, bad or off counted by PMU."""

from __future__ import annotations

import math

import pytest

from gridledger.field.c37118 import Stat
from services.feeder.pmu.alignment import MAX_OFF_US, Alignment, Reading
from services.feeder.pmu.phasors import Quantity

V1, V2 = Quantity("voltage", 1), Quantity("voltage", 2)
WAIT = 60_000
T0 = 1_700_000_000_000_000


def one(value: complex = 1 + 1j, word: int = 0) -> Reading:
    """What PMU one sent."""
    return Reading("one", Stat(word), {V1: value})


def two() -> Reading:
    """What PMU two sent."""
    return Reading("two", Stat(0), {V2: 2 + 2j})


def test_an_instant_is_whole_when_all_pmus_are_there() -> None:
    alignment = Alignment(["one", "two"], wait_us=WAIT)
    alignment.add(T0, [one()], T0)
    assert alignment.newest(frozenset((V1, V2)), -1) is None
    alignment.add(T0, [two()], T0 + WAIT - 1)
    found = alignment.newest(frozenset((V1, V2)), -1)
    assert found is not None
    assert found.phasors == {V1: 1 + 1j, V2: 2 + 2j}
    assert alignment.newest(frozenset((V1, V2)), T0) is None
    assert alignment.expire(T0 + 10 * WAIT) == 0
    assert alignment.counts() == {}


def test_a_group_does_not_wait_for_pmus_of_others() -> None:
    alignment = Alignment(["one", "two"], wait_us=WAIT)
    alignment.add(T0, [one()], T0)
    assert alignment.newest(frozenset((V1,)), -1) is not None


def test_what_comes_after_the_wait_is_late_and_fills_nothing() -> None:
    alignment = Alignment(["one", "two"], wait_us=WAIT)
    alignment.add(T0, [one()], T0)
    assert alignment.expire(T0 + WAIT - 1) == 0
    assert alignment.expire(T0 + WAIT) == 1
    assert alignment.add(T0, [two()], T0 + WAIT) is None
    assert alignment.newest(frozenset((V1, V2)), -1) is None
    assert alignment.counts() == {"two": {"late": 1, "missing": 1, "bad": 0, "off": 0}}


@pytest.mark.parametrize(
    "reading", [one(word=0x4000), one(word=0x8000), one(word=0x2000), one(word=0x1000), one(complex(math.nan, 0))]
)
def test_what_is_not_good_is_bad_and_not_used(reading: Reading) -> None:
    alignment = Alignment(["one"], wait_us=WAIT)
    alignment.add(T0, [reading], T0)
    assert alignment.newest(frozenset((V1,)), -1) is None
    assert alignment.bad == {"one": 1}
    assert not alignment.missing


def test_a_trigger_and_a_change_of_configuration_are_good() -> None:
    alignment = Alignment(["one"], wait_us=WAIT)
    alignment.add(T0, [one(word=0x0C00)], T0)
    assert alignment.newest(frozenset((V1,)), -1) is not None


def test_a_clock_that_is_far_off_takes_no_room() -> None:
    alignment = Alignment(["one"], wait_us=WAIT)
    for time in (T0 + MAX_OFF_US + 1, T0 - MAX_OFF_US - 1):
        assert alignment.add(time, [one()], T0) is None
    assert alignment.off == {"one": 2}


def test_the_instants_that_are_kept_are_bounded() -> None:
    alignment = Alignment(["one", "two"], wait_us=WAIT, max_instants=4)
    for number in range(10):
        alignment.add(T0 + number, [one()], T0)
    assert alignment.missing == {"two": 6}
    assert alignment.add(T0, [two()], T0) is None
    assert alignment.late == {"two": 1}
    newest = alignment.newest(frozenset((V1,)), -1)
    assert newest is not None
    assert newest.time_us == T0 + 9

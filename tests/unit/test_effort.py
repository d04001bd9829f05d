"""Effort: who sends what cannot be read pays with time, and nobody else."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridledger.effort import Effort
from gridledger.errors import BusyError, InputError

ALICE, BOB, CAROL = ("Org1MSP", "alice"), ("Org1MSP", "bob"), ("Org2MSP", "carol")


class Clock:
    """Time as the test says."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def refused(effort: Effort, caller: tuple[str, str]) -> bool:
    try:
        effort.check(caller)
    except BusyError:
        return True
    return False


def test_who_owes_is_refused_until_it_is_paid() -> None:
    clock = Clock()
    effort = Effort(part=0.25, burst_s=0.25, clock=clock)
    effort.charge(ALICE, 1.25)
    assert [refused(effort, caller) for caller in (ALICE, BOB, CAROL)] == [True, False, False]
    with pytest.raises(BusyError) as caught:
        effort.check(ALICE)
    assert caught.value.retry_after_s == pytest.approx(4.0)
    clock.now += 3.9
    assert refused(effort, ALICE)
    clock.now += 0.2
    assert not refused(effort, ALICE)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from((ALICE, BOB, CAROL)), st.floats(0.001, 1.4)), min_size=1, max_size=60))
def test_all_debtors_together_get_no_more_than_their_part(work: list[tuple[tuple[str, str], float]]) -> None:
    """Each sends again as soon as it may, for a minute: no more is done for them than is paid, and their bursts."""
    clock = Clock()
    effort = Effort(part=0.25, burst_s=0.25, clock=clock)
    done = 0.0
    for turn in range(1000):
        clock.now += 0.06
        caller, seconds = work[turn % len(work)]
        if not refused(effort, caller):
            done += seconds
            effort.charge(caller, seconds)
    assert done <= 0.25 * clock.now + 3 * (0.25 + 1.4) + 0.01


def test_only_work_that_came_to_nothing_is_charged() -> None:
    clock = Clock()
    effort = Effort(burst_s=0.0, clock=clock)
    with effort.spent_by(ALICE):
        clock.now += 0.04
    assert not refused(effort, ALICE)

    def unreadable() -> None:
        clock.now += 0.04
        raise InputError("unreadable")

    with pytest.raises(InputError), effort.spent_by(ALICE):
        unreadable()
    assert refused(effort, ALICE)
    with pytest.raises(BusyError), effort.spent_by(ALICE):
        raise AssertionError("nothing is done for who owes")


def test_debtors_are_bounded() -> None:
    effort = Effort(clock=Clock())
    for number in range(5000):
        effort.charge(("Org1MSP", f"{number}"), 1.0)
    assert sum(map(len, effort._debts.values())) <= 1024


async def test_large_work_is_done_in_a_thread_and_timed_there() -> None:
    effort = Effort(burst_s=0.0, clock=Clock())

    def unreadable(size: int) -> None:
        sum(range(size))
        raise InputError(threading.current_thread().name)

    assert await effort.in_thread(ALICE, str, 7) == "7"
    assert not refused(effort, ALICE)
    with pytest.raises(InputError) as caught:
        await effort.in_thread(ALICE, unreadable, 2_000_000)
    assert caught.value.message != threading.main_thread().name
    with pytest.raises(BusyError):
        await effort.in_thread(ALICE, str, 7)

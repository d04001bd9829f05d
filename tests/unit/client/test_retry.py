"""Attempts of one call: how many, how long, and the pauses between them."""

from __future__ import annotations

from random import Random

import pytest

from gridledger.client.retry import NO_RETRY, Attempts, Retry
from gridledger.errors import BusyError, SettingsError


class Clock:
    """Stands until it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def attempts(retry: Retry, clock: Clock | None = None) -> Attempts:
    return Attempts(retry, clock or Clock(), Random(1))


def busy(retry_after_s: float = 0.0) -> BusyError:
    return BusyError("full", retry_after_s=retry_after_s)


def test_there_are_as_many_attempts_as_were_asked_for() -> None:
    made = attempts(Retry(attempts=3))
    assert [made.after_busy(busy()) is None, made.after_conflict() is None] == [False, False]
    assert made.after_busy(busy()) is made.after_conflict() is None
    assert attempts(NO_RETRY).after_busy(busy()) is attempts(NO_RETRY).after_conflict() is None


def test_pauses_double_at_random_up_to_the_longest() -> None:
    retry = Retry(attempts=100, total_s=1e9, first_pause_s=0.1, longest_pause_s=0.8)
    pauses = [attempts(retry).after_conflict() for _ in range(2)]
    assert pauses[0] == pauses[1]
    made = attempts(retry)
    for longest in (0.1, 0.2, 0.4, 0.8, 0.8):
        pause = made.after_conflict()
        assert pause is not None
        assert longest / 2 <= pause <= longest


def test_a_gateways_retry_after_is_waited_for_and_more() -> None:
    pause = attempts(Retry(first_pause_s=0.1, longest_pause_s=0.1)).after_busy(busy(2.0))
    assert pause is not None
    assert 2.05 <= pause <= 2.1


def test_no_attempt_begins_after_the_total_time() -> None:
    clock = Clock()
    made = attempts(Retry(attempts=100, total_s=5, first_pause_s=0.1, longest_pause_s=0.1), clock)
    assert made.after_busy(busy(4.8)) is not None
    assert made.after_busy(busy(5.0)) is None
    clock.now = 4.99
    assert made.after_conflict() is None


def test_conflicts_and_busy_gateways_are_chosen_apart() -> None:
    assert attempts(Retry(conflicts=False)).after_conflict() is None
    assert attempts(Retry(conflicts=False)).after_busy(busy()) is not None
    assert attempts(Retry(busy=False)).after_busy(busy()) is None


@pytest.mark.parametrize(
    "members", [{"attempts": 0}, {"total_s": -1.0}, {"first_pause_s": -1.0}, {"first_pause_s": 3.0}]
)
def test_a_retry_that_cannot_be_followed_is_refused(members: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match="cannot be followed"):
        Retry(**members)  # type: ignore[arg-type]

"""Early refusal: by the expected wait, never on a calm network, and over as soon as the network is faster."""

from __future__ import annotations

import pytest

from services.peer.gateway.admission import ALWAYS, Admission, Passage


class Clock:
    """Time as the test says."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def admission(clock: Clock) -> Admission:
    return Admission(1.0, clock=clock)


def offer(
    admission: Admission,
    clock: Clock,
    *,
    offered: float,
    capacity: float,
    seconds: float,
    queue: list[tuple[float, Passage]] | None = None,
) -> tuple[int, int, float]:
    """An open loop of submissions to a network with this capacity (both a second): committed, refused, and the longest
    wait of one that was committed. ``queue`` is what is under way before, and after."""
    queue = [] if queue is None else queue
    committed = refused = 0
    longest, due, room = 0.0, 0.0, 0.0
    step = 0.01
    for _ in range(round(seconds / step)):
        clock.now += step
        due += offered * step
        while due >= 1:
            due -= 1
            passage = admission.to_endorse(1)
            passage.close()
            if not passage.admitted:
                refused += 1
                continue
            passage = admission.to_submit(1)
            assert passage.admitted
            queue.append((clock.now, passage))
        room = min(room + capacity * step, capacity * step + 1) if not queue else room + capacity * step
        while queue and room >= 1:
            room -= 1
            begun, passage = queue.pop(0)
            passage.leave(committed=True)
            committed += 1
            longest = max(longest, clock.now - begun)
    return committed, refused, longest


def test_nothing_is_refused_below_capacity(admission: Admission, clock: Clock) -> None:
    _, refused, longest = offer(admission, clock, offered=150, capacity=200, seconds=20)
    assert refused == 0
    assert longest < 0.1


@pytest.mark.parametrize("factor", [1.3, 2.0, 10.0])
def test_past_capacity_it_goes_on_at_capacity_and_no_admitted_one_waits_long(
    admission: Admission, clock: Clock, factor: float
) -> None:
    committed, refused, longest = offer(admission, clock, offered=200 * factor, capacity=200, seconds=20)
    assert committed > 0.98 * 200 * 20
    assert refused > 0.8 * (factor - 1) * 200 * 20 - 1000
    assert longest < 5.5
    _, _, longest = offer(admission, clock, offered=200 * factor, capacity=200, seconds=20)
    assert longest < 1.5


def test_a_burst_on_a_calm_network_is_taken(admission: Admission, clock: Clock) -> None:
    offer(admission, clock, offered=10, capacity=500, seconds=20)
    assert admission.to_endorse(300).admitted == 300


def test_a_network_that_has_stood_still_is_used_again(admission: Admission, clock: Clock) -> None:
    under_way: list[tuple[float, Passage]] = []
    offer(admission, clock, offered=400, capacity=0.001, seconds=10, queue=under_way)
    assert admission.to_endorse(1).admitted == 0
    offer(admission, clock, offered=400, capacity=400, seconds=5, queue=under_way)
    committed, _, _ = offer(admission, clock, offered=400, capacity=400, seconds=5, queue=under_way)
    assert committed > 0.95 * 400 * 5


def test_the_refusal_says_when_to_come_again(admission: Admission, clock: Clock) -> None:
    offer(admission, clock, offered=400, capacity=100, seconds=10)
    busy = admission.busy()
    assert 0.1 <= busy.retry_after_s <= 5.0
    assert "would wait" in busy.message


def test_a_batch_is_admitted_in_part_and_the_count_comes_back(admission: Admission, clock: Clock) -> None:
    clock.now += 1
    admission.rate = 1.0
    passage = admission.to_endorse(ALWAYS + 10)
    assert passage.admitted == ALWAYS
    assert admission.to_endorse(1).admitted == 0
    passage.leave()
    assert admission.to_endorse(2).admitted == 1
    passage.close()
    passage.close()
    passage.leave()
    assert admission.endorsing == 1
    # What is endorsed already is refused later than what is not.
    assert admission.to_submit(ALWAYS + 10).admitted == ALWAYS + 10
    assert admission.to_endorse(1).admitted == 0

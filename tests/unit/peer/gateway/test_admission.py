"""Early refusal: by the expected wait, never on a calm network, and over as soon as the network is faster."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack

import pytest

from gridledger.errors import BusyError
from services.peer.gateway.admission import ALWAYS, Admission

CLIENT, OTHER = ("Org1MSP", "client"), ("Org1MSP", "other")


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


def admitted(one: AbstractContextManager[None]) -> ExitStack | None:
    """The way in for one, to be closed when it is answered; None where it is refused."""
    stack = ExitStack()
    try:
        stack.enter_context(one)
    except BusyError:
        return None
    return stack


Queue = list[tuple[float, ExitStack]]


def offer(
    admission: Admission,
    clock: Clock,
    *,
    offered: float,
    capacity: float,
    seconds: float,
    queue: Queue | None = None,
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
            endorsing = admitted(admission.endorsing(CLIENT))
            if endorsing is None:
                refused += 1
                continue
            endorsing.close()
            submitting = admitted(admission.submitting(CLIENT))
            assert submitting is not None
            queue.append((clock.now, submitting))
        room = min(room + capacity * step, capacity * step + 1) if not queue else room + capacity * step
        while queue and room >= 1:
            room -= 1
            begun, submitting = queue.pop(0)
            submitting.close()
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
    assert sum(admitted(admission.endorsing(CLIENT)) is not None for _ in range(300)) == 300


def test_a_network_that_has_stood_still_is_used_again(admission: Admission, clock: Clock) -> None:
    under_way: Queue = []
    offer(admission, clock, offered=400, capacity=0.001, seconds=10, queue=under_way)
    assert admitted(admission.endorsing(CLIENT)) is None
    offer(admission, clock, offered=400, capacity=400, seconds=5, queue=under_way)
    committed, _, _ = offer(admission, clock, offered=400, capacity=400, seconds=5, queue=under_way)
    assert committed > 0.95 * 400 * 5


def test_the_refusal_says_when_to_come_again(admission: Admission, clock: Clock) -> None:
    offer(admission, clock, offered=400, capacity=100, seconds=10)
    inside = []
    while (one := admitted(admission.endorsing(CLIENT))) is not None:
        inside.append(one)
    with pytest.raises(BusyError, match="would wait") as caught, admission.endorsing(CLIENT):
        pass
    assert 0.1 <= caught.value.retry_after_s <= 5.0


def test_as_many_as_leave_may_come_in(admission: Admission, clock: Clock) -> None:
    clock.now += 1
    admission.rate = 1.0
    inside = [admitted(admission.endorsing(CLIENT)) for _ in range(ALWAYS)]
    assert None not in inside
    assert admitted(admission.endorsing(CLIENT)) is None
    first = inside.pop()
    assert first is not None
    first.close()
    assert admission.under_way == ALWAYS - 1
    inside.append(admitted(admission.endorsing(CLIENT)))
    assert None not in inside
    # What is endorsed already is refused later than what is not.
    submitting = [admitted(admission.submitting(CLIENT)) for _ in range(2 * ALWAYS)]
    assert None not in submitting
    assert admitted(admission.submitting(CLIENT)) is None
    assert admitted(admission.endorsing(CLIENT)) is None


def test_what_fails_counts_as_no_commit(admission: Admission) -> None:
    with pytest.raises(RuntimeError), admission.submitting(CLIENT):
        raise RuntimeError
    with admission.submitting(CLIENT):
        pass
    assert (admission.submitting_now, admission._committed) == (0, 1)


def test_one_client_fills_the_gateway_and_others_come_in(admission: Admission) -> None:
    admission.rate = 1.0
    endorsing = [admitted(admission.endorsing(CLIENT)) for _ in range(300)]
    assert sum(one is not None for one in endorsing) == ALWAYS
    submitting = [admitted(admission.submitting(CLIENT)) for _ in range(300)]
    assert sum(one is not None for one in submitting) == 2 * ALWAYS
    for _ in range(100):
        with admission.endorsing(OTHER):
            pass
        with admission.submitting(OTHER):
            pass


def test_what_was_ordered_only_is_counted_and_is_no_commit(admission: Admission) -> None:
    admission.rate = 1.0
    inside = [admitted(admission.submitting(CLIENT, until_commit=False)) for _ in range(400)]
    assert sum(one is not None for one in inside) == 2 * ALWAYS
    for one in inside:
        if one is not None:
            one.close()
    assert admission.submitting_now == 0
    assert admission._committed == 0
    with admission.endorsing(CLIENT):
        pass


def test_places_beyond_the_wait_are_given_back_first(admission: Admission) -> None:
    """So proposals are refused until the gateway is back within the wait."""
    admission.rate = 1.0
    inside = [admitted(admission.submitting(CLIENT)) for _ in range(2 * ALWAYS)]
    for one in inside[:ALWAYS]:
        assert one is not None
        one.close()
    assert admitted(admission.endorsing(CLIENT)) is None
    assert inside[-1] is not None
    inside[-1].close()
    assert admitted(admission.endorsing(CLIENT)) is not None

"""The queue to the orderers: batches clock themselves, leaders are followed, nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import pytest

from gridledger import framing, jsontext
from gridledger.errors import (
    BusyError,
    GridLedgerError,
    InputError,
    PermissionDeniedError,
    TimeoutExceeded,
    UnavailableError,
)
from services.peer.gateway.ordering_queue import OrderersUnavailable, OrderingQueue, QueuedEnvelope
from services.peer.settings import OrderingLimits

ACK = {"status": 200}
Answer = Callable[[list[bytes]], list[dict[str, Any]]]


def acknowledge(envelopes: list[bytes]) -> list[dict[str, Any]]:
    return [ACK] * len(envelopes)


class Orderers:
    """Three orderers that answer as the test says, and remember what they got."""

    def __init__(self) -> None:
        self.names = ["o1", "o2", "o3"]
        self.calls: list[tuple[str, list[bytes]]] = []
        self.questions: list[str] = []
        """Who was asked whether it leads."""
        self.answers: dict[str, Answer] = {}
        self.gate: asyncio.Event | None = None
        self.called = asyncio.Event()

    async def send(self, orderer: str, body: bytes, timeout_s: float) -> bytes:
        envelopes = framing.unpack(body, max_frames=500)
        if envelopes:
            self.calls.append((orderer, envelopes))
        else:
            self.questions.append(orderer)
        self.called.set()
        if self.gate is not None:
            await self.gate.wait()
        else:
            await asyncio.sleep(0)
        answer = self.answers.get(orderer, acknowledge)
        return jsontext.dumps({"results": answer(envelopes)})


def fail(error: GridLedgerError) -> Answer:
    def answer(_: list[bytes]) -> list[dict[str, Any]]:
        raise error

    return answer


def refuse(code: str) -> Answer:
    return lambda envelopes: [{"status": 409, "code": code, "message": "no"}] * len(envelopes)


def not_leader(leader: str | None) -> Answer:
    return fail(UnavailableError("not the leader", code="NOT_LEADER", status=421, leader=leader))


def queue_of(orderers: Orderers, clock: Callable[[], float] | None = None, **limits: Any) -> OrderingQueue:
    settings = OrderingLimits(**{"backoff_initial_s": 0.001, "backoff_max_s": 0.002, "timeout_s": 5.0} | limits)

    def names() -> Sequence[str]:
        return orderers.names

    clock = clock or asyncio.get_running_loop().time
    return OrderingQueue("c", names, orderers.send, settings, clock=clock, random=Random(1))


@pytest.fixture
def orderers() -> Orderers:
    return Orderers()


async def test_batch_fills_while_one_is_under_way(orderers: Orderers) -> None:
    orderers.gate = asyncio.Event()
    queue = queue_of(orderers, max_in_flight=1)
    first = queue.add("t0", b"e0")
    await orderers.called.wait()
    rest = [queue.add(f"t{n}", f"e{n}".encode()) for n in range(1, 6)]
    orderers.gate.set()
    await asyncio.gather(first.ordered, *(pending.ordered for pending in rest))
    assert [len(envelopes) for _, envelopes in orderers.calls] == [1, 5]
    assert not queue._senders or all(task.done() for task in queue._senders)


async def test_batches_are_bounded_in_count_and_bytes(orderers: Orderers) -> None:
    queue = queue_of(orderers, max_batch=3, max_batch_bytes=10, max_in_flight=1)
    pendings = [queue.add(str(n), b"12345") for n in range(5)]
    await asyncio.gather(*(pending.ordered for pending in pendings))
    assert [len(envelopes) for _, envelopes in orderers.calls] == [2, 2, 1]


async def test_leader_is_followed_and_remembered(orderers: Orderers) -> None:
    for name in ("o1", "o2"):
        orderers.answers[name] = not_leader("o3")
    queue = queue_of(orderers)
    await queue.add("a", b"a").ordered
    await queue.add("b", b"b").ordered
    assert queue.leader == "o3"
    assert [name for name, _ in orderers.calls][-2:] == ["o3", "o3"]


async def test_change_of_leader_loses_nothing(orderers: Orderers) -> None:
    queue = queue_of(orderers)
    elections = itertools.count()

    def electing(envelopes: list[bytes]) -> list[dict[str, Any]]:
        if next(elections) < 8:
            raise UnavailableError("no leader", code="NO_LEADER")
        return [ACK] * len(envelopes)

    for name in orderers.names:
        orderers.answers[name] = electing
    pendings = [queue.add(str(n), str(n).encode()) for n in range(20)]
    await asyncio.gather(*(pending.ordered for pending in pendings))
    assert orderers.calls[-1][1] == [str(n).encode() for n in range(20)]


async def test_lost_answer_is_sent_again(orderers: Orderers) -> None:
    lost = iter([True])

    def answer(envelopes: list[bytes]) -> list[dict[str, Any]]:
        if next(lost, False):
            raise UnavailableError("broken", code="CONNECTION_FAILED")
        return [ACK] * len(envelopes)

    for name in orderers.names:
        orderers.answers[name] = answer
    queue = queue_of(orderers)
    pending = queue.add("a", b"a")
    await pending.ordered
    assert pending.maybe_sent
    assert [envelopes for _, envelopes in orderers.calls] == [[b"a"], [b"a"]]


@pytest.mark.parametrize("hung", ["o1", "o2", "o3"])
async def test_a_leader_that_hangs_is_not_asked_next(orderers: Orderers, hung: str) -> None:
    queue = queue_of(orderers)
    queue.leader = hung
    orderers.answers[hung] = fail(TimeoutExceeded("no answer"))
    await queue.add("a", b"a").ordered
    assert [name for name, _ in orderers.calls][:2] in ([hung, name] for name in orderers.names if name != hung)
    assert queue.leader != hung


async def test_a_late_failure_does_not_forget_the_new_leader(orderers: Orderers) -> None:
    """Two batches were on their way to the leader that hangs; the second hears of it when the first has gone on."""
    both, late = asyncio.Event(), asyncio.Event()
    queue = queue_of(orderers, max_in_flight=2, max_batch=1)
    queue.leader = "o1"
    sent = orderers.send

    async def send(orderer: str, body: bytes, timeout_s: float) -> bytes:
        if orderer != "o1":
            return await sent(orderer, body, timeout_s)
        if body == framing.pack([b"a"]):
            await both.wait()
        else:
            both.set()
            await late.wait()
        raise TimeoutExceeded("no answer")

    queue._send = send
    orderers.answers["o3"] = not_leader("o2")
    first, second = queue.add("a", b"a"), queue.add("b", b"b")
    async with asyncio.timeout(2):
        await first.ordered
        assert queue.leader == "o2"
        late.set()
        await second.ordered
    assert [name for name, _ in orderers.calls] == ["o2", "o2"]


async def test_who_names_the_leader_is_not_waited_for_again(orderers: Orderers) -> None:
    queue = queue_of(orderers, backoff_initial_s=30.0, backoff_max_s=30.0, timeout_s=60.0)
    queue.leader = "o1"
    orderers.answers["o1"] = fail(UnavailableError("broken", code="CONNECTION_FAILED"))
    orderers.answers["o2"] = not_leader("o3")
    async with asyncio.timeout(5):
        await queue.add("a", b"a").ordered
    assert queue.leader == "o3"
    assert [name for name, _ in orderers.calls] == ["o1", "o3"]


async def test_who_names_a_leader_that_is_gone_is_not_followed(orderers: Orderers) -> None:
    elected = asyncio.Event()

    def o3(envelopes: list[bytes]) -> list[dict[str, Any]]:
        if not elected.is_set():
            raise UnavailableError("not the leader", code="NOT_LEADER", status=421, leader="o1")
        return [ACK] * len(envelopes)

    queue = queue_of(orderers, timeout_s=60.0)
    queue.leader = "o1"
    orderers.answers |= {
        "o1": fail(UnavailableError("gone", code="CONNECTION_FAILED")),
        "o2": not_leader("o1"),
        "o3": o3,
    }
    pending = queue.add("a", b"a")
    async with asyncio.timeout(5):
        while len(orderers.questions) < 6:
            await asyncio.sleep(0)
            orderers.called.clear()
            await orderers.called.wait()
        elected.set()
        await pending.ordered
    assert [name for name, _ in orderers.calls].count("o1") == 1


async def test_a_silent_leader_is_left_when_another_one_leads(orderers: Orderers) -> None:
    silent = asyncio.Event()
    sent = orderers.send

    async def send(orderer: str, body: bytes, timeout_s: float) -> bytes:
        if orderer == "o1":
            await silent.wait()
        return await sent(orderer, body, timeout_s)

    queue = queue_of(orderers, doubt_after_s=0.01, request_timeout_s=60.0, timeout_s=60.0)
    queue._send = queue._search._send = send
    queue.leader = "o1"
    orderers.answers["o2"] = not_leader("o1")
    pending = queue.add("a", b"a")
    async with asyncio.timeout(5):
        await pending.ordered
    assert (queue.leader, pending.maybe_sent) == ("o3", True)
    assert [name for name, _ in orderers.calls] == ["o3"]


async def test_a_leader_is_given_more_time_where_all_are_slow(orderers: Orderers) -> None:
    ticks = itertools.count()
    queue = queue_of(orderers, lambda: next(ticks) * 0.05, doubt_after_s=0.01, timeout_s=600.0)
    assert queue._doubt_after_s() == 0.01
    for number in range(40):
        await queue.add(str(number), b"e").ordered
    assert 0.1 < queue._doubt_after_s() <= 1.0
    queue._clock = lambda: 1e4 + next(ticks)
    for number in range(40):
        await queue.add(f"slower {number}", b"e").ordered
    assert queue._doubt_after_s() == 1.0


async def test_a_slow_leader_that_still_leads_is_waited_for(orderers: Orderers) -> None:
    queue = queue_of(orderers, doubt_after_s=0.01)
    queue.leader = "o1"
    orderers.answers |= {"o2": not_leader("o1"), "o3": not_leader("o1")}
    slow = asyncio.Event()
    sent = orderers.send

    async def send(orderer: str, body: bytes, timeout_s: float) -> bytes:
        if orderer == "o1":
            await slow.wait()
        elif len(orderers.questions) == 3:
            slow.set()
        return await sent(orderer, body, timeout_s)

    queue._send = queue._search._send = send
    pending = queue.add("a", b"a")
    async with asyncio.timeout(5):
        await pending.ordered
    assert (queue.leader, pending.maybe_sent) == ("o1", False)
    assert [name for name, _ in orderers.calls] == ["o1"]


async def test_each_envelope_has_its_own_verdict(orderers: Orderers) -> None:
    def answer(envelopes: list[bytes]) -> list[dict[str, Any]]:
        return [
            {"status": 403, "code": "PERMISSION_DENIED", "message": "not a writer"} if item == b"bad" else ACK
            for item in envelopes
        ]

    for name in orderers.names:
        orderers.answers[name] = answer
    queue = queue_of(orderers)
    good, bad = queue.add("g", b"good"), queue.add("b", b"bad")
    await good.ordered
    with pytest.raises(PermissionDeniedError) as caught:
        await bad.ordered
    assert caught.value.details["tx_id"] == "b"


async def test_busy_orderer_is_asked_again(orderers: Orderers) -> None:
    busy = iter([True, True])

    def answer(envelopes: list[bytes]) -> list[dict[str, Any]]:
        if next(busy, False):
            return [{"status": 429, "code": "BUSY", "message": "full"}] * len(envelopes)
        return [ACK] * len(envelopes)

    for name in orderers.names:
        orderers.answers[name] = answer
    queue = queue_of(orderers)
    await queue.add("a", b"a").ordered
    assert len(orderers.calls) == 3


async def test_a_refusal_after_a_lost_answer_leaves_the_outcome_unknown(orderers: Orderers) -> None:
    answers = iter((fail(TimeoutExceeded("no answer")), refuse("PROPOSAL_STALE")))

    def answer(envelopes: list[bytes]) -> list[dict[str, Any]]:
        return next(answers)(envelopes)

    orderers.answers = dict.fromkeys(orderers.names, answer)
    queue = queue_of(orderers)
    with pytest.raises(GridLedgerError) as caught:
        await queue.add("a", b"a").ordered
    assert (caught.value.code, caught.value.details["outcome"]) == ("PROPOSAL_STALE", "unknown")


@pytest.mark.parametrize(("code", "outcome"), [("NO_LEADER", "not ordered"), ("CONNECTION_FAILED", "unknown")])
async def test_deadline_tells_every_orderers_reason(orderers: Orderers, code: str, outcome: str) -> None:
    for name in orderers.names:
        orderers.answers[name] = fail(UnavailableError("down", code=code))
    # Each answer takes 1 s: time for one of each orderer, on any machine.
    queue = queue_of(orderers, lambda: float(len(orderers.calls)), timeout_s=2.5)
    with pytest.raises(OrderersUnavailable) as caught:
        await queue.add("t", b"e").ordered
    assert caught.value.status == 503
    assert caught.value.details["tx_id"] == "t"
    assert caught.value.details["outcome"] == outcome
    assert set(caught.value.details["orderers"]) == set(orderers.names)
    assert len(queue) == 0


async def test_config_without_orderers_is_told(orderers: Orderers) -> None:
    orderers.names = []
    queue = queue_of(orderers, timeout_s=0.02)
    with pytest.raises(OrderersUnavailable):
        await queue.add("t", b"e").ordered


async def test_queue_is_bounded(orderers: Orderers) -> None:
    orderers.gate = asyncio.Event()
    queue = queue_of(orderers, max_queued=2, max_queued_bytes=10, max_in_flight=1)
    queue.add("a", b"1")
    with pytest.raises(BusyError):
        queue.add("b", b"1234567890")
    queue.add("c", b"1")
    with pytest.raises(BusyError) as caught:
        queue.add("d", b"1")
    assert caught.value.retry_after_s > 0
    await queue.close()


async def test_discarded_envelope_is_not_sent(orderers: Orderers) -> None:
    orderers.gate = asyncio.Event()
    queue = queue_of(orderers, max_in_flight=1)
    first = queue.add("a", b"a")
    await orderers.called.wait()
    second = queue.add("b", b"b")
    queue.discard(second)
    queue.discard(first)
    orderers.gate.set()
    third = queue.add("c", b"c")
    await third.ordered
    assert [envelopes for _, envelopes in orderers.calls] == [[b"a"], [b"c"]]
    queue.discard(third)
    assert (queue._places.used, queue._bytes.used) == (0, 0)


async def test_refusal_of_a_whole_request_is_final_for_a_single_envelope(orderers: Orderers) -> None:
    for name in orderers.names:
        orderers.answers[name] = fail(InputError("too long", code="BODY_TOO_LARGE", status=413))
    queue = queue_of(orderers)
    with pytest.raises(InputError) as caught:
        await queue.add("t", b"e").ordered
    assert caught.value.status == 413


POISON = b"poison"


@pytest.mark.parametrize(
    "error",
    [
        GridLedgerError("the node failed to answer", code="INTERNAL", status=500),
        InputError("no frames", code="MALFORMED_FRAMES"),
        None,
    ],
    ids=["500", "400", "no verdicts"],
)
async def test_one_envelope_that_fails_a_batch_harms_no_other(
    orderers: Orderers, error: GridLedgerError | None
) -> None:
    def answer(envelopes: list[bytes]) -> list[dict[str, Any]]:
        if POISON not in envelopes:
            return [ACK] * len(envelopes)
        if error is not None:
            raise error
        return []

    orderers.answers = dict.fromkeys(orderers.names, answer)
    queue = queue_of(orderers, max_in_flight=1)
    queue.leader = "o2"
    good = [queue.add(str(n), b"%d" % n) for n in range(30)]
    poison = queue.add("p", POISON)
    good += [queue.add(str(n), b"%d" % n) for n in range(30, 60)]
    async with asyncio.timeout(2):
        await asyncio.gather(*(pending.ordered for pending in good))
        with pytest.raises(GridLedgerError) as caught:
            await poison.ordered
    assert caught.value.details["tx_id"] == "p"
    assert caught.value.details["outcome"] == ("not ordered" if isinstance(error, InputError) else "unknown")
    assert len(orderers.calls) <= 16  # halves: two for each of six steps, and what is sent alone
    assert {name for name, _ in orderers.calls} == {"o2"}
    later = queue.add("later", b"later")
    await later.ordered
    assert not later.maybe_sent


async def test_a_failure_that_passes_costs_a_lone_envelope_nothing(orderers: Orderers) -> None:
    failures = iter([True])

    def answer(envelopes: list[bytes]) -> list[dict[str, Any]]:
        if next(failures, False):
            raise GridLedgerError("the node failed to answer", code="INTERNAL", status=500)
        return [ACK] * len(envelopes)

    orderers.answers = dict.fromkeys(orderers.names, answer)
    queue = queue_of(orderers)
    await asyncio.wait_for(queue.add("a", b"a").ordered, 2)
    assert len({name for name, _ in orderers.calls}) == 2  # nobody was known to lead: another one is asked


async def test_an_orderers_defect_at_an_envelope_is_final_for_it(orderers: Orderers) -> None:
    def answer(envelopes: list[bytes]) -> list[dict[str, Any]]:
        failed = {"status": 500, "code": "INTERNAL", "message": "the orderer failed at this envelope"}
        return [failed if item == POISON else ACK for item in envelopes]

    orderers.answers = dict.fromkeys(orderers.names, answer)
    queue = queue_of(orderers)
    good, poison = queue.add("g", b"good"), queue.add("p", POISON)
    await asyncio.wait_for(good.ordered, 2)
    with pytest.raises(GridLedgerError, match="failed at this envelope"):
        await asyncio.wait_for(poison.ordered, 2)
    assert len(orderers.calls) == 1


async def test_closing_tells_those_who_wait(orderers: Orderers) -> None:
    orderers.gate = asyncio.Event()
    queue = queue_of(orderers, max_in_flight=1)
    first = queue.add("a", b"a")
    await orderers.called.wait()
    second = queue.add("b", b"b")
    await queue.close()
    with pytest.raises(OrderersUnavailable) as caught:
        await first.ordered
    assert caught.value.details["outcome"] == "unknown"
    with pytest.raises(OrderersUnavailable) as caught:
        await second.ordered
    assert caught.value.details["outcome"] == "not ordered"


async def test_what_comes_while_a_sender_ends_is_sent(orderers: Orderers) -> None:
    """The sender has looked at the queue for the last time, and its task still counts."""
    queue = queue_of(orderers, max_in_flight=1)
    late: list[QueuedEnvelope] = []
    told = asyncio.Event()

    def add_late(_: object) -> None:
        late.append(queue.add("b", b"b"))
        told.set()

    queue.add("a", b"a").ordered.add_done_callback(add_late)
    await told.wait()
    await asyncio.wait_for(late[0].ordered, 2)


async def test_a_defect_is_logged_and_loses_no_envelope(orderers: Orderers, caplog: pytest.LogCaptureFixture) -> None:
    queue = queue_of(orderers, max_in_flight=1, max_batch=1)

    def broken(_: list[bytes]) -> list[dict[str, Any]]:
        orderers.answers = {}
        raise RuntimeError("a defect")

    orderers.answers = dict.fromkeys(orderers.names, broken)
    first, second = queue.add("a", b"a"), queue.add("b", b"b")
    await asyncio.wait_for(asyncio.gather(first.ordered, second.ordered), 2)
    assert "a defect" in caplog.text
    assert [envelopes for _, envelopes in orderers.calls] == [[b"a"], [b"a"], [b"b"]]


@pytest.mark.parametrize("status", [None, [], "200", True])
async def test_an_answer_without_statuses_is_no_answer(orderers: Orderers, status: Any) -> None:
    """An orderer that is none of its right mind: another one is asked."""
    queue = queue_of(orderers, max_in_flight=1)

    def mad(envelopes: list[bytes]) -> list[dict[str, Any]]:
        orderers.answers = {}
        return [{"status": status}] * len(envelopes)

    orderers.answers = dict.fromkeys(orderers.names, mad)
    await asyncio.wait_for(queue.add("a", b"a").ordered, 2)
    assert len(orderers.calls) == 2

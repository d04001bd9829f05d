"""Failover: which gateway is asked, when another one is, and what counts, on a clock that is virtual."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from gridledger.client import failover
from gridledger.client.failover import Gateways
from gridledger.client.retry import NO_RETRY, Attempts, Retry
from gridledger.errors import BusyError, GridLedgerError, NotFoundError, SettingsError, TimeoutExceeded, from_wire
from gridledger.transport.call_client import NodeQuiet
from gridledger.transport.call_frames import SUBMIT
from gridledger.transport.node_client import ConnectionFailed
from tests.simulation import virtual_loop
from tests.unit.client.paper_member import PaperMember

ABSENT = NotFoundError("this peer is not on the channel", code="CHANNEL_UNKNOWN")
STOPPING = GridLedgerError("this node is being stopped", code="STOPPING", status=503)
REFUSED = GridLedgerError("no", code="CHAINCODE_REFUSED", status=400)
LATE = TimeoutExceeded("ordered, and not committed here in time", code="COMMIT_TIMEOUT")
LOST = ConnectionFailed("killed")
SAYS_QUIET = from_wire(503, {"code": "NODE_QUIET", "message": "a node that names this code itself"})


def now() -> float:
    return asyncio.get_running_loop().time()


def quiet() -> NodeQuiet:
    """The node has gone quiet, and its answer may still come."""
    return NodeQuiet("nothing heard", asyncio.get_running_loop().create_future())


class Client:
    """Calls through gateways on paper."""

    def __init__(self, *members: PaperMember) -> None:
        given: Any = members
        self.gateways = Gateways(given, clock=now, random=Random(1))
        self.attempts = self.new_attempts()

    def new_attempts(self, retry: Retry = NO_RETRY) -> Attempts:
        self.attempts = Attempts(retry, now, Random(1))
        return self.attempts

    async def call(self, channel: str = "c", body: bytes = b"x", timeout_s: float = 30.0) -> bytes:
        return await self.gateways.call(channel, SUBMIT, body, timeout_s, self.attempts)


def in_virtual_time(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10_000):
            await work()

    virtual_loop.run(bounded)


def test_while_all_is_well_the_first_gateway_is_asked() -> None:
    first, second = PaperMember(b"1"), PaperMember(b"2")

    async def work() -> None:
        client = Client(first, second)
        assert [await client.call() for _ in range(3)] == [b"1"] * 3

    in_virtual_time(work)
    assert (len(first.made), second.made, first.pinged) == (3, [], [])


@pytest.mark.parametrize(
    "fault", [LOST, STOPPING, GridLedgerError("a defect"), ABSENT, LATE, SAYS_QUIET], ids=lambda fault: fault.code
)
def test_what_one_gateway_fails_at_the_next_one_gets_alike(fault: Exception) -> None:
    first, second = PaperMember(fault), PaperMember(b"2")

    async def work() -> None:
        client = Client(first, second)
        assert await client.call(body=b"the signed envelope") == b"2"
        await client.gateways.close()

    in_virtual_time(work)
    assert first.made == second.made == [(SUBMIT, b"the signed envelope")]


def test_a_refusal_is_an_answer() -> None:
    first, second = PaperMember(REFUSED), PaperMember(b"2")

    async def work() -> None:
        with pytest.raises(GridLedgerError, match="no"):
            await Client(first, second).call()

    in_virtual_time(work)
    assert second.made == []


def test_a_gateway_that_failed_is_left_out_until_it_answers() -> None:
    first, second = PaperMember(LOST, b"1"), PaperMember(b"2")
    first.well = False

    async def work() -> None:
        client = Client(first, second)
        assert [await client.call() for _ in range(3)] == [b"2"] * 3
        await asyncio.sleep(100)
        assert await client.call() == b"2"
        first.well = True
        await asyncio.sleep(failover.LONGEST_PROBE_S)
        assert await client.call() == b"1"
        pings = len(first.pinged)
        await asyncio.sleep(100)
        assert len(first.pinged) == pings

    in_virtual_time(work)
    pauses = [later - earlier for earlier, later in pairwise(first.pinged)]
    assert all(pause <= failover.LONGEST_PROBE_S for pause in pauses)
    assert pauses[0] <= 2 * failover.FIRST_PROBE_S < failover.LONGEST_PROBE_S / 2 <= pauses[-1]
    assert len(set(pauses)) == len(pauses)


def test_while_one_hangs_the_next_one_is_asked_too() -> None:
    async def work() -> None:
        silence = quiet()
        first, second = PaperMember(silence), PaperMember(b"2")
        client = Client(first, second)
        assert await client.call() == b"2"
        assert silence.answer.cancelled()
        await client.gateways.close()

    in_virtual_time(work)


def test_the_late_answer_of_one_that_was_slow_counts() -> None:
    async def work() -> None:
        silence, never = quiet(), asyncio.get_running_loop().create_future()
        first, second = PaperMember(silence), PaperMember(never)
        client = Client(first, second)
        asyncio.get_running_loop().call_later(3, silence.answer.set_result, b"1")
        assert await client.call() == b"1"
        assert now() == pytest.approx(3)
        assert never.cancelled()
        await client.gateways.close()

    in_virtual_time(work)


def test_while_all_hang_the_first_answer_is_waited_for() -> None:
    async def work() -> None:
        silences = [quiet(), quiet(), quiet()]
        members = [PaperMember(silence) for silence in silences]
        client = Client(*members)
        asyncio.get_running_loop().call_later(3, silences[1].answer.set_result, b"2")
        assert await client.call() == b"2"
        assert [len(member.made) for member in members] == [1, 1, 1]
        assert [silence.answer.cancelled() for silence in silences] == [True, False, True]
        await client.gateways.close()

    in_virtual_time(work)


def test_a_call_ends_in_its_time_though_all_hang() -> None:
    async def work() -> None:
        client = Client(PaperMember(quiet()), PaperMember(quiet()))
        with pytest.raises(TimeoutExceeded, match="no gateway answered in the time"):
            await client.call(timeout_s=7)
        assert now() == pytest.approx(7)
        await client.gateways.close()

    in_virtual_time(work)


def test_all_gateways_together_have_the_calls_time() -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()
        late: asyncio.Future[bytes] = loop.create_future()
        loop.call_later(5, late.set_exception, LOST)
        client = Client(PaperMember(late), PaperMember(quiet()))
        with pytest.raises(TimeoutExceeded):
            await client.call(timeout_s=7)
        assert now() == pytest.approx(7)
        await client.gateways.close()

    in_virtual_time(work)


def test_a_call_that_is_given_up_leaves_nothing_behind() -> None:
    async def work() -> None:
        silence, never = quiet(), asyncio.get_running_loop().create_future()
        client = Client(PaperMember(silence), PaperMember(never))
        waiting = asyncio.create_task(client.call())
        await asyncio.sleep(1)
        waiting.cancel()
        await asyncio.sleep(0.01)
        assert silence.answer.cancelled()
        assert never.cancelled()
        await client.gateways.close()

    in_virtual_time(work)


def test_where_no_gateway_is_left_each_is_named() -> None:
    first, second = PaperMember(ConnectionFailed("a: refused")), PaperMember(ConnectionFailed("b: refused"))

    async def work() -> None:
        client = Client(first, second)
        with pytest.raises(ConnectionFailed, match="no gateway can be reached: a: refused; b: refused"):
            await client.call()
        # They are asked again at once, in case they are back.
        with pytest.raises(ConnectionFailed):
            await client.call()
        await client.gateways.close()

    in_virtual_time(work)
    assert (len(first.made), len(second.made)) == (2, 2)


def test_where_one_is_busy_that_is_told_before_all_else() -> None:
    async def work() -> None:
        busy = PaperMember(BusyError("full", retry_after_s=1.0), b"3")
        client = Client(PaperMember(LOST), busy, PaperMember(ABSENT))
        client.new_attempts(Retry(attempts=2))
        assert await client.call() == b"3"
        assert now() >= 1.0
        busy.answers = [BusyError("full", retry_after_s=1.0)]
        client.new_attempts(NO_RETRY)
        with pytest.raises(BusyError):
            await client.call()
        await client.gateways.close()

    in_virtual_time(work)


def test_a_busy_gateway_is_asked_again_itself() -> None:
    first, second = PaperMember(BusyError("full", retry_after_s=0.5), b"1"), PaperMember(b"2")

    async def work() -> None:
        client = Client(first, second)
        client.new_attempts(Retry(attempts=2))
        assert await client.call() == b"1"

    in_virtual_time(work)
    assert second.made == []
    assert first.times[1] - first.times[0] >= 0.5


def test_where_a_channel_is_not_is_known_for_a_while() -> None:
    first, second = PaperMember(ABSENT), PaperMember(b"2")

    async def work() -> None:
        client = Client(first, second)
        assert [await client.call() for _ in range(3)] == [b"2"] * 3
        assert len(first.made) == 1
        first.answers = [b"1"]
        assert await client.call(channel="another") == b"1"
        await asyncio.sleep(failover.ABSENT_S)
        assert await client.call() == b"1"

    in_virtual_time(work)
    assert first.pinged == []


def test_a_channel_that_is_nowhere_is_told() -> None:
    async def work() -> None:
        client = Client(PaperMember(ABSENT), PaperMember(ABSENT))
        for _ in range(2):
            with pytest.raises(NotFoundError, match="not on the channel"):
                await client.call()

    in_virtual_time(work)


def test_no_member_is_told_before_no_such_channel() -> None:
    stranger = GridLedgerError("issued by no organisation", code="UNKNOWN_AUTHORITY", status=401)

    async def work() -> None:
        with pytest.raises(GridLedgerError, match="issued by no organisation"):
            await Client(PaperMember(ABSENT), PaperMember(stranger), PaperMember(ABSENT)).call()
        client = Client(PaperMember(ABSENT), PaperMember(stranger), PaperMember(LOST))
        with pytest.raises(ConnectionFailed):
            await client.call()
        await client.gateways.close()

    in_virtual_time(work)


@pytest.mark.parametrize(
    ("fault", "uncertain"), [(LOST, True), (ABSENT, False), (STOPPING, False), (GridLedgerError("a defect"), True)]
)
@pytest.mark.parametrize("place", [0, 1])
def test_what_may_have_been_carried_out_is_known(fault: Exception, place: int, uncertain: bool) -> None:
    async def work() -> None:
        members = [PaperMember(ABSENT), PaperMember(ABSENT), PaperMember(REFUSED)]
        members[place] = PaperMember(fault)
        client = Client(*members)
        with pytest.raises(GridLedgerError, match="no"):
            await client.call()
        assert client.attempts.uncertain is uncertain
        await client.gateways.close()

    in_virtual_time(work)


def test_one_gateway_alone_fails_as_it_fails() -> None:
    only = PaperMember(LOST)

    async def work() -> None:
        client = Client(only)
        with pytest.raises(ConnectionFailed, match=r"^killed$"):
            await client.call()
        await asyncio.sleep(100)

    in_virtual_time(work)
    assert (len(only.made), only.pinged) == (1, [])


def test_queries_go_to_the_next_gateway_too() -> None:
    first, second, third = PaperMember(LOST), PaperMember(ABSENT), PaperMember(b"3")

    async def work() -> None:
        client = Client(first, second, third)

        def request(node: Any) -> Coroutine[Any, Any, bytes]:
            asked: Coroutine[Any, Any, bytes] = node.ask()
            return asked

        assert await client.gateways.read("c", request, 30) == b"3"
        await client.gateways.close()

    in_virtual_time(work)


def test_all_gateways_that_answer_are_asked() -> None:
    async def work() -> None:
        silence = quiet()
        client = Client(PaperMember(LOST), PaperMember(b"2"), PaperMember(silence), PaperMember(b"4"))

        def request(node: Any) -> Coroutine[Any, Any, bytes]:
            asked: Coroutine[Any, Any, bytes] = node.ask()
            return asked

        assert await client.gateways.read_all(request) == [b"2", b"4"]
        assert silence.answer.cancelled()
        with pytest.raises(ConnectionFailed):
            await Client(PaperMember(LOST), PaperMember(ABSENT)).gateways.read_all(request)

    in_virtual_time(work)


def test_closing_ends_connections_and_pings() -> None:
    first, second = PaperMember(LOST), PaperMember(b"2")
    first.well = False

    async def work() -> None:
        client = Client(first, second)
        await client.call()
        await client.gateways.close()
        await asyncio.sleep(100)

    in_virtual_time(work)
    assert (first.pinged, first.closed, second.closed) == ([], True, True)


def test_a_client_has_some_gateways_and_not_too_many() -> None:
    for members in ([], [PaperMember()] * (failover.MAX_GATEWAYS + 1)):
        given: Any = members
        with pytest.raises(SettingsError, match="1 to 100 gateways"):
            Gateways(given)

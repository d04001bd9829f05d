from __future__ import annotations

import asyncio
from random import Random

import pytest

from gridledger import jsontext
from gridledger.errors import UnavailableError
from gridledger.evidence.events import NO_EVENT, batch_body
from services.lightnode.lane import ACTIVE, BEHIND, NOT_ADMITTED, NOT_ALLOWED, OTHER_KEY, SUSPENDED, Blocked
from services.lightnode.recorder.records import Entry
from tests.simulation import virtual_loop
from tests.support.fake_section import FakeSection
from tests.unit.lightnode.conftest import Node


def bodies(first: int, last: int) -> list[str]:
    return [f'{{"n":{n}}}' for n in range(first, last + 1)]


async def test_events_go_in_order_each_chained_to_the_one_before(node):
    node.record(300)
    await node.lanes["pmu-1"].step()
    await node.lanes["pmu-1"].step()
    assert node.on_ledger() == bodies(1, 300)
    events = [event for event, _, _ in node.section.devices["pmu-1"].events]
    assert events[0]["prev"] == NO_EVENT
    assert [event["seq"] for event in events] == list(range(1, 301))
    assert node.section.transactions == 2
    assert node.recorder.waiting == 0


async def test_an_event_whose_answer_was_lost_is_on_the_ledger_once(node):
    node.record(3)
    node.section._chance = _Lost(4)  # device, endorse, order, then the answer
    lane = node.lanes["pmu-1"]
    with pytest.raises(UnavailableError):
        await _until_unavailable(lane)
    node.section._chance = None
    node.record(1)
    await lane.step()
    assert node.on_ledger() == bodies(1, 4)
    assert node.recorder.device("pmu-1").mark_of(1)[0].tx == f"{1:064x}"


async def _until_unavailable(lane) -> None:
    try:
        await lane.step()
    except Exception as error:
        raise UnavailableError(str(error)) from error


class _Lost(Random):
    """Loses the answer of the call of this number."""

    def __init__(self, number: int) -> None:
        super().__init__(0)
        self._left = number

    def uniform(self, a: float, b: float) -> float:
        return a

    def random(self) -> float:
        self._left -= 1
        return 0.0 if self._left == 0 else 1.0


async def test_killed_between_the_ledger_and_its_own_mark_nothing_is_sent_twice(node):
    node.record(5)
    settle = node.recorder.settle
    node.recorder.settle = lambda mark: None
    await node.lanes["pmu-1"].step()
    node.recorder.settle = settle
    node.restart()
    assert node.recorder.waiting == 5
    node.record(1)
    await node.lanes["pmu-1"].step()
    assert node.on_ledger() == bodies(1, 6)
    assert node.recorder.waiting == 0


async def test_a_suspended_device_s_events_are_kept_and_go_when_it_is_admitted_again(node):
    node.record(1)
    lane = node.lanes["pmu-1"]
    await lane.step()
    node.section.devices["pmu-1"].status = "suspended"
    node.record(2)
    with pytest.raises(Blocked):
        await lane.step()
    assert (lane.state, node.recorder.waiting) == (SUSPENDED, 2)
    node.section.devices["pmu-1"].status = "active"
    await lane.step()
    assert node.on_ledger() == bodies(1, 3)
    assert lane.state == ACTIVE


async def test_a_device_that_the_section_does_not_know_waits(node):
    del node.section.devices["pmu-1"]
    node.record(1)
    with pytest.raises(Blocked):
        await node.lanes["pmu-1"].step()
    assert node.lanes["pmu-1"].state == NOT_ADMITTED


async def test_the_next_key_is_taken_when_the_section_has_it(node):
    node.record(1)
    lane = node.lanes["pmu-1"]
    await lane.step()
    following = node.keys.next_key("pmu-1")
    node.section.devices["pmu-1"].proof_key = following.public
    node.record(1)
    await lane.step()
    assert node.keys.key("pmu-1").public == following.public
    await lane.step()
    assert node.on_ledger() == bodies(1, 2)


async def test_a_key_that_is_not_the_node_s_is_told(node):
    node.section.devices["pmu-1"].proof_key = Node(node.folder / "x", node.section).keys.key("pmu-1").public
    node.record(1)
    with pytest.raises(Blocked):
        await node.lanes["pmu-1"].step()
    assert node.lanes["pmu-1"].state == OTHER_KEY


async def test_events_of_a_stranger_with_the_device_s_key_are_told_and_ours_follow(node, tmp_path):
    thief = Node(tmp_path / "thief", node.section)
    thief.keys = node.keys
    thief.open()
    node.record(2)
    lane = node.lanes["pmu-1"]
    await lane.step()
    thief.recorder.append([Entry("pmu-1", "alarm", 1, '{"forged":true}')])
    await thief.lanes["pmu-1"].step()
    assert thief.lanes["pmu-1"].foreign == 2
    node.record(1)
    await lane.step()
    await lane.step()
    assert node.on_ledger() == [*bodies(1, 2), '{"forged":true}', *bodies(3, 3)]
    assert lane.foreign == 1
    assert node.recorder.device("pmu-1").mark_of(3)[1] == 4
    assert node.recorder.device("pmu-1").next_seq == 5


async def test_an_event_that_the_contract_refuses_for_what_it_says_is_set_aside_and_the_others_go(node):
    node.section.refuses = lambda event: "body: no" if event["body"] == '{"n":5}' else None
    node.record(9)
    lane = node.lanes["pmu-1"]
    for _ in range(12):
        await lane.step()
    assert node.on_ledger() == [*bodies(1, 4), *bodies(6, 9)]
    assert lane.set_aside == 1
    (line,) = (node.folder / "aside" / "pmu-1.jsonl").read_bytes().splitlines()
    assert jsontext.loads(line)["why"] == "body: no"
    assert node.recorder.device("pmu-1").mark_of(5)[0].why == "body: no"


async def test_a_refusal_of_the_light_node_itself_sets_nothing_aside(node):
    node.section.refuses = lambda event: "caller: its certificate must have forensics.role = lightnode"
    node.record(2)
    with pytest.raises(Blocked):
        await node.lanes["pmu-1"].step()
    assert (node.lanes["pmu-1"].state, node.recorder.waiting) == (NOT_ALLOWED, 2)


async def test_a_peer_that_lacks_what_another_one_told_is_waited_for(node):
    node.record(2)
    lane = node.lanes["pmu-1"]
    await lane.step()
    events = node.section.devices["pmu-1"].events
    newest = events.pop()
    node.record(1)
    lane.ask_again()
    with pytest.raises(Blocked):
        await lane.step()
    assert lane.state == BEHIND
    events.append(newest)
    await lane.step()
    assert node.on_ledger() == bodies(1, 3)


def batch(number: int, fields: int = 1) -> str:
    synopsis = {f"field-{n}": [2, 1.0, 1.5, 2.0] for n in range(fields)}
    return batch_body(
        from_us=number, to_us=number + 1, rows=2, root="a" * 64, sha256="b" * 64, uri="x", synopsis=synopsis
    )


def record_batches(node, *texts: str) -> None:
    node.recorder.append([Entry("pmu-1", "batch", jsontext.loads(text)["from_us"], text) for text in texts])
    node.forwarder.has_news(["pmu-1"])


async def test_batches_and_events_go_together_in_their_order(node):
    node.record(1)
    record_batches(node, batch(5), batch(6))
    node.record(1)
    assert await node.lanes["pmu-1"].step() == 0
    assert node.section.transactions == 1
    assert node.on_ledger() == [*bodies(1, 1), batch(5), batch(6), *bodies(4, 4)]


async def test_one_batch_goes_by_itself(node, monkeypatch):
    monkeypatch.setattr("services.lightnode.lane.GATHER_S", 0.0)
    record_batches(node, batch(5))
    await node.lanes["pmu-1"].step()
    assert node.on_ledger() == [batch(5)]


async def test_what_one_transaction_cannot_take_goes_in_two(node):
    long = [batch(n, fields=900) for n in range(20)]  # 28 KB each
    record_batches(node, *long)
    await node.lanes["pmu-1"].step()
    assert 5 < len(node.on_ledger()) < 20
    node.record(1)
    await node.lanes["pmu-1"].step()
    assert node.on_ledger() == [*long, *bodies(21, 21)]


def test_batches_wait_for_five_or_for_five_minutes_or_for_an_event(tmp_path):
    async def main() -> None:
        node = Node(tmp_path, FakeSection())
        node.admit()
        work = asyncio.get_running_loop().create_task(node.forwarder.run())
        sent = node.on_ledger
        for number in range(4):
            record_batches(node, batch(number))
            await asyncio.sleep(60)
        assert sent() == []
        record_batches(node, batch(4))
        await asyncio.sleep(1)
        assert (len(sent()), node.section.transactions) == (5, 1)
        record_batches(node, batch(5))
        await asyncio.sleep(290)
        assert len(sent()) == 5
        await asyncio.sleep(11)
        assert len(sent()) == 6
        record_batches(node, batch(6))
        await asyncio.sleep(1)
        assert len(sent()) == 6
        node.record(1)
        await asyncio.sleep(1)
        assert sent()[6:] == [batch(6), *bodies(8, 8)]
        assert node.section.transactions == 3
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)

    virtual_loop.run(main)


SEVERAL = tuple(f"d{n}" for n in range(20))


def test_few_events_of_many_devices_share_transactions(tmp_path):
    async def main() -> None:
        node, _work = await _running(tmp_path)
        for _ in range(3):
            newest = {device: node.record(2, device)[-1].number for device in SEVERAL}
            await asyncio.sleep(5)
        assert node.recorder.waiting == 0
        assert node.section.transactions < 20
        assert node.section.shared >= 3
        for device in SEVERAL:
            assert node.on_ledger(device) == bodies(1, 6)
            mark = node.recorder.device(device).mark_of(newest[device])
            assert mark is not None
            assert mark[1] == 6

    virtual_loop.run(main)


def test_a_device_that_is_refused_among_others_holds_none_of_them_up(tmp_path):
    async def main() -> None:
        node, _work = await _running(tmp_path)
        node.section.devices["d3"].status = "suspended"
        wrong: list[str] = []
        node.section.refuses = lambda event: "body: no" if event["body"] in wrong and event["seq"] == 2 else None
        for device in SEVERAL:
            node.record(1, device)
        await asyncio.sleep(5)
        assert node.recorder.waiting == 1
        assert node.lanes["d3"].state == SUSPENDED
        wrong.append('{"n":2}')
        node.record(2, "d5")
        for device in SEVERAL[6:]:
            node.record(1, device)
        await asyncio.sleep(20)
        assert node.on_ledger("d5") == ['{"n":1}', '{"n":3}']
        assert node.lanes["d5"].set_aside == 1
        assert node.recorder.device("d4").waiting == 0
        wrong.clear()
        node.section.devices["d3"].status = "active"
        await asyncio.sleep(60)
        assert node.on_ledger("d3") == bodies(1, 1)
        shared = node.section.shared
        for device in SEVERAL:
            node.record(1, device)
        await asyncio.sleep(5)
        assert node.recorder.waiting == 0
        assert node.section.shared > shared

    virtual_loop.run(main)


async def _running(folder) -> tuple[Node, asyncio.Task[None]]:
    """A node of several devices whose forwarder runs, and knows where their chains end."""
    node = Node(folder, FakeSection(), SEVERAL)
    node.admit()
    node.section.verifies = False
    work = asyncio.get_running_loop().create_task(node.forwarder.run())
    await asyncio.sleep(5)
    return node, work


async def test_an_operator_gives_up_what_waits(node):
    node.section.devices["pmu-1"].status = "suspended"
    node.record(70)
    assert await node.lanes["pmu-1"].give_up_waiting("retired") == 70
    assert node.recorder.waiting == 0
    assert len((node.folder / "aside" / "pmu-1.jsonl").read_bytes().splitlines()) == 70


def test_hours_of_an_outage_are_made_up_for_within_a_minute_beside_live_events(tmp_path):
    devices = tuple(f"d{n}" for n in range(5))

    async def main() -> None:
        node = Node(tmp_path, FakeSection(), devices)
        node.admit()
        node.section.latency_s = 0.1
        node.section.verifies = False  # which takes longer than all the rest
        node.section.away = True
        work = asyncio.get_running_loop().create_task(node.forwarder.run())
        for hour in range(3):
            node.record(3600, "d0")
            for device in devices[1:]:
                node.record(10, device)
            await asyncio.sleep(3600 * (hour + 1) - asyncio.get_running_loop().time())
        assert node.section.calls < 3 * 3600 / 10 * 40
        node.section.away = False
        back = asyncio.get_running_loop().time()
        slowest = 0.0
        while node.recorder.waiting:
            live = node.record(1, "d4")[0]
            began = asyncio.get_running_loop().time()
            while node.recorder.device("d4").mark_of(live.number) is None:  # noqa: ASYNC110 - the time is virtual
                await asyncio.sleep(0.1)
            slowest = max(slowest, asyncio.get_running_loop().time() - began)
        assert asyncio.get_running_loop().time() - back < 75
        assert slowest < 12
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        for device in devices:
            assert node.on_ledger(device) == bodies(1, len(node.on_ledger(device)))

    virtual_loop.run(main)

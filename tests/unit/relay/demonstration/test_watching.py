"""What is heard from the peers: when each told of a record, how often one was made, and silences that ended."""

from __future__ import annotations

import asyncio
from typing import Any

from gridledger.protocol.events import ChaincodeEvent
from services.relay.demonstration.watching import Watched


def event(name: str, **payload: Any) -> ChaincodeEvent:
    return ChaincodeEvent("substation", "relay", name, payload, "tx", 7, 0, 0)


def test_the_first_time_that_a_peer_tells_counts() -> None:
    watched = Watched()
    for peer, arrived_us in (("peer1", 100), ("peer2", 130), ("peer1", 900)):
        watched.note(peer, event("CaptureRecorded", minute=5), arrived_us, is_first_peer=peer == "peer1")
    assert watched.recorded == {5: {"peer1": 100, "peer2": 130}}


def test_a_minute_that_is_recorded_twice_is_counted_twice() -> None:
    watched = Watched()
    watched.note("peer2", event("CaptureRecorded", minute=5), 1, is_first_peer=False)
    assert (watched.times_recorded(5), watched.times_recorded(6)) == (1, 0)
    watched.note("peer1", event("CaptureRecorded", minute=5), 1, is_first_peer=True)
    watched.note("peer1", event("CaptureRecorded", minute=5), 2, is_first_peer=True)
    assert watched.times_recorded(5) == 2


def test_silences_that_ended_are_kept_once() -> None:
    watched = Watched()
    for peer in ("peer1", "peer2"):
        watched.note(peer, event("RelaySilent", **{"from": 4}), 1, is_first_peer=peer == "peer1")
        watched.note(peer, event("RelayBack", **{"from": 4, "until": 7}), 2, is_first_peer=peer == "peer1")
    assert watched.silences == [{"from": 4, "until": 7}]


async def test_a_record_is_waited_for() -> None:
    watched = Watched()
    waiting = asyncio.create_task(watched.until_recorded(6))
    for minute in (5, 6):
        await asyncio.sleep(0)
        assert not waiting.done()
        watched.note("peer1", event("CaptureRecorded", minute=minute), 1, is_first_peer=True)
    async with asyncio.timeout(5):
        await waiting

"""Server-sent events: their form, and where a client that comes back goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gridledger.errors import InputError
from gridledger.protocol.events import ChaincodeEvent
from services.rest import server_sent_events
from services.rest.server_sent_events import place_of, written


def event(block: int, index: int, name: str = "Meter") -> ChaincodeEvent:
    message = {"chaincode": "kv", "name": name, "payload": {"v": 1}, "tx_id": "ab", "block": block, "index": index}
    return ChaincodeEvent.from_dict("main", {**message, "timestamp": 5})


async def stream(*events: ChaincodeEvent) -> AsyncIterator[ChaincodeEvent]:
    for item in events:
        yield item


async def test_an_event_has_its_place_name_and_data():
    (message,) = [part async for part in written(stream(event(3, 1)), None)]
    id_, name, data, *end = message.decode().split("\n")
    assert (id_, name, end) == ("id: 3.1", "event: Meter", ["", ""])
    assert data.startswith('data: {"chaincode":"kv"')


async def test_a_name_cannot_begin_a_field_of_its_own():
    (message,) = [part async for part in written(stream(event(3, 1, "a\nid: 9\rb")), None)]
    assert message.decode().split("\n")[1] == "event: a id: 9 b"


async def test_events_up_to_the_last_one_seen_are_left_out():
    events = stream(event(3, 0), event(3, 1), event(3, 2), event(4, 0))
    parts = [part async for part in written(events, place_of("3.1"))]
    assert [part.split(b"\n")[0] for part in parts] == [b"id: 3.2", b"id: 4.0"]


async def test_an_idle_stream_is_kept_alive(monkeypatch):
    monkeypatch.setattr(server_sent_events, "HEARTBEAT_S", 0.01)
    never: asyncio.Event = asyncio.Event()

    async def silent() -> AsyncIterator[ChaincodeEvent]:
        await never.wait()
        yield event(1, 0)

    parts = written(silent(), None)
    assert await anext(parts) == b": nothing new\n\n"
    never.set()
    found = [part async for part in parts]
    assert found[-1].startswith(b"id: 1.0")


@pytest.mark.parametrize("text", ["", "3", "3.", "-1.0", "3.1.2", "x.y", "03.1", "9" * 30 + ".0"])
def test_an_id_that_is_none_is_refused(text):
    with pytest.raises(InputError):
        place_of(text)

"""The hub: the latest message of every topic, for each reader."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from services.console.live.hub import MAX_TOPICS, Hub


def messages(chunk: bytes) -> list[tuple[str, Any]]:
    told = [json.loads(line[6:]) for line in chunk.decode().splitlines() if line.startswith("data: ")]
    return [(item["topic"], item["message"]) for item in told]


def make_hub() -> Hub:
    return Hub(lambda: 0.0, pictures_a_s=1e6)


async def test_a_reader_gets_the_latest_of_each_topic_and_then_what_is_new() -> None:
    hub = make_hub()
    hub.publish("a", 1)
    hub.publish("b", 1)
    hub.publish("a", 2)
    stream = hub.stream()
    assert (await anext(stream)).startswith(b"retry: ")
    assert messages(await anext(stream)) == [("b", 1), ("a", 2)]
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    assert hub.readers == 1
    hub.publish("b", 2)
    hub.publish("b", 3)
    assert messages(await waiting) == [("b", 3)]
    await stream.aclose()
    assert hub.readers == 0


async def test_a_reader_gets_the_topics_of_channels_that_it_may_read() -> None:
    hub, asked = make_hub(), 0
    for topic in ("nodes", "grid/open/1", "grid/hidden/1", "alarms/hidden", "flow/open"):
        hub.publish(topic, 1)

    def readable() -> set[str]:
        nonlocal asked
        asked += 1
        return {"open"}

    stream = hub.stream(readable)
    await anext(stream)
    assert [topic for topic, _ in messages(await anext(stream))] == ["nodes", "grid/open/1", "flow/open"]
    assert asked == 1
    await stream.aclose()


async def test_what_has_not_changed_is_not_sent_again() -> None:
    hub = make_hub()
    hub.publish("a", {"x": 1})
    stream = hub.stream()
    await anext(stream)
    await anext(stream)
    hub.publish("a", {"x": 1})
    hub.publish("c", {"x": "a\nb\r\n"})
    assert messages(await anext(stream)) == [("c", {"x": "a\nb\r\n"})]
    await stream.aclose()


async def test_topics_are_bounded() -> None:
    hub = make_hub()
    for number in range(MAX_TOPICS + 5):
        hub.publish(f"topic {number}", 0)
    hub.publish("topic 0", 1)
    stream = hub.stream()
    await anext(stream)
    found = dict(messages(await anext(stream)))
    assert len(found) == MAX_TOPICS
    assert found["topic 0"] == 1
    await stream.aclose()

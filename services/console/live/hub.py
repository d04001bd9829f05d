"""The hub: the latest message of every topic, for all browsers at once.

A reader that is slow misses messages of a topic between two that it gets, and never the newest: each topic has one
message, the latest, so nothing queues. What must not be missed is kept in the page's own records, of which a message
here only says that there are new ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Container
from typing import Any, Final

from fastapi.sse import format_sse_event

from gridledger import jsontext

PICTURES_A_S: Final = 10.0
HEARTBEAT_S: Final = 10.0
MAX_TOPICS: Final = 1024
RETRY_MS: Final = 1000


class Hub:
    """Publishes messages, and writes them as server-sent events (WHATWG HTML, section 9.2).

    ``clock`` is monotonic, in seconds. Each reader gets at most ``pictures_a_s`` writes a second.
    """

    def __init__(self, clock: Callable[[], float], *, pictures_a_s: float = PICTURES_A_S) -> None:
        self._clock = clock
        self._pause_s = 1.0 / pictures_a_s
        self._latest: dict[str, tuple[int, bytes]] = {}
        self._number = 0
        self._wakers: set[asyncio.Event] = set()
        self._written: dict[int, bytes] = {}

    @property
    def readers(self) -> int:
        """How many streams there are."""
        return len(self._wakers)

    def publish(self, topic: str, message: Any) -> None:
        """Make ``message`` (plain JSON values) the latest of ``topic``, if it is another one than that was.

        Beyond ``MAX_TOPICS`` a new topic is dropped.
        """
        data = jsontext.dumps({"topic": topic, "message": message})
        known = self._latest.get(topic)
        if (known is None and len(self._latest) >= MAX_TOPICS) or (known is not None and known[1] == data):
            return
        self._number += 1
        self._latest.pop(topic, None)
        self._latest[topic] = self._number, data
        for waker in self._wakers:
            waker.set()

    def _event(self, number: int, data: bytes) -> bytes:
        """A message as it is sent, written once for all readers."""
        written = self._written.get(number)
        if written is None:
            written = bytes(format_sse_event(data_str=data.decode(), id=str(number)))
            if len(self._written) >= MAX_TOPICS:
                self._written.clear()
            self._written[number] = written
        return written

    async def stream(self, readable: Callable[[], Container[str]] | None = None) -> AsyncGenerator[bytes]:
        """One reader's stream: the latest message of each topic, then what is new; a comment where nothing is.

        A topic ``NAME/CHANNEL`` or ``NAME/CHANNEL/...`` is of a channel, and left out unless the channel is among the
        ``readable`` ones, which are asked for once for all topics that are new.
        """
        waker = asyncio.Event()
        self._wakers.add(waker)
        seen = 0
        try:
            yield b"retry: %d\n\n" % RETRY_MS
            while True:
                # Topics stand in the order of their latest messages: the new ones are at the end.
                fresh: list[bytes] = []
                allowed = None if readable is None or self._number == seen else readable()
                for topic, (number, data) in reversed(self._latest.items()):
                    if number <= seen:
                        break
                    if allowed is None or (channel := channel_of(topic)) is None or channel in allowed:
                        fresh.append(self._event(number, data))
                seen = self._number
                if fresh:
                    yield b"".join(reversed(fresh))
                    await asyncio.sleep(self._pause_s)
                waker.clear()
                if self._number == seen:
                    try:
                        async with asyncio.timeout(HEARTBEAT_S):
                            await waker.wait()
                    except TimeoutError:
                        yield b": nothing new\n\n"
        finally:
            self._wakers.discard(waker)


def channel_of(topic: str) -> str | None:
    """The channel whose topic this is; None where it is of none."""
    _, _, rest = topic.partition("/")
    return rest.partition("/")[0] or None

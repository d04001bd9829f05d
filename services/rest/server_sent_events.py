"""Server-sent events (WHATWG HTML, section 9.2): the stream of a chaincode's events for a browser or a spreadsheet.

An event's id is its place, ``BLOCK.TRANSACTION``; a client that comes back with it as ``Last-Event-ID`` misses nothing
and gets nothing twice.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

from gridledger import jsontext
from gridledger.errors import InputError
from gridledger.protocol.events import ChaincodeEvent

HEARTBEAT_S = 15.0
_COMMENT = b": nothing new\n\n"
_ID = re.compile(r"(0|[1-9][0-9]{0,17})\.(0|[1-9][0-9]{0,17})", re.ASCII)


def place_of(last_event_id: str) -> tuple[int, int]:
    """Block and transaction of an event's id; :class:`InputError` where it is none."""
    match = _ID.fullmatch(last_event_id)
    if match is None:
        raise InputError("Last-Event-ID must be BLOCK.TRANSACTION, the id of an event of this stream")
    return int(match[1]), int(match[2])


async def written(events: AsyncIterator[ChaincodeEvent], after: tuple[int, int] | None) -> AsyncIterator[bytes]:
    """The events as they are sent, without those up to the place ``after``; a comment while there are none."""
    # One task waits for the next event, so that a heartbeat in between cancels nothing.
    following = asyncio.ensure_future(anext(events, None))
    try:
        while True:
            done, _ = await asyncio.wait((following,), timeout=HEARTBEAT_S)
            if not done:
                yield _COMMENT
                continue
            event = following.result()
            if event is None:
                return
            following = asyncio.ensure_future(anext(events, None))
            if after is None or (event.block, event.index) > after:
                yield _message(event)
    finally:
        following.cancel()


def _message(event: ChaincodeEvent) -> bytes:
    name = re.sub(r"[\r\n]", " ", event.name)
    return b"id: %d.%d\nevent: %b\ndata: %b\n\n" % (
        event.block,
        event.index,
        name.encode(),
        jsontext.dumps(event.to_dict()),
    )

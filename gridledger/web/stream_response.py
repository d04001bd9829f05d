"""Answers that last: streams of blocks and events."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gridledger.errors import BusyError, GridLedgerError
from gridledger.transport.stream_errors import write_error

_log = logging.getLogger(__name__)


class StreamResponse(Response):
    """A chunked answer that lasts: until ``chunks`` ends, the client leaves, or the process is told to stop.

    The stream ends properly (last chunk) when the process stops, so that a client can tell this from a failure. An
    error of ours that ``chunks`` raises is told as the last piece of the stream; any other cuts it short.
    Each chunk waits until the connection can take it, so a slow client holds at most one chunk here.
    """

    def __init__(self, chunks: AsyncIterator[bytes], media_type: str = "application/octet-stream") -> None:
        super().__init__(media_type=media_type)
        del self.headers["content-length"]
        self._chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the stream. It no longer counts among the requests being served, but among the streams."""
        ended = asyncio.Event()
        slot = scope["state"].get("slot")
        if slot is not None:
            slot.become_stream(ended.set)
        stopping: asyncio.Event = scope["app"].state.stopping
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        pump = asyncio.create_task(self._pump(send))
        watchers = [asyncio.create_task(stopping.wait()), asyncio.create_task(_disconnected(receive))]
        watchers.append(asyncio.create_task(_make_room(ended)))
        try:
            await asyncio.wait([pump, *watchers], return_when=asyncio.FIRST_COMPLETED)
            for task in (pump, watchers[-1]):
                if task.done():
                    task.result()
        except GridLedgerError as error:
            _log.info("a stream ended: %s", error, extra={"path": scope["path"], "code": error.code})
            last = write_error(error, self.media_type or "")
            await send({"type": "http.response.body", "body": last, "more_body": True})
        finally:
            for task in (pump, *watchers):
                task.cancel()
            await asyncio.wait([pump, *watchers])
            aclose = getattr(self._chunks, "aclose", None)
            if aclose is not None:
                with suppress(RuntimeError):
                    await aclose()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pump(self, send: Send) -> None:
        async for chunk in self._chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})


async def _make_room(ended: asyncio.Event) -> None:
    await ended.wait()
    raise BusyError(
        "this stream had to make room for another caller's: you have more than your share of them", retry_after_s=1.0
    )


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

"""The client of calls to one node over one connection, framed as in :mod:`gridledger.transport.call_frames`.

Calls made in one turn of the event loop leave in one write, and answers that the node has in one of its turns come back
in one. So a transaction needs no request, no head and no connection of its own.

A node that hangs keeps its connections open. A caller that has other nodes to ask wants to know within a second, long
before a time-out, and without taking a slow node for a hung one: that a call takes long says nothing, since a commit
may take seconds. So the client asks the node itself. When nothing was heard for half of ``quiet_after_s`` while calls
wait, it sends a PING, which any node whose event loop runs answers at once, whatever its chaincode, disk or orderers
do. After the other half without a byte, the calls end with :class:`NodeQuiet`, which holds the answer that may still
come.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httptools

from gridledger import framing, jsontext
from gridledger.errors import BusyError, GridLedgerError, TimeoutExceeded, UnavailableError, from_wire
from gridledger.transport.call_frames import MAX_NUMBER, PATH, PING, SUCCESS, read_answer, write_call
from gridledger.transport.node_client import HEARTBEAT_S, SILENCE_S, ConnectionFailed, failed_connection
from gridledger.transport.pins import PinMismatch

MAX_CALLS = 4096
"""Calls under way at once; more are refused here."""

IDLE_S = 30.0
"""A connection without calls is closed after this time. The gateway keeps it longer."""

_LOOKS_PER_QUIET = 8
_MAX_ANSWER_BYTES = 64 * 1024 * 1024
_MAX_REFUSAL_BYTES = 1024 * 1024
_FAREWELL_S = 0.5

Fallback = Callable[[int, bytes, float], Awaitable[bytes]]
"""Makes one call (kind, body, timeout in seconds) by a request of its own."""


class StreamRefused(BusyError):
    """The gateway has as many of these connections as it takes."""

    code = "STREAM_REFUSED"


class NodeQuiet(UnavailableError):
    """The node says nothing, though a PING asks it to. ``answer`` is the call's answer, should it come after all; an
    error that came over the wire under this code has none."""

    code = "NODE_QUIET"

    def __init__(self, message: str, answer: asyncio.Future[Any]) -> None:
        super().__init__(message)
        self.answer = answer


class CallClient:
    """One gateway's calls. Connects when first needed and again after a failure; use it in one event loop.

    ``fallback`` is asked while the gateway takes no further connection of this kind; without one, the caller is told.
    With ``quiet_after_s`` calls end with :class:`NodeQuiet` when the node says nothing for so long.
    """

    def __init__(
        self,
        base_url: str,
        tls: ssl.SSLContext,
        fallback: Fallback | None = None,
        *,
        connect_timeout_s: float,
        quiet_after_s: float | None = None,
    ) -> None:
        self.base_url = base_url
        self.tls = tls
        self.connect_timeout_s = connect_timeout_s
        self.quiet_after_s = quiet_after_s
        self._fallback = fallback
        self._connection: _Connection | None = None
        self._number = 0
        self._refused_until = 0.0

    async def call(self, kind: int, body: bytes, timeout_s: float) -> bytes:
        """Make a call; the answer's payload, or the gateway's error. Cancel it to give up."""
        loop, fallback = asyncio.get_running_loop(), self._fallback
        if fallback is not None and loop.time() < self._refused_until:
            return await fallback(kind, body, timeout_s)
        connection = self._connected(loop)
        number = self.next_number()
        answer = connection.send(number, kind, body)
        timer = loop.call_later(timeout_s, self._expire, answer, timeout_s)
        try:
            return await answer
        except StreamRefused as refusal:
            if fallback is None:
                raise
            self._refused_until = loop.time() + refusal.retry_after_s
            return await fallback(kind, body, timeout_s)
        finally:
            timer.cancel()
            connection.waiting.pop(number, None)

    def next_number(self) -> int:
        """A number that no call under way has."""
        self._number = (self._number + 1) & MAX_NUMBER
        return self._number

    def _connected(self, loop: asyncio.AbstractEventLoop) -> _Connection:
        connection = self._connection
        if connection is None or connection.closed:
            connection = self._connection = _Connection(self, loop)
        if len(connection.waiting) >= MAX_CALLS:
            raise BusyError(f"{MAX_CALLS} calls to {self.base_url} are under way already", retry_after_s=0.5)
        return connection

    async def close(self) -> None:
        """Close the connection; calls that are under way fail."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    def _expire(self, answer: asyncio.Future[bytes], timeout_s: float) -> None:
        if not answer.done():
            answer.set_exception(TimeoutExceeded(f"{self.base_url}: no answer within {timeout_s} s"))


class _Connection(asyncio.Protocol):
    """One connection, with the one request that it carries."""

    def __init__(self, calls: CallClient, loop: asyncio.AbstractEventLoop) -> None:
        url = urlsplit(calls.base_url)
        self.closed = False
        self.waiting: dict[int, asyncio.Future[bytes]] = {}
        self._late: dict[int, asyncio.Future[bytes]] = {}
        self._host, self._port = url.hostname or "", url.port or 443
        self._calls = calls
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._out: list[bytes] = []
        self._flushing = False
        self._frames = framing.FrameBuffer(_MAX_ANSWER_BYTES)
        self._parser = httptools.HttpResponseParser(self)
        self._refusal = bytearray()
        self._heard = self._looked = loop.time()
        self._pinged = 0.0
        quiet_s = calls.quiet_after_s
        self._look_every_s = HEARTBEAT_S if quiet_s is None else min(HEARTBEAT_S, quiet_s / _LOOKS_PER_QUIET)
        self._head = (
            f"POST {url.path.rstrip('/')}{PATH} HTTP/1.1\r\nhost: {url.netloc.rpartition('@')[2]}\r\n"
            "content-type: application/octet-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        ).encode("ascii")
        self._lost: asyncio.Future[None] = loop.create_future()
        self._connecting = loop.create_task(self._connect())
        self._looks_seldom = False
        self._timer = loop.call_later(self._look_every_s, self._look)

    def send(self, number: int, kind: int, body: bytes) -> asyncio.Future[bytes]:
        """Put a call on its way; its answer."""
        if not (self.waiting or self._late):
            self._heard = self._loop.time()
            if self._looks_seldom:
                self._looks_seldom, self._looked = False, self._heard
                self._timer.cancel()
                self._timer = self._loop.call_later(self._look_every_s, self._look)
        answer = self.waiting[number] = self._loop.create_future()
        self._write(write_call(number, kind, body))
        return answer

    def _write(self, frame: bytes) -> None:
        self._out.append(frame)
        if not self._flushing and self._transport is not None:
            self._flushing = True
            self._loop.call_soon(self._flush)

    async def close(self) -> None:
        """Close, and wait until that is done, within bounds."""
        self._fail(ConnectionFailed(f"{self._calls.base_url}: the connection was closed"))
        await asyncio.gather(self._connecting, return_exceptions=True)
        if self._transport is not None and not self._lost.done():
            await asyncio.wait((self._lost,), timeout=_FAREWELL_S)
            self._transport.abort()

    async def _connect(self) -> None:
        base_url, timeout_s = self._calls.base_url, self._calls.connect_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                await self._loop.create_connection(
                    lambda: self, self._host, self._port, ssl=self._calls.tls, server_hostname=self._host
                )
        except TimeoutError:
            self._fail(ConnectionFailed(f"{base_url}: no connection within {timeout_s} s"))
        except PinMismatch as mismatch:
            self._fail(failed_connection(base_url, mismatch))
        except (OSError, ssl.CertificateError) as error:
            self._fail(ConnectionFailed(f"{base_url}: Cannot connect to {self._host}:{self._port}: {error}"))

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin the request, with whatever has gathered meanwhile."""
        self._transport = transport
        if self.closed:
            transport.abort()
            return
        transport.write(self._head)
        self._flush()

    def _flush(self) -> None:
        self._flushing = False
        if self._transport is not None and self._out and not self.closed:
            data = b"".join(self._out)
            self._out.clear()
            self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))

    def data_received(self, data: bytes) -> None:
        """Read on."""
        self._heard = self._loop.time()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(ConnectionFailed(f"{self._calls.base_url}: no HTTP: {error}"))
        except GridLedgerError as error:
            self._fail(error)

    def on_body(self, body: bytes) -> None:
        """A piece of the answers, or of why there are none."""
        if self._parser.get_status_code() != SUCCESS:
            self._refusal += body
            if len(self._refusal) > _MAX_REFUSAL_BYTES:
                self._fail(
                    ConnectionFailed(f"{self._calls.base_url}: an error of more than {_MAX_REFUSAL_BYTES} bytes")
                )
            return
        for frame in self._frames.feed(body):
            if not frame:
                continue
            number, status, payload = read_answer(frame)
            answer = self.waiting.pop(number, None) or self._late.pop(number, None)
            if answer is None or answer.done():
                continue
            if status == SUCCESS:
                answer.set_result(payload)
            else:
                answer.set_exception(from_wire(status, jsontext.loads(payload)))

    def on_message_complete(self) -> None:
        """The gateway has ended its answer: it stops, or it has refused the request."""
        status = self._parser.get_status_code()
        if status == SUCCESS:
            self._fail(ConnectionFailed(f"{self._calls.base_url}: the gateway ended the connection"))
            return
        try:
            message = jsontext.loads(bytes(self._refusal))
        except GridLedgerError:
            message = None
        error = from_wire(status, message.get("error") if isinstance(message, dict) else None)
        if isinstance(error, BusyError):
            error = StreamRefused(error.message, retry_after_s=max(1.0, error.retry_after_s))
        self._fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell those who wait."""
        if not self._lost.done():
            self._lost.set_result(None)
        reason = f": {exc}" if exc is not None else ""
        self._fail(ConnectionFailed(f"{self._calls.base_url}: the connection was lost{reason}"))

    def _fail(self, error: GridLedgerError) -> None:
        """This connection is of no use any more: fail all calls that it has not answered."""
        if self.closed:
            return
        self.closed = True
        self._timer.cancel()
        if self._transport is not None:
            self._transport.close()
        elif not self._connecting.done() and asyncio.current_task(self._loop) is not self._connecting:
            self._connecting.cancel()
        waiting, late = self.waiting, self._late
        self.waiting, self._late = {}, {}
        for answer in (*waiting.values(), *late.values()):
            if not answer.done():
                # Each its own copy: one exception raised in many tasks would grow their tracebacks.
                answer.set_exception(from_wire(error.status, error.to_dict()))

    def _look(self) -> None:
        """Every now and then: is the gateway still there, and is it still needed?"""
        now = self._loop.time()
        since_last_look_s, self._looked = now - self._looked, now
        silent_s, called = now - self._heard, bool(self.waiting or self._late)
        if called and self._transport is not None and silent_s > SILENCE_S:
            self._fail(ConnectionFailed(f"{self._calls.base_url}: nothing heard for {SILENCE_S} s"))
            self._transport.abort()
        elif not called and silent_s > IDLE_S:
            self._fail(ConnectionFailed(f"{self._calls.base_url}: idle"))
        else:
            if self.waiting and self._calls.quiet_after_s is not None:
                # Where our own loop stood still, what the node said meanwhile is not read yet.
                stood_still = since_last_look_s > 2 * self._look_every_s
                self._watch(now, self._calls.quiet_after_s, ask_again=stood_still)
            # Without a call under way nothing hangs on the gateway, and looking often would only cost.
            self._looks_seldom = not called
            self._timer = self._loop.call_later(HEARTBEAT_S if self._looks_seldom else self._look_every_s, self._look)

    def _watch(self, now: float, quiet_after_s: float, *, ask_again: bool) -> None:
        """Ask a silent node whether it is alive; end the calls of one that does not say so."""
        if now - self._heard < quiet_after_s / 2:
            return
        if self._pinged <= self._heard or ask_again:
            self._pinged = now
            self._write(write_call(self._calls.next_number(), PING, b""))
        elif now - self._pinged >= quiet_after_s / 2:
            self._be_quiet(quiet_after_s)

    def _be_quiet(self, quiet_after_s: float) -> None:
        waiting, self.waiting = self.waiting, {}
        for number, answer in waiting.items():
            if answer.done():
                continue
            late = self._late[number] = self._loop.create_future()
            late.add_done_callback(partial(self._late_is_done, number))
            answer.set_exception(NodeQuiet(f"{self._calls.base_url}: nothing heard for {quiet_after_s} s", late))

    def _late_is_done(self, number: int, late: asyncio.Future[bytes]) -> None:
        self._late.pop(number, None)
        if not late.cancelled():
            late.exception()  # perhaps nobody asks for it any more

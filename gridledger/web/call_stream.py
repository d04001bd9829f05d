"""The server's side of a stream of calls, framed as in :mod:`gridledger.transport.call_frames`.

Each call counts as a request: it is authenticated, admitted and refused as one, and has a task of its own. Answers of
one turn of the event loop leave in one write.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gridledger import framing
from gridledger.errors import (
    AuthenticationError,
    BusyError,
    GridLedgerError,
    InputError,
    MalformedJSON,
    UnavailableError,
)
from gridledger.shares import SMALL_BYTES, Caller, HeldBytes, Holder, Pool
from gridledger.transport.call_frames import HEARTBEAT, SUCCESS, read_call, write_answer
from gridledger.transport.node_client import HEARTBEAT_S
from gridledger.web import metrics
from gridledger.web.edge import Edge
from gridledger.web.errors import BodyTooLarge

IDLE_S = 60.0
"""A connection without calls is ended after this time."""

MAX_SKIPPED_BYTES = 64 * 1024 * 1024
"""A call's frame beyond ``max_call_bytes`` is read past up to here and costs that call alone; a longer one ends the
stream."""

_MAX_UNSENT_BYTES = 8 * 1024 * 1024

_log = logging.getLogger(__name__)

CallHandler = Callable[[bytes, Any], Awaitable[bytes]]
"""Answers one call (its body, the caller) with the payload of the answer; raises a GridLedgerError."""


class CallStream(Response):
    """The answer to a request whose body is calls. ``handlers`` by kind: a name for the metrics, and the handler."""

    def __init__(self, handlers: dict[int, tuple[str, CallHandler]], *, max_call_bytes: int, streams: Pool) -> None:
        super().__init__(media_type="application/octet-stream")
        del self.headers["content-length"]
        self._handlers = handlers
        self._streams = streams
        self._frames = framing.FrameBuffer(max_call_bytes, max_skipped=MAX_SKIPPED_BYTES)
        self._max_call_bytes = max_call_bytes
        self._tasks: dict[asyncio.Task[None], Holder] = {}
        """The calls under way, with their places."""
        self._bodies: dict[asyncio.Task[None], tuple[Holder, int]] = {}
        """Those with large bodies, and what of these is counted."""
        self._out: list[bytes] = []
        self._unsent = 0
        self._sending = 0
        self._frame_bytes: HeldBytes
        self._answer_bytes: HeldBytes
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._ended = False
        self._gone = False
        self._stopping = False
        self._edge: Edge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve calls until the client ends or leaves, or nothing was called for long, or the process stops."""
        app = scope["app"]
        edge = self._edge = app.edge
        caller: Caller = scope["state"]["caller"].signer
        self._frame_bytes = HeldBytes(edge.bodies, caller)
        self._answer_bytes = HeldBytes(edge.unread, caller)
        self._abort = scope["extensions"]["connection"]["abort"]
        self._edge.become_calls(scope, self._streams, self._make_room)
        stopping = asyncio.create_task(app.state.stopping.wait())
        stopping.add_done_callback(self._stop)
        reading = asyncio.create_task(self._read(scope, receive))
        try:
            await send({"type": "http.response.start", "status": SUCCESS, "headers": self.raw_headers})
            await self._write(send)
            if self._gone:
                await reading
        finally:
            self._gone = True
            stopping.cancel()
            reading.cancel()
            await asyncio.wait((stopping, reading))
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._frame_bytes.hold(0)
            self._answer_bytes.hold(0)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _read(self, scope: Scope, receive: Receive) -> None:
        """Begin the work on what comes. Reads no further while too many answers lie unread by the client."""
        try:
            while not self._ended:
                message = await receive()
                if message["type"] != "http.request":
                    self._gone = True
                    return
                if frames := self._frames.feed(message.get("body", b"")):
                    self._take(scope, frames)
                if self._frames.skipped:
                    self._refuse_long()
                self._frame_bytes.hold(self._frames.held)
                self._ended = self._ended or not message.get("more_body", False)
                while self._unsent > _MAX_UNSENT_BYTES and not self._gone:
                    self._room.clear()
                    await self._room.wait()
        except BaseException:
            self._gone = True
            raise
        finally:
            self._wake.set()

    def _take(self, scope: Scope, frames: Sequence[bytes]) -> None:
        """Start a task for each call; those that cannot be taken now are refused."""
        refusal: GridLedgerError | None = None
        caller: Any = None
        try:
            if self._stopping:
                raise UnavailableError("this node is being stopped", code="STOPPING")
            caller = self._edge.authenticate(scope)
        except GridLedgerError as error:
            refusal = error
            # Whose certificate has expired or was revoked: these calls are answered, and the stream ends.
            self._ended = self._ended or isinstance(error, AuthenticationError)
        edge, loop = self._edge, asyncio.get_running_loop()
        for frame in frames:
            number, kind, body = read_call(frame)
            name, handler = self._handlers.get(kind, _UNKNOWN)
            if refusal is not None:
                self._answer(number, name, refusal)
                continue
            large = len(body) if len(body) > SMALL_BYTES else 0
            try:
                place = edge.admit(caller)
                if large:
                    holder = self._hold_body(caller, large, place)
            except BusyError as error:
                self._answer(number, name, error)
                continue
            task = loop.create_task(self._serve(number, name, handler, body, caller))
            self._tasks[task] = place
            if large:
                self._bodies[task] = holder, large
            task.add_done_callback(self._served)

    def _hold_body(self, caller: Any, size: int, place: Holder) -> Holder:
        """Count a large call's body while it is served; gives the call's place back where that is refused."""
        try:
            return self._edge.bodies.take(caller.signer, size)
        except BusyError:
            place.give()
            raise

    def _refuse_long(self) -> None:
        """Answer the calls whose frames were too long, and read past."""
        limit = self._max_call_bytes
        for head in self._frames.skipped:
            number, kind, _ = read_call(head)
            error = BodyTooLarge(f"the call is longer than {limit} bytes", max_bytes=limit)
            self._answer(number, self._handlers.get(kind, _UNKNOWN)[0], error)
        self._frames.skipped.clear()

    async def _serve(self, number: int, name: str, handler: CallHandler, body: bytes, caller: Any) -> None:
        """Answer one call."""
        try:
            outcome: bytes | GridLedgerError = await handler(body, caller)
        except GridLedgerError as error:
            outcome = error
        except Exception:
            _log.exception("a call failed", extra={"kind": name})
            outcome = GridLedgerError("the node failed to answer; its log says why")
        self._answer(number, name, outcome)

    def _served(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task).give()
        if self._bodies and task in self._bodies:
            holder, size = self._bodies.pop(task)
            holder.give(size)
        if self._ended or self._stopping:
            self._wake.set()  # perhaps this was the last one

    def _answer(self, number: int, name: str, outcome: bytes | GridLedgerError) -> None:
        try:
            data = write_answer(number, outcome)
        except MalformedJSON as error:
            outcome, data = error, write_answer(number, error)
        metrics.observe_call(name, outcome.status if isinstance(outcome, GridLedgerError) else SUCCESS)
        self._unsent += len(data)
        self._out.append(data)
        if self._unsent > SMALL_BYTES:
            self._hold_answers()
        self._wake.set()

    def _hold_answers(self) -> None:
        """What the client leaves unread counts against its share; beyond it the connection is dropped."""
        try:
            self._answer_bytes.hold(self._unsent - self._sending)
        except BusyError as error:
            _log.info("a stream of calls ended, whose answers are not read: %s", error)
            self._gone = True
            self._room.set()  # whoever waits for the client to read waits in vain
            self._abort()

    async def _write(self, send: Send) -> None:
        """Send what is answered, and a heartbeat while nothing is; returns when there is no more to come."""
        silent_s = 0.0
        while not self._gone and (self._tasks or self._out or not self._over(silent_s)):
            if not self._out:
                await self._awake()
            if self._out:
                silent_s = 0.0
            else:
                silent_s += HEARTBEAT_S
                if not self._tasks or self._gone:
                    continue
                self._out.append(HEARTBEAT)
                self._unsent += len(HEARTBEAT)
            data = b"".join(self._out)
            self._out.clear()
            # What is being sent is counted by the exchange.
            self._sending = self._unsent
            self._answer_bytes.hold(0)
            await send({"type": "http.response.body", "body": data, "more_body": True})
            self._unsent -= self._sending
            self._sending = 0
            self._room.set()

    def _over(self, silent_s: float) -> bool:
        return self._ended or self._stopping or silent_s >= IDLE_S

    async def _awake(self) -> None:
        """Wait for something to do, for the heartbeat's time at most."""
        timer = asyncio.get_running_loop().call_later(HEARTBEAT_S, self._wake.set)
        self._wake.clear()
        try:
            await self._wake.wait()
        finally:
            timer.cancel()

    def _make_room(self) -> None:
        """End: this stream's place is needed for a caller that has fewer."""
        self._ended = True
        self._wake.set()

    def _stop(self, _: object) -> None:
        self._stopping = True
        self._wake.set()


async def _unknown(body: bytes, caller: Any) -> bytes:
    raise InputError("there is no call of this kind here")


_UNKNOWN: tuple[str, CallHandler] = ("unknown", _unknown)

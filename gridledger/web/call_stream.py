"""The server's side of calls: see :mod:`gridledger.transport.call_frames` for what travels.

Each call counts as a request: it is authenticated, admitted and refused as one. What comes together is handed on
together, what is answered in one turn of the event loop goes out in one write.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gridledger import framing
from gridledger.errors import BusyError, GridLedgerError, InputError, MalformedJSON, UnavailableError
from gridledger.transport.call_frames import HEARTBEAT, SUCCESS, read_call, write_answer
from gridledger.transport.node_client import HEARTBEAT_S
from gridledger.web import metrics
from gridledger.web.edge import Edge

IDLE_S = 60.0
"""A connection without calls is ended after this time."""

_MAX_UNSENT_BYTES = 8 * 1024 * 1024

_log = logging.getLogger(__name__)

Abandon = Callable[[], object]


class Answers:
    """Takes the answers to calls that came together, by position; each once, later ones count for nothing."""

    __slots__ = ("_kind", "_left", "_numbers", "_stream", "abandon")

    def __init__(self, stream: CallStream, kind: str, numbers: Sequence[int]) -> None:
        self._stream = stream
        self._kind = kind
        self._numbers = numbers
        self._left = set(range(len(numbers)))
        self.abandon: Abandon = _nothing

    def __call__(self, position: int, outcome: bytes | GridLedgerError) -> None:
        """Answer one: with the payload of its own route's answer, or with an error."""
        if position in self._left and not self._stream.gone:
            self._left.discard(position)
            self._stream.answer(self._numbers[position], self._kind, outcome)
            if not self._left:
                self._stream.answered(self)

    def fail(self, error: Exception) -> None:
        """Answer whatever is left with an error. One that is none of ours is a defect, told in the log only."""
        if not isinstance(error, GridLedgerError):
            _log.error("calls failed", extra={"kind": self._kind}, exc_info=error)
            error = GridLedgerError("the node failed to answer; its log says why")
        for position in list(self._left):
            self(position, error)

    def work(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Answer by means of a task, which is cancelled when nobody wants to know any more."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self.abandon = task.cancel
        task.add_done_callback(self._worked)

    async def each(self, bodies: Sequence[bytes], work: Callable[[bytes], Awaitable[bytes]]) -> None:
        """Answer each by itself, side by side."""

        async def one(position: int, body: bytes) -> None:
            try:
                self(position, await work(body))
            except GridLedgerError as error:
                self(position, error)

        async with asyncio.TaskGroup() as tasks:
            for position, body in enumerate(bodies):
                tasks.create_task(one(position, body))

    def _worked(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            error = task.exception()
            if self._left or error is not None:
                self.fail(error if isinstance(error, Exception) else RuntimeError("calls were left without an answer"))


Handler = Callable[[Sequence[bytes], Any, Answers], None]
"""Begins the work on calls of one kind (their bodies, the caller) that came together. May set ``abandon``, which is
called when the client has left."""


class CallStream(Response):
    """The answer to a request whose body is calls. ``handlers`` by kind: a name for the metrics, and the handler."""

    def __init__(self, handlers: dict[int, tuple[str, Handler]], *, max_call_bytes: int, max_streams: int) -> None:
        super().__init__(media_type="application/octet-stream")
        del self.headers["content-length"]
        self._handlers = handlers
        self._max_streams = max_streams
        self._frames = framing.FrameBuffer(max_call_bytes)
        self._working: set[Answers] = set()
        self._under_way = 0
        self._out: list[bytes] = []
        self._unsent = 0
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._ended = False
        self._gone = False
        self._stopping = False
        self._edge: Edge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve calls until the client ends or leaves, or nothing was called for long, or the process stops."""
        app = scope["app"]
        self._edge = app.edge
        self._edge.become_calls(scope, self._max_streams)
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
            for answers in self._working:
                answers.abandon()
            self._edge.active -= self._under_way
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
                self._ended = not message.get("more_body", False)
                while self._unsent > _MAX_UNSENT_BYTES:
                    self._room.clear()
                    await self._room.wait()
        except BaseException:
            self._gone = True
            raise
        finally:
            self._wake.set()

    def _take(self, scope: Scope, frames: Sequence[bytes]) -> None:
        together: dict[int, tuple[list[int], list[bytes]]] = {}
        for frame in frames:
            number, kind, body = read_call(frame)
            numbers, bodies = together.setdefault(kind, ([], []))
            numbers.append(number)
            bodies.append(body)
        for kind, (numbers, bodies) in together.items():
            name, handler = self._handlers.get(kind, ("unknown", None))
            free = max(0, self._edge.limits.max_requests - self._edge.active)
            if free:
                self._begin(scope, name, numbers[:free], bodies[:free], handler or _refuse_unknown)
            if len(numbers) > free:
                self._begin(scope, name, numbers[free:], bodies[free:], _refuse_busy)

    def _begin(
        self, scope: Scope, name: str, numbers: Sequence[int], bodies: Sequence[bytes], handler: Handler
    ) -> None:
        answers = Answers(self, name, numbers)
        self._under_way += len(numbers)
        self._edge.active += len(numbers)
        self._working.add(answers)
        try:
            if self._stopping:
                raise UnavailableError("this node is being stopped", code="STOPPING")
            handler(bodies, self._edge.authenticate(scope), answers)
        except Exception as error:
            answers.fail(error)

    def answer(self, number: int, kind: str, outcome: bytes | GridLedgerError) -> None:
        """One call is answered."""
        try:
            data = write_answer(number, outcome)
        except MalformedJSON as error:
            outcome, data = error, write_answer(number, error)
        metrics.observe_call(kind, outcome.status if isinstance(outcome, GridLedgerError) else SUCCESS)
        self._edge.active -= 1
        self._under_way -= 1
        self._unsent += len(data)
        self._out.append(data)
        self._wake.set()

    @property
    def gone(self) -> bool:
        """Whether nobody reads answers any more."""
        return self._gone

    def answered(self, answers: Answers) -> None:
        """All of these are answered."""
        self._working.discard(answers)

    async def _write(self, send: Send) -> None:
        """Send what is answered, and a heartbeat while nothing is; returns when there is no more to come."""
        silent_s = 0.0
        while not self._gone and (self._under_way or self._out or not self._over(silent_s)):
            if not self._out:
                await self._awake()
            if self._out:
                silent_s = 0.0
            else:
                silent_s += HEARTBEAT_S
                if not self._under_way or self._gone:
                    continue
                self._out.append(HEARTBEAT)
            data = b"".join(self._out)
            self._out.clear()
            await send({"type": "http.response.body", "body": data, "more_body": True})
            self._unsent = sum(map(len, self._out))
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

    def _stop(self, _: object) -> None:
        self._stopping = True
        self._wake.set()


def _nothing() -> None:
    return


def _refuse_busy(bodies: Sequence[bytes], caller: Any, answers: Answers) -> None:
    raise BusyError("as many requests as this node takes are being served here already", retry_after_s=0.2)


def _refuse_unknown(bodies: Sequence[bytes], caller: Any, answers: Answers) -> None:
    raise InputError("there is no call of this kind here")

"""The HTTP edge: the one middleware that identifies callers, bounds requests and answers errors as JSON. Pure ASGI."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import ceil
from sys import maxsize
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gridledger import jsontext
from gridledger.errors import BusyError, GridLedgerError, MalformedJSON
from gridledger.files import no_space_left
from gridledger.identity.certificate import Certificate
from gridledger.shares import SMALL_BYTES, Caller, HeldBytes, Holder, Pool
from gridledger.web import metrics
from gridledger.web.errors import BodyTooLarge, ClientCertificateRequired

Authenticator = Callable[[Certificate], Any]
"""Takes the peer's certificate and returns the caller (an ``Identity``), or raises an ``AuthenticationError``. It must
check the dates, which the TLS handshake leaves to it."""

Identify = Callable[[Scope], Any]
"""Takes a request's ASGI scope and returns the caller, or raises an ``AuthenticationError``."""

ALWAYS_OPEN = ("/healthz", "/version")
_DATA = "the node's data folder"
_JSON = (b"content-type", b"application/json")
_CLOSE = (b"connection", b"close")
_KNOWN_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"))

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one process takes on at once. Beyond a bound callers get 429 or 413, or the connection is closed.

    ``max_body_bytes`` bounds every request's body (a route may ask for less when it reads); ``max_requests`` the
    requests being served, not counting streams, which ``max_streams`` bounds; ``max_held_bytes`` what large bodies
    (over ``SMALL_BYTES``) and unread answers hold, each. All of these are shared (:mod:`gridledger.shares`).
    ``request_timeout_s`` is the time a client has to send a whole request, ``reader_timeout_s`` in which it must read
    ``SMALL_BYTES`` more, or the rest, of an answer; ``keep_alive_s`` how long an idle connection stays open,
    ``drain_s`` how long a refused body is read on.
    """

    max_body_bytes: int = 8 * 1024 * 1024
    max_requests: int = 512
    max_streams: int = 256
    max_connections: int = 2048
    max_held_bytes: int = 128 * 1024 * 1024
    max_header_bytes: int = 64 * 1024
    request_timeout_s: float = 30.0
    reader_timeout_s: float = 20.0
    keep_alive_s: int = 75
    drain_s: float = 1.0
    retry_after_s: float = 0.2


class Reserve:
    """Places beside the common ones, for callers of a kind (nodes, say): taken where no common one is to be had."""

    __slots__ = ("requests", "streams")

    def __init__(self, kind: str, requests: int, streams: int = 0) -> None:
        self.requests = Pool(f"requests of {kind}", requests, retry_after_s=0.2)
        self.streams = Pool(f"streams of {kind}", streams, retry_after_s=1.0)


ReserveOf = Callable[[Any], Reserve | None]
"""The reserve that a caller may take places of; asked only when the common places are refused to it."""


class Slot:
    """A request's place among those being served; a stream gives it back and takes one among the streams."""

    __slots__ = ("_caller", "_edge", "_end", "_exchange", "_holder")

    def __init__(self, edge: Edge, caller: Any, exchange: _Exchange) -> None:
        self._edge = edge
        self._caller = caller
        self._exchange = exchange
        self._holder: Holder | None = edge.admit(caller)
        self._end: Callable[[], None] | None = None

    def become_stream(self, end: Callable[[], None] | None = None) -> None:
        """Count as a stream from now on; :class:`BusyError` when there are too many.

        ``end`` is called when the place is needed for somebody else: the stream must end soon.
        """
        edge, caller = self._edge, self._caller
        self._become(edge.take_stream(edge.streams, caller, end), end)

    def become_calls(self, streams: Pool, end: Callable[[], None]) -> None:
        """Count among ``streams``, as above."""
        self._become(self._edge.take_stream(streams, self._caller, end), end)

    def release(self) -> None:
        """Give the place back."""
        holder, self._holder = self._holder, None
        if holder is not None:
            holder.give(end=self._end)

    def _become(self, holder: Holder, end: Callable[[], None] | None) -> None:
        self.release()
        self._holder, self._end = holder, end
        # Whoever reads it bounds its parts.
        self._exchange.flow()


class _Exchange:
    """One request on its way: what was sent so far, and how much of the body has come.

    Large bodies and large answers count among the bytes that this process holds for the caller. Answers are written in
    slices, as fast as the client reads: what has been handed to a TLS transport as a whole lies there as a whole.
    """

    __slots__ = (
        "_answer",
        "_body",
        "_edge",
        "_flows",
        "_limit",
        "_receive",
        "_received",
        "_send",
        "announced",
        "caller",
        "status",
        "too_large",
    )

    def __init__(self, receive: Receive, send: Send, edge: Edge) -> None:
        self._receive = receive
        self._send = send
        self._edge = edge
        self._limit = edge.limits.max_body_bytes
        self._received = 0
        self._flows = False
        self._body: HeldBytes | None = None
        self._answer: HeldBytes | None = None
        self.announced = 0
        """The body's length, where the request's head tells it."""
        self.caller: Caller = ("", "")
        self.status = 0
        self.too_large = False

    def flow(self) -> None:
        """Hold nothing of the body any more: whoever reads it keeps only parts of it, and bounds them."""
        self._flows = True
        if self._body is not None:
            self._body.hold(0)

    def lift(self) -> None:
        """Bound the body no more."""
        self._limit = maxsize

    def release(self) -> None:
        """Nothing is held any more."""
        if self._body is not None:
            self._body.hold(0)
        if self._answer is not None:
            self._answer.hold(0)

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            if self._received > self._limit:
                self.too_large = True
                raise BodyTooLarge(f"the body is longer than {self._limit} bytes", max_bytes=self._limit)
            size = max(self._received, self.announced)
            if size > SMALL_BYTES and not self._flows:
                self._body = self._body or HeldBytes(self._edge.bodies, self.caller)
                self._body.hold(size)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if self.too_large:
                # A framework caught our error and made one of its own of it; ours is the true one.
                raise BodyTooLarge(f"the body is longer than {self._limit} bytes", max_bytes=self._limit)
            length = _content_length(message["headers"])
            if length > SMALL_BYTES:
                self._hold_answer(length)
            self.status = message["status"]
        elif len(body := message.get("body", b"")) > SMALL_BYTES:
            await self._send_slices(body, more_body=message.get("more_body", False))
            return
        await self._send(message)

    def _hold_answer(self, size: int) -> HeldBytes:
        held = self._answer = self._answer or HeldBytes(self._edge.unread, self.caller)
        held.hold(size)
        return held

    async def _send_slices(self, body: bytes, *, more_body: bool) -> None:
        held = self._hold_answer(len(body))
        for begin in range(0, len(body), SMALL_BYTES):
            end = begin + SMALL_BYTES
            more = more_body or end < len(body)
            await self._send({"type": "http.response.body", "body": body[begin:end], "more_body": more})
        held.hold(0)


class Edge:
    """Surrounds whatever a service answers with. One instance per process."""

    def __init__(
        self,
        identify: Identify,
        limits: Limits,
        open_routes: Iterable[str] = (),
        reserve_of: ReserveOf = lambda _: None,
    ) -> None:
        self.limits = limits
        self.requests = Pool("requests", limits.max_requests, retry_after_s=limits.retry_after_s)
        self.streams = Pool("streams", limits.max_streams, retry_after_s=1.0)
        self.bodies = Pool("bytes of requests", limits.max_held_bytes, retry_after_s=1.0)
        self.unread = Pool("bytes of unread answers", limits.max_held_bytes, retry_after_s=1.0)
        self._reserve_of = reserve_of
        self._identify = identify
        patterns = [re.sub(r"\\\{[a-z_]+\\\}", "[^/]+", re.escape(route)) for route in (*ALWAYS_OPEN, *open_routes)]
        self._open = re.compile("|".join(patterns))
        metrics.ACTIVE.set_function(lambda: self.requests.used)
        metrics.STREAMS.set_function(lambda: self.streams.used)

    def around(self, app: ASGIApp) -> ASGIApp:
        """An application, with the edge before it: a middleware's factory."""

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                await self.serve(app, scope, receive, send)
            else:
                await app(scope, receive, send)

        return serve

    async def serve(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Have ``app`` answer one request."""
        started = time.perf_counter()
        exchange = _Exchange(receive, send, self)
        slot: Slot | None = None
        try:
            state = scope.setdefault("state", {})
            exchange.announced = self._length_of_body(scope)
            if self._open.fullmatch(scope["path"]) is None:
                state["caller"] = caller = self.authenticate(scope)
                place = scope["extensions"]["connection"]["place"]
                if not place.identified:
                    scope["extensions"]["connection"]["table"].identify(place, caller.signer)
                exchange.caller = caller.signer
                slot = Slot(self, caller, exchange)
            else:
                state["caller"] = None
                exchange.caller = "", str(scope["extensions"]["connection"]["place"].holder)
            state["slot"] = slot
            state["exchange"] = exchange
            await app(scope, exchange.receive, exchange.send)
        except ClientDisconnect:
            exchange.status = exchange.status or 499
        except GridLedgerError as error:
            await self._answer(scope, exchange, send, receive, error)
        except Exception as error:
            _log.exception("a request failed", extra={"path": scope["path"], "method": scope["method"]})
            failure = no_space_left(error, _DATA) or GridLedgerError("the node failed to answer; its log says why")
            await self._answer(scope, exchange, send, receive, failure)
        finally:
            if slot is not None:
                slot.release()
            exchange.release()
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if scope["method"] in _KNOWN_METHODS else "other"
            metrics.observe(method, route, exchange.status, time.perf_counter() - started)

    def _length_of_body(self, scope: Scope) -> int:
        """What the head says, 0 where it says nothing; :class:`BodyTooLarge` where it is too much."""
        limit, length = self.limits.max_body_bytes, _content_length(scope["headers"])
        if length > limit:
            raise BodyTooLarge(f"the body is longer than {limit} bytes", max_bytes=limit)
        return length

    def admit(self, caller: Any) -> Holder:
        """A place for one request or call; :class:`BusyError` where there is none for this caller."""
        try:
            return self.requests.take(caller.signer)
        except BusyError:
            reserve = self._reserve_of(caller)
            if reserve is None:
                raise
            return reserve.requests.take(caller.signer)

    def take_stream(self, streams: Pool, caller: Any, end: Callable[[], None] | None) -> Holder:
        """A place among ``streams``, likewise."""
        try:
            return streams.take(caller.signer, end=end)
        except BusyError:
            reserve = self._reserve_of(caller)
            if reserve is None:
                raise
            return reserve.streams.take(caller.signer, end=end)

    def become_calls(self, scope: Scope, streams: Pool, end: Callable[[], None]) -> None:
        """Let a request last and carry calls: each of them is bounded, not the whole. It counts among ``streams``."""
        scope["state"]["slot"].become_calls(streams, end)
        scope["state"]["exchange"].lift()
        scope["extensions"]["connection"]["take_time"]()

    def authenticate(self, scope: Scope) -> Any:
        """Who sends this request, as of now; raises an ``AuthenticationError``."""
        return self._identify(scope)

    async def _answer(
        self, scope: Scope, exchange: _Exchange, send: Send, receive: Receive, error: GridLedgerError
    ) -> None:
        if exchange.status:
            # The head of another answer is out. The connection is closed inside its body, which the client notices.
            _log.error(
                "a response was cut short", extra={"path": scope["path"], "code": error.code, "why": error.message}
            )
            return
        headers = [_JSON]
        if isinstance(error, BusyError):
            headers.append((b"retry-after", str(max(1, ceil(error.retry_after_s))).encode()))
        unread = isinstance(error, BodyTooLarge)
        if unread:
            headers.append(_CLOSE)
        body = _error_body(error)
        headers.append((b"content-length", str(len(body)).encode()))
        exchange.status = error.status
        await send({"type": "http.response.start", "status": error.status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": unread})
        if unread:
            # Closed at once, a client that is still sending would see a reset instead of the answer.
            if not await self._drained(receive):
                scope["extensions"]["connection"]["abort"]()
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _drained(self, receive: Receive) -> bool:
        """Read on what nobody wants, within bounds; whether it came to an end."""
        left = 4 * self.limits.max_body_bytes
        try:
            async with asyncio.timeout(self.limits.drain_s):
                while left > 0:
                    message = await receive()
                    if message["type"] != "http.request" or not message.get("more_body", False):
                        return True
                    left -= len(message.get("body", b""))
        except TimeoutError:
            pass
        return False


def by_certificate(authenticator: Authenticator) -> Identify:
    """Callers are whom their client certificate names. It is parsed once a connection."""

    def identify(scope: Scope) -> Any:
        connection = scope.get("extensions", {}).get("tls", {})
        certificate = connection.get("parsed")
        if certificate is None:
            der = connection.get("client_certificate")
            if der is None:
                raise ClientCertificateRequired("connect with a client certificate that the network's CA has issued")
            certificate = connection["parsed"] = Certificate.from_der(der)
        return authenticator(certificate)

    return identify


def _content_length(headers: Iterable[tuple[bytes, bytes]]) -> int:
    """What a head says of the length of what follows, 0 where it says nothing."""
    for name, value in headers:
        if name == b"content-length":
            return int(value)
    return 0


def _error_body(error: GridLedgerError) -> bytes:
    try:
        return jsontext.dumps({"error": error.to_dict()})
    except MalformedJSON:
        details = {name: repr(value) for name, value in error.details.items()}
        return jsontext.dumps({"error": {"code": error.code, "message": error.message, "details": details}})

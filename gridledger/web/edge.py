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
    requests being served, not counting streams, which ``max_streams`` bounds. ``request_timeout_s`` is the time a
    client has to send a whole request, ``keep_alive_s`` how long an idle connection stays open, ``drain_s`` how long a
    refused body is read on.
    """

    max_body_bytes: int = 8 * 1024 * 1024
    max_requests: int = 512
    max_streams: int = 256
    max_connections: int = 2048
    max_header_bytes: int = 64 * 1024
    request_timeout_s: float = 30.0
    keep_alive_s: int = 75
    drain_s: float = 1.0
    retry_after_s: float = 0.2


@dataclass(slots=True)
class StreamLimit:
    """How many streams of calls are open, of at most ``most``. Callers of different rights have limits of their own."""

    most: int
    open: int = 0


class Slot:
    """A request's place among those being served; a stream gives it back and takes one among the streams."""

    __slots__ = ("_edge", "_kind", "_streams")

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._kind = "request"
        self._streams: StreamLimit | None = None
        edge.active += 1

    def become_stream(self) -> None:
        """Count as a stream from now on; :class:`BusyError` when there are too many."""
        edge = self._edge
        if edge.streams >= edge.limits.max_streams:
            raise BusyError(f"{edge.streams} streams are open here already", retry_after_s=1.0)
        edge.active -= 1
        edge.streams += 1
        metrics.STREAMS.set(edge.streams)
        self._kind = "stream"

    def become_calls(self, streams: StreamLimit) -> None:
        """Count among ``streams`` from now on; :class:`BusyError` when there are too many."""
        if streams.open >= streams.most:
            raise BusyError(f"{streams.open} streams of calls are open here already", retry_after_s=1.0)
        self._edge.active -= 1
        streams.open += 1
        self._streams = streams
        self._kind = "calls"

    def release(self) -> None:
        """Give the place back."""
        kind, self._kind = self._kind, "released"
        if kind == "request":
            self._edge.active -= 1
        elif kind == "stream":
            self._edge.streams -= 1
            metrics.STREAMS.set(self._edge.streams)
        elif self._streams is not None:
            self._streams.open -= 1
            self._streams = None


class _Exchange:
    """One request on its way: what was sent so far, and how much of the body has come."""

    __slots__ = ("_limit", "_receive", "_received", "_send", "status", "too_large")

    def __init__(self, receive: Receive, send: Send, limit: int) -> None:
        self._receive = receive
        self._send = send
        self._limit = limit
        self._received = 0
        self.status = 0
        self.too_large = False

    def lift(self) -> None:
        """Bound the body no more: whoever reads it bounds its parts."""
        self._limit = maxsize

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            if self._received > self._limit:
                self.too_large = True
                raise BodyTooLarge(f"the body is longer than {self._limit} bytes", max_bytes=self._limit)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if self.too_large:
                # A framework caught our error and made one of its own of it; ours is the true one.
                raise BodyTooLarge(f"the body is longer than {self._limit} bytes", max_bytes=self._limit)
            self.status = message["status"]
        await self._send(message)


class Edge:
    """Surrounds whatever a service answers with. One instance per process."""

    def __init__(self, identify: Identify, limits: Limits, open_routes: Iterable[str] = ()) -> None:
        self.limits = limits
        self.active = 0
        self.streams = 0
        self._identify = identify
        patterns = [re.sub(r"\\\{[a-z_]+\\\}", "[^/]+", re.escape(route)) for route in (*ALWAYS_OPEN, *open_routes)]
        self._open = re.compile("|".join(patterns))
        metrics.ACTIVE.set_function(lambda: self.active)

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
        exchange = _Exchange(receive, send, self.limits.max_body_bytes)
        slot: Slot | None = None
        try:
            state = scope.setdefault("state", {})
            self._refuse_long_body(scope)
            if self._open.fullmatch(scope["path"]) is None:
                slot = self._admit()
                state["caller"] = caller = self.authenticate(scope)
                connection = scope["extensions"]["connection"]
                if not connection["place"].identified:
                    connection["table"].identify(connection["place"], caller.signer)
            else:
                state["caller"] = None
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
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if scope["method"] in _KNOWN_METHODS else "other"
            metrics.observe(method, route, exchange.status, time.perf_counter() - started)

    def _refuse_long_body(self, scope: Scope) -> None:
        for name, value in scope["headers"]:
            if name == b"content-length" and int(value) > self.limits.max_body_bytes:
                limit = self.limits.max_body_bytes
                raise BodyTooLarge(f"the body is longer than {limit} bytes", max_bytes=limit)

    def _admit(self) -> Slot:
        if self.active >= self.limits.max_requests:
            raise BusyError(
                f"{self.active} requests are being served here already", retry_after_s=self.limits.retry_after_s
            )
        return Slot(self)

    def become_calls(self, scope: Scope, streams: StreamLimit) -> None:
        """Let a request last and carry calls: each of them is bounded, not the whole. It counts among ``streams``."""
        scope["state"]["slot"].become_calls(streams)
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


def _error_body(error: GridLedgerError) -> bytes:
    try:
        return jsontext.dumps({"error": error.to_dict()})
    except MalformedJSON:
        details = {name: repr(value) for name, value in error.details.items()}
        return jsontext.dumps({"error": {"code": error.code, "message": error.message, "details": details}})

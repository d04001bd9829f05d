"""One HTTP connection: uvicorn's protocol, with the peer's certificate in the scope and bounds on head and time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gridledger import jsontext
from gridledger.errors import BusyError
from gridledger.shares import SMALL_BYTES, Caller, Holder
from gridledger.web.connections import Connection, Connections
from gridledger.web.edge import Edge, Limits

_FAREWELL_S = 0.5
"""How long a closed connection may take to flush, and to answer TLS's farewell, which an idle client never reads."""


class EdgeProtocol(HttpToolsProtocol):
    """One connection, with the limits from ``app.state.limits``.

    ``scope["extensions"]`` is the same for all its requests: ``tls``, whose ``client_certificate`` is DER or None, and
    ``connection``, whose ``abort`` drops the connection without a farewell, whose ``leaving`` is a set of functions to
    call when it is lost, whose ``take_time`` lets the present request's body come as slowly as it likes, and whose
    ``place`` in the server's ``table`` of connections is to be given to its caller once that is known.
    """

    def __init__(self, *args: Any, place: Connection, table: Connections, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._place = place
        self._table = table
        self._limits: Limits = self.config.app.state.limits  # type: ignore[union-attr]
        self._edge: Edge = self.config.app.edge  # type: ignore[union-attr]
        self._unread = 0
        self._unread_place: Holder | None = None
        self._reading: asyncio.TimerHandle | None = None
        self._extensions: dict[str, Any] = {}
        self._leaving: set[Callable[[], None]] = set()
        self._in_head = True
        self._head_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the certificate once."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=SMALL_BYTES)
        ssl_object = transport.get_extra_info("ssl_object")
        certificate = ssl_object.getpeercert(True) if ssl_object is not None else None
        connection = {
            "abort": transport.abort,
            "leaving": self._leaving,
            "take_time": self._stop_deadline,
            "place": self._place,
            "table": self._table,
        }
        self._place.end = transport.abort
        self._extensions = {"tls": {"client_certificate": certificate}, "connection": connection}
        self._start_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer with the connection; tell those who work for a client that has left."""
        self._stop_deadline()
        self._stop_watching_reader()
        self._table.remove(self._place)
        super().connection_lost(exc)
        for leave in list(self._leaving):
            leave()

    def pause_writing(self) -> None:
        """The client reads more slowly than we write: what lies here for it counts against its caller's share."""
        super().pause_writing()
        if self._unread_place is not None or self.transport.is_closing():
            return
        self._unread = self.transport.get_write_buffer_size() + SMALL_BYTES  # and what lies below TLS
        caller: Caller = self._place.holder if self._place.identified else ("", str(self._place.holder))  # type: ignore[assignment]
        try:
            self._unread_place = self._edge.unread.take(caller, self._unread)
        except BusyError:
            self.transport.abort()
            return
        left = self.transport.get_write_buffer_size()
        self._reading = self.loop.call_later(self._limits.reader_timeout_s, self._look_at_reader, left)

    def resume_writing(self) -> None:
        """The client has read what lay here."""
        self._stop_watching_reader()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Parse on, unless the connection is being closed because a bound was passed."""
        if self.parser is None or self.transport.is_closing():
            return
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        # Counted as received: a header's value reaches our callbacks only when it is complete, which may be never.
        if self._in_head and self._head_bytes > self._limits.max_header_bytes and not self.transport.is_closing():
            self.send_400_response("")

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP request, or has too long a head, and close."""
        status, code = (b"400 Bad Request", "MALFORMED_REQUEST")
        if self._head_bytes > self._limits.max_header_bytes:
            status, code = (b"431 Request Header Fields Too Large", "HEAD_TOO_LARGE")
            msg = f"the request's head is longer than {self._limits.max_header_bytes} bytes"
        body = jsontext.dumps({"error": {"code": code, "message": msg, "details": {}}})
        head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % (
            status,
            len(body),
        )
        self.transport.write(head + body)
        self.transport.close()

    def on_message_begin(self) -> None:
        """A request begins, and with it its clock."""
        super().on_message_begin()
        self.scope["extensions"] = self._extensions
        if self._deadline is None:
            self._start_deadline()

    def on_headers_complete(self) -> None:
        """The head is here as a whole."""
        self._in_head = False
        self._head_bytes = 0
        self._place.serving = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is here as a whole."""
        self._stop_deadline()
        self._in_head = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer is written; where it was the last, the connection's end is bounded."""
        if not self.pipeline:
            self._place.serving = False
        super().on_response_complete()
        if self.transport.is_closing():
            self.loop.call_later(_FAREWELL_S, self.transport.abort)

    def shutdown(self) -> None:
        """The process stops: end now if idle, else behind the answer being made."""
        super().shutdown()
        if self.transport.is_closing():
            self.loop.call_later(_FAREWELL_S, self.transport.abort)

    def _look_at_reader(self, before: int) -> None:
        """Drop a client that has read next to nothing in its time."""
        left = self.transport.get_write_buffer_size()
        if before - left < min(SMALL_BYTES, before):
            self.transport.abort()
        else:
            self._reading = self.loop.call_later(self._limits.reader_timeout_s, self._look_at_reader, left)

    def _stop_watching_reader(self) -> None:
        place, self._unread_place = self._unread_place, None
        if place is not None:
            place.give(self._unread)
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _start_deadline(self) -> None:
        self._deadline = self.loop.call_later(self._limits.request_timeout_s, self._too_slow)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.close()

"""What a browser gets around the edge: security headers on every answer, a page for every error, the way to log in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gridledger import jsontext
from gridledger.errors import GridLedgerError
from services.console.page_headers import NO_STORE, SECURITY_HEADERS

ErrorPage = Callable[[int, str, str], str]
"""The HTML text for a status, an error's code and its message."""

_JSON: Final = b"application/json"
_UNAUTHORISED: Final = 401
_FIRST_ERROR: Final = 400


def for_browsers(app: ASGIApp, error_page: ErrorPage) -> ASGIApp:
    """``app``, whose errors (JSON) are pages where a browser navigates, and a redirect to /login where nobody is logged
    in. A program that asks for anything but ``text/html`` gets the JSON."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        answer = _Answer(scope, send, error_page)
        await app(scope, receive, answer.send)

    return serve


class _Answer:
    """One answer on its way out."""

    def __init__(self, scope: Scope, send: Send, error_page: ErrorPage) -> None:
        head = dict(scope["headers"])
        self._navigates = b"text/html" in head.get(b"accept", b"")
        self._partial = b"hx-request" in head
        self._path: str = scope["path"]
        self._send = send
        self._error_page = error_page
        self._refused: Message | None = None
        self._body = bytearray()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            own = {name for name, _ in headers}
            headers += [pair for pair in (*SECURITY_HEADERS, NO_STORE) if pair[0] not in own]
            message = {**message, "headers": headers}
            if message["status"] >= _FIRST_ERROR and _is_json(message) and (self._navigates or self._partial):
                self._refused = message
                return
        elif self._refused is not None:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._tell(self._refused)
            return
        await self._send(message)

    async def _tell(self, refused: Message) -> None:
        status, (code, text) = refused["status"], _read(bytes(self._body))
        kept = [pair for pair in refused["headers"] if pair[0] not in (b"content-type", b"content-length")]
        body = b""
        if status == _UNAUTHORISED and self._path != "/login":
            if self._partial:
                kept.append((b"hx-redirect", b"/login"))
            else:
                status = 303
                kept.append((b"location", b"/login"))
        else:
            body = self._error_page(status, code, text).encode()
            kept.append((b"content-type", b"text/html; charset=utf-8"))
        kept.append((b"content-length", str(len(body)).encode()))
        await self._send({"type": "http.response.start", "status": status, "headers": kept})
        await self._send({"type": "http.response.body", "body": body})


def _is_json(message: Message) -> bool:
    return any(name == b"content-type" and value.startswith(_JSON) for name, value in message["headers"])


def _read(body: bytes) -> tuple[str, str]:
    try:
        error: Any = jsontext.loads(body)["error"]
        return str(error["code"]), str(error["message"])
    except (GridLedgerError, KeyError, TypeError):
        return "ERROR", "the console failed to answer"

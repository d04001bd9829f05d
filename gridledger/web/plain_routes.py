"""Routes that every transaction takes: plain ASGI behind the edge, without Starlette's layers (100 us a request)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gridledger.web.errors import MethodNotAllowed

_T = TypeVar("_T")
_JSON = (b"content-type", b"application/json")


class PlainRequest:
    """What a plain route sees of a request: ``caller``, the path's ``parameter`` ("" where the route has none)."""

    __slots__ = ("_query", "caller", "parameter", "receive", "scope")

    def __init__(self, scope: Scope, receive: Receive, parameter: str) -> None:
        self.scope = scope
        self.receive = receive
        self.parameter = parameter
        self.caller: Any = scope["state"]["caller"]
        self._query: dict[str, str] | None = None

    def query(self, name: str) -> str | None:
        """A parameter of the query, None if it is not there."""
        if self._query is None:
            text = self.scope["query_string"].decode("latin-1")
            self._query = dict(parse_qsl(text, keep_blank_values=True)) if text else {}
        return self._query.get(name)


Handler = Callable[[PlainRequest], Awaitable[bytes | Response]]
"""Answers a request: with a JSON text, which goes out with status 200, or with a response."""


class PlainRoute:
    """A POST route. ``path`` is as it stands, or has one parameter: ``/channels/{name}/broadcast``."""

    __slots__ = ("_before", "_behind", "_handler", "_has_parameter", "path")

    def __init__(self, path: str, handler: Handler) -> None:
        self.path = path
        self._handler = handler
        self._before, _, rest = path.partition("{")
        self._has_parameter = bool(rest)
        self._behind = rest.partition("}")[2]

    def matches(self, path: str) -> bool:
        """Whether a request's path is this route's."""
        if not self._has_parameter:
            return path == self.path
        return path.startswith(self._before) and path.endswith(self._behind) and "/" not in (self._read(path) or "/")

    def _read(self, path: str) -> str:
        return path[len(self._before) : len(path) - len(self._behind)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["method"] != "POST":
            raise MethodNotAllowed(f"{scope['path']} does not take {scope['method']}")
        parameter = self._read(scope["path"]) if self._has_parameter else ""
        answer = await self._handler(PlainRequest(scope, receive, parameter))
        if not isinstance(answer, bytes):
            await answer(scope, receive, send)
            return
        headers = [_JSON, (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


async def unless_disconnected(scope: Scope, work: Awaitable[_T]) -> _T:
    """What ``work`` gives; it is cancelled when the client leaves before that (``ClientDisconnect``).

    The connection itself calls back, so that no task need wait beside each request.
    """
    serving = asyncio.current_task()
    gone = False

    def leave() -> None:
        nonlocal gone
        gone = True
        if serving is not None:
            serving.cancel()

    leaving: set[Callable[[], None]] = scope["extensions"]["connection"]["leaving"]
    leaving.add(leave)
    try:
        return await work
    except asyncio.CancelledError:
        if not gone or serving is None:
            raise
        serving.uncancel()
        raise ClientDisconnect from None
    finally:
        leaving.discard(leave)

"""A service's FastAPI application, and the helpers with which its routes read requests and write answers."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Protocol

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

import gridledger
from gridledger import jsontext
from gridledger.errors import GridLedgerError, InputError, PermissionDeniedError
from gridledger.web.edge import Edge, Identify, Limits, ReserveOf
from gridledger.web.errors import BodyTooLarge, MethodNotAllowed, RouteNotFound
from gridledger.web.metrics_access import MayReadMetrics, nobody
from gridledger.web.openapi import Description, document
from gridledger.web.plain_routes import PlainRoute

Health = Callable[[], Mapping[str, Any]]
WholeNumber = Annotated[int, Field(ge=0, lt=2**63)]
"""A number in a path or a query, such as a block's: 0 or more."""


class Receiving(Protocol):
    """A request whose body can be received: Starlette's, or a plain route's."""

    @property
    def receive(self) -> Receive: ...


class Application(FastAPI):
    """A FastAPI application with plain routes, which the edge serves without FastAPI's and Starlette's machinery."""

    edge: Edge

    def __init__(self, **options: Any) -> None:
        super().__init__(openapi_url=None, docs_url=None, redoc_url=None, **options)
        self._plain: list[PlainRoute] = []

    def add_plain_routes(self, routes: Iterable[PlainRoute]) -> None:
        """Serve these before any other."""
        self._plain += routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] == "http":
            path = scope["path"]
            for route in self._plain:
                if route.matches(path):
                    scope["app"] = self
                    scope["route"] = route
                    await self.edge.serve(route, scope, receive, send)
                    return
        await super().__call__(scope, receive, send)


def create_app(
    service: str,
    identify: Identify,
    limits: Limits | None = None,
    health: Health | None = None,
    *,
    node: str = "",
    open_routes: Iterable[str] = (),
    description: Description | None = None,
    reserve_of: ReserveOf = lambda _: None,
    may_read_metrics: MayReadMetrics = nobody,
) -> Application:
    """The application of one service, to which it adds its routers and plain routes.

    ``identify`` is asked at every request (:func:`by_certificate` for members of the network) and its answer is
    ``request.state.caller``; ``open_routes`` (templates such as ``/cas/{org}/enroll``) are not authenticated and have
    the caller None. Bounds are shared by callers' ``signer``, (organisation, name); ``reserve_of`` gives nodes and
    admins places of their own; ``may_read_metrics`` says who gets ``GET /metrics``. ``health`` returns
    {"status": "ok", ...}; any other status is answered with 503. ``description`` is what ``GET /openapi.json`` tells of
    the routes. ``app.state.stopping`` is an event that is set when the process has been told to stop.
    """
    app = Application(title=service)
    app.state.limits = limits or Limits()
    app.state.stopping = asyncio.Event()
    app.edge = Edge(identify, app.state.limits, open_routes, reserve_of)
    app.add_middleware(app.edge.around)
    app.add_exception_handler(HTTPException, _refuse_http)
    app.add_exception_handler(RequestValidationError, _refuse_validation)
    version = jsontext.dumps(
        {"service": service, "node": node, "version": gridledger.__version__, "python": platform.python_version()}
    )

    @app.get("/healthz")
    async def healthz(request: Request) -> Response:
        report = dict(health()) if health is not None else {"status": "ok"}
        if request.app.state.stopping.is_set():
            report["status"] = "stopping"
        body = {"service": service, "node": node, **report}
        return json_response(jsontext.dumps(body), 200 if report.get("status") == "ok" else 503)

    @app.get("/version")
    async def version_of(request: Request) -> Response:
        return json_response(version)

    @app.get("/metrics")
    async def metrics(request: Request) -> Response:
        if not may_read_metrics(request.state.caller):
            raise PermissionDeniedError(
                "metrics are for admins of the node's organisation, and for whom its setting metrics_readers names"
            )
        return Response(generate_latest(), headers={"content-type": CONTENT_TYPE_LATEST})

    if description is not None:
        written: dict[str, bytes] = {}

        @app.get("/openapi.json")
        async def openapi(request: Request) -> Response:
            # Made when it is first asked for: all routes are there by then.
            if "openapi" not in written:
                written["openapi"] = jsontext.dumps(document(description, app.routes))
            return json_response(written["openapi"])

    return app


def json_response(body: bytes | Any, status: int = 200) -> Response:
    """An answer of JSON: bytes go out as they are, any other value is written first."""
    if not isinstance(body, bytes):
        body = jsontext.dumps(body)
    return Response(body, status, media_type="application/json")


async def read_body(request: Receiving, *, max_bytes: int | None = None) -> bytes:
    """The whole body. The edge bounds it anyway; ``max_bytes`` is a route's tighter bound (:class:`BodyTooLarge`).

    Raises ``ClientDisconnect`` when the client is gone, which the edge takes note of and nobody else need catch.
    """
    receive = request.receive
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        body = message.get("body", b"")
        size += len(body)
        if max_bytes is not None and size > max_bytes:
            raise BodyTooLarge(f"the body is longer than {max_bytes} bytes", max_bytes=max_bytes)
        if not message.get("more_body", False):
            return b"".join((*parts, body)) if parts else body
        parts.append(body)


async def _refuse_http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    known: GridLedgerError
    if status == 404:  # noqa: PLR2004
        known = RouteNotFound(f"there is no {request.method} {request.url.path} here")
    elif status == 405:  # noqa: PLR2004
        known = MethodNotAllowed(f"{request.url.path} does not take {request.method}")
    else:
        known = InputError(str(getattr(error, "detail", error)), status=status)
    return json_response({"error": known.to_dict()}, status)


async def _refuse_validation(request: Request, error: Exception) -> Response:
    faults = error.errors() if isinstance(error, RequestValidationError) else []
    text = "; ".join(f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in faults[:5])
    return json_response({"error": InputError(text or "the request cannot be read").to_dict()}, InputError.status)

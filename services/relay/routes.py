"""The routes of a server's page."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from gridledger.web import WholeNumber, json_response, unless_disconnected
from services.relay.server.page import HEADERS, page
from services.relay.server.view import View

_RELAY = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$"
_Index = Annotated[int, Query(alias="from", ge=1, lt=2**53)]
_Relay = Annotated[str | None, Query(pattern=_RELAY)]
_Limit = Annotated[int, Query(ge=1, lt=2**31)]


def make_router(view: View) -> APIRouter:
    """All routes but those that every service has."""
    router = APIRouter()

    @router.get("/")
    async def page_for_people(request: Request) -> Response:
        body = page(view.server, **await unless_disconnected(request.scope, view.summary()))
        return Response(body, media_type="text/html; charset=utf-8", headers=HEADERS)

    @router.get("/get_chain")
    async def get_chain(request: Request, relay: _Relay = None, first: _Index = 1, limit: _Limit = 20) -> Response:
        return json_response(await unless_disconnected(request.scope, view.get_chain(relay, first, limit)))

    @router.get("/is_valid")
    async def is_valid(
        request: Request,
        relay: _Relay = None,
        first: Annotated[WholeNumber | None, Query(alias="from", ge=1)] = None,
        limit: _Limit = 100,
    ) -> Response:
        return json_response(await unless_disconnected(request.scope, view.is_valid(relay, first, limit)))

    @router.get("/nodes")
    async def nodes(request: Request) -> Response:
        return json_response(await unless_disconnected(request.scope, view.nodes()))

    @router.get("/captures/latest")
    async def latest(request: Request, relay: _Relay = None, limit: _Limit = 10) -> Response:
        return json_response(await unless_disconnected(request.scope, view.latest(relay, limit)))

    return router

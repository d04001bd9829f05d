"""The bridge's HTTP routes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from gridledger.errors import InputError
from gridledger.web import StreamResponse, WholeNumber, json_response, read_body, unless_disconnected
from gridledger.web.openapi import document
from services.rest.api_description import DESCRIPTION
from services.rest.api_page import page
from services.rest.bodies import Call, read
from services.rest.bridge import Bridge
from services.rest.server_sent_events import place_of, written
from services.rest.settings import RestLimits
from services.rest.voltage_stability import Initial, Measurement, VoltageStability

OPEN_ROUTES = ("/", "/openapi.json")
"""What the bridge tells everybody: the description of its routes."""


def make_router(bridge: Bridge, voltage_stability: VoltageStability, limits: RestLimits) -> APIRouter:
    """All routes but those that every service has."""
    router = APIRouter()
    _add_transactions(router, bridge, limits)
    _add_thesis(router, voltage_stability)

    @router.get("/")
    async def description(request: Request) -> Response:
        return Response(page(document(DESCRIPTION, request.app.routes)), media_type="text/html; charset=utf-8")

    return router


def _add_transactions(router: APIRouter, bridge: Bridge, limits: RestLimits) -> None:
    async def call_in(request: Request) -> Call:
        call = read(Call, await read_body(request))
        if call.timeout_s > limits.max_timeout_s:
            raise InputError(f"timeout_s: this bridge waits at most {limits.max_timeout_s:g} s")
        return call

    @router.post("/channels/{channel}/chaincodes/{chaincode}/submit")
    async def submit(channel: str, chaincode: str, request: Request) -> Response:
        work = bridge.submit(request.state.caller, channel, chaincode, await call_in(request))
        return json_response((await unless_disconnected(request.scope, work)).to_dict())

    @router.post("/channels/{channel}/chaincodes/{chaincode}/evaluate")
    async def evaluate(channel: str, chaincode: str, request: Request) -> Response:
        work = bridge.evaluate(request.state.caller, channel, chaincode, await call_in(request))
        return json_response({"payload": await unless_disconnected(request.scope, work)})

    @router.get("/channels/{channel}/transactions/{tx_id}")
    async def transaction(channel: str, tx_id: str, request: Request) -> Response:
        return json_response((await bridge.transaction(request.state.caller, channel, tx_id)).to_dict())

    @router.get("/channels/{channel}/chaincodes/{chaincode}/events")
    async def events(
        channel: str,
        chaincode: str,
        request: Request,
        name: Annotated[str | None, Query()] = None,
        start: Annotated[WholeNumber | None, Query(alias="from")] = None,
    ) -> Response:
        last_event_id = request.headers.get("last-event-id")
        after = place_of(last_event_id) if last_event_id else None
        begin = after[0] if after is not None else start
        found = bridge.events(request.state.caller, channel, chaincode, name, begin)
        return StreamResponse(written(found, after), "text/event-stream")


def _add_thesis(router: APIRouter, voltage_stability: VoltageStability) -> None:
    @router.post("/initial")
    async def initial(request: Request) -> Response:
        grid = read(Initial, await read_body(request))
        work = voltage_stability.initial(request.state.caller, grid)
        return json_response(await unless_disconnected(request.scope, work))

    @router.post("/VSI")
    async def vsi(request: Request) -> Response:
        measured = read(Measurement, await read_body(request))
        work = voltage_stability.vsi(request.state.caller, measured)
        return json_response(await unless_disconnected(request.scope, work))

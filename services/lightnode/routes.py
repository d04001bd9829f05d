"""The routes of a light node."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from gridledger import jsontext
from gridledger.protocol.fields import object_of, text_of
from gridledger.web import json_response, read_body, unless_disconnected
from services.lightnode.callers import Callers
from services.lightnode.errors import EventRefused
from services.lightnode.node import MAX_LISTED, LightNode, parsed
from services.lightnode.settings import LightNodeLimits

MAX_TOGETHER: Final = 64
"""Events in one request."""
MAX_ROWS: Final = 1000
"""Rows in one answer."""
PARQUET: Final = "application/vnd.apache.parquet"
_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"

_Device = Annotated[str, Query(pattern=_NAME)]
_DeviceInPath = Annotated[str, Path(pattern=_NAME)]
_Seq = Annotated[int, Path(ge=1, lt=10**12)]
_Index = Annotated[int, Path(ge=0, lt=10**9)]
_Time = Annotated[int, Query(ge=0, lt=10**16)]
_Start = Annotated[int, Query(ge=0, lt=10**9)]
_Rows = Annotated[int, Query(ge=1, le=MAX_ROWS)]
_From = Annotated[int, Query(alias="from", ge=1, lt=10**12)]
_Limit = Annotated[int, Query(ge=1, le=MAX_LISTED)]


def make_router(node: LightNode, callers: Callers, max_body_bytes: int = LightNodeLimits().max_body_bytes) -> APIRouter:
    """All routes but those that every service has."""
    router = APIRouter()
    _add_events(router, node, callers, max_body_bytes)
    _add_bodies_and_rows(router, node, callers)
    _add_devices(router, node, callers, max_body_bytes)
    return router


def _add_events(router: APIRouter, node: LightNode, callers: Callers, max_body_bytes: int) -> None:
    @router.post("/events")
    async def tell(request: Request) -> Response:
        told = parsed(await read_body(request, max_bytes=max_body_bytes))
        events = _some(told) if isinstance(told, list) else [told]
        for one in events:
            device = one.get("device") if isinstance(one, dict) else None
            if not isinstance(device, str):
                raise EventRefused("device", "must be the device's name")
            node.intake.device(device)
            callers.require_speaker(request.state.caller, device)
        # What has begun is recorded although the caller leaves.
        records = await node.tell_all(events)
        items = [{"device": one.entry.device, "seq": one.seq, "recorded": True} for one in records]
        return _json({"items": items} if isinstance(told, list) else items[0])

    @router.get("/events")
    async def list_events(request: Request, device: _Device, start: _From = 1, limit: _Limit = 100) -> Response:
        callers.require_reader(request.state.caller, node.intake.device(device).section)
        items = await node.list_events(device, start, limit)
        following = items[-1]["seq"] + 1 if len(items) == limit else None
        return _json({"items": items, "next": following})

    @router.get("/events/{seq}/proof")
    async def proof(request: Request, seq: _Seq, device: _Device) -> Response:
        callers.require_reader(request.state.caller, node.intake.device(device).section)
        return _json(await unless_disconnected(request.scope, node.proof(device, seq)))


def _add_bodies_and_rows(router: APIRouter, node: LightNode, callers: Callers) -> None:
    @router.get("/events/{seq}/body")
    async def body(request: Request, seq: _Seq, device: _Device) -> Response:
        callers.require_body_reader(request.state.caller)
        return _json(await node.body(device, seq))

    @router.delete("/events/{seq}/body")
    async def delete_body(request: Request, seq: _Seq, device: _Device) -> Response:
        callers.require_keeper(request.state.caller)
        await node.delete_body(device, seq)
        return _json({"device": device, "seq": seq, "deleted": True})

    @router.get("/batches/{seq}/file")
    async def rows_file(request: Request, seq: _Seq, device: _Device) -> Response:
        callers.require_reader(request.state.caller, node.intake.device(device).section)
        return Response(await node.rows_file(device, seq), media_type=PARQUET)

    @router.get("/batches/{seq}/rows")
    async def rows(
        request: Request,
        seq: _Seq,
        *,
        device: _Device,
        from_us: _Time,
        to_us: _Time,
        start: _Start = 0,
        limit: _Rows = MAX_ROWS,
    ) -> Response:
        callers.require_reader(request.state.caller, node.intake.device(device).section)
        return _json(await node.rows(device, seq, (from_us, to_us), start=start, limit=limit))

    @router.get("/batches/{seq}/rows/{index}")
    async def row(request: Request, seq: _Seq, index: _Index, device: _Device) -> Response:
        callers.require_reader(request.state.caller, node.intake.device(device).section)
        return _json(await node.row(device, seq, index))


def _add_devices(router: APIRouter, node: LightNode, callers: Callers, max_body_bytes: int) -> None:
    @router.get("/devices")
    async def devices(request: Request) -> Response:
        callers.require_own(request.state.caller)
        return _json({"items": await node.describe_devices()})

    @router.post("/devices/{device}/rotation")
    async def rotation(request: Request, device: _DeviceInPath) -> Response:
        callers.require_keeper(request.state.caller)
        return _json(await node.rotation(device))

    @router.post("/devices/{device}/set-aside")
    async def set_aside(request: Request, device: _DeviceInPath) -> Response:
        callers.require_keeper(request.state.caller)
        asked = object_of(parsed(await read_body(request, max_bytes=max_body_bytes)), "what is asked for")
        return _json({"device": device, "set_aside": await node.set_aside(device, text_of(asked, "why"))})


def _json(value: Any) -> Response:
    return json_response(jsontext.dumps(value))


def _some(told: list[Any]) -> list[Any]:
    if not 0 < len(told) <= MAX_TOGETHER:
        raise EventRefused("events", f"1 to {MAX_TOGETHER} at a time, not {len(told)}")
    return told

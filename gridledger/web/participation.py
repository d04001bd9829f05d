"""Routes of channel participation: a node's own admins have it join and leave channels, under osnadmin's paths."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from gridledger.participating import Participating
from gridledger.protocol.joining import MAX_JOIN_BYTES
from gridledger.web.app import json_response, read_body
from gridledger.web.openapi import TEXT, WHOLE, Operation, Schema, list_of, members, named, nullable

_PATH = "/participation/v1/channels"
_CHANNEL = {
    "type": "object",
    "required": ["name", "url", "status", "consensusRelation", "height"],
    "properties": {
        "name": TEXT,
        "url": TEXT,
        "status": {"enum": ["active", "onboarding", "removed", "failed"]},
        "consensusRelation": {"enum": ["consenter", "follower", "other"]},
        "height": WHOLE,
    },
}
PARTICIPATION_SCHEMAS: dict[str, Schema] = {"JoinedChannel": _CHANNEL}
PARTICIPATION_OPERATIONS = {
    f"GET {_PATH}": Operation(
        "The channels that this node has joined (admins of its organisation)",
        members(systemChannel=nullable(TEXT), channels=list_of(named("JoinedChannel"))),
    ),
    f"POST {_PATH}": Operation(
        "Join a channel, or renew the addresses of a joined one (admins of the node's organisation)",
        named("JoinedChannel"),
        {**TEXT, "description": "frames: the channel's genesis block, and perhaps its newest config block"},
        media="application/octet-stream",
        status=201,
    ),
    f"GET {_PATH}/{{name}}": Operation("One channel that this node has joined", named("JoinedChannel")),
    f"DELETE {_PATH}/{{name}}": Operation(
        "Leave a channel and remove what this node holds of it (admins of its organisation)",
        None,
        status=204,
        description="An orderer that the channel's config has leaves with force=true alone.",
    ),
}


def participation_routes(node: Callable[[], Participating]) -> APIRouter:
    """The routes of one node, which is asked for at each request."""
    router = APIRouter(prefix=_PATH)

    @router.get("")
    async def list_joined(request: Request) -> Response:
        node().check_admin(request.state.caller)
        return json_response(
            {"systemChannel": None, "channels": [_told(node().told(name)) for name in node().channels()]}
        )

    @router.post("", status_code=201)
    async def join(request: Request) -> Response:
        node().check_admin(request.state.caller)
        body = await read_body(request, max_bytes=MAX_JOIN_BYTES)
        return json_response(_told(await node().join(body)), 201)

    @router.get("/{name}")
    async def describe_joined(name: str, request: Request) -> Response:
        node().check_admin(request.state.caller)
        return json_response(_told(node().told(name)))

    @router.delete("/{name}", status_code=204)
    async def leave(name: str, request: Request, force: Annotated[bool, Query()] = False) -> Response:
        node().check_admin(request.state.caller)
        await node().leave(name, force=force)
        return Response(status_code=204)

    return router


def _told(channel: dict[str, Any]) -> dict[str, Any]:
    return {**channel, "url": f"{_PATH}/{channel['name']}"}

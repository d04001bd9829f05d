"""A peer's HTTP edge."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from gridledger import jsontext
from gridledger.errors import InputError, PermissionDeniedError, TimeoutExceeded
from gridledger.identity.msp import Identity
from gridledger.transport import call_frames as calls
from gridledger.web import (
    CallStream,
    PlainRequest,
    PlainRoute,
    StreamResponse,
    WholeNumber,
    json_response,
    read_body,
    unless_disconnected,
)
from services.peer import metrics, queries
from services.peer.calls import call_handlers
from services.peer.channel import Channel
from services.peer.gateway.admission import Passage
from services.peer.gateway.other_nodes import write_json
from services.peer.peer import Peer, clock_us

DEFAULT_HISTORY = 100
_From = Annotated[WholeNumber | None, Query(alias="from")]
"""The block that a stream of events begins with; the next one by default."""


def make_router(peer: Peer) -> APIRouter:
    """The routes of one peer for queries, events and operations."""
    router = APIRouter()
    _add_channels(router, peer)
    _add_transactions(router, peer)
    _add_events(router, peer)
    _add_operations(router, peer)
    return router


def hot_routes(peer: Peer) -> list[PlainRoute]:
    """The routes that every transaction takes."""
    gateway, most = peer.gateway, peer.settings.edge.max_body_bytes

    async def endorse(request: PlainRequest) -> bytes:
        body = await read_body(request, max_bytes=most)
        started = time.perf_counter()
        with admitted(peer.admission.to_endorse(1)):
            answer = await unless_disconnected(request.scope, gateway.endorse(body, request.caller))
        metrics.COLLECT_SECONDS.observe(time.perf_counter() - started)
        return answer

    @contextmanager
    def admitted(passage: Passage) -> Iterator[None]:
        if not passage.admitted:
            raise peer.admission.busy()
        try:
            yield
        finally:
            passage.close()

    async def evaluate(request: PlainRequest) -> bytes:
        body = await read_body(request, max_bytes=most)
        forward = request.query("forward") != "no"
        return await unless_disconnected(request.scope, gateway.evaluate(body, request.caller, forward=forward))

    async def submit(request: PlainRequest) -> bytes:
        wait = request.query("wait") or "commit"
        if wait not in ("commit", "order"):
            raise InputError("'wait' must be 'commit' or 'order'")
        body = await read_body(request, max_bytes=most)
        if wait == "order":
            tx_id = await unless_disconnected(request.scope, peer.submitter.order(body, request.caller))
            return jsontext.dumps({"tx_id": tx_id})
        started = time.perf_counter()
        passage = peer.admission.to_submit(1)
        with admitted(passage):
            outcome = await unless_disconnected(request.scope, peer.submitter.submit(body, request.caller))
            passage.leave(committed=True)
        metrics.SUBMIT_SECONDS.observe(time.perf_counter() - started)
        return jsontext.dumps(outcome.to_dict())

    async def endorse_here(request: PlainRequest) -> bytes:
        height = request.query("min_height")
        min_height = 0 if height is None else _number(height, "'min_height'")
        body = await read_body(request, max_bytes=most)
        return await unless_disconnected(request.scope, endorse_for(request.caller, min_height, body))

    async def endorse_for(caller: Identity, min_height: int, body: bytes) -> bytes:
        admitted = peer.endorser.read(body, caller)
        return write_json(await peer.endorse(admitted, min_height))

    handlers = call_handlers(peer)

    async def calls_of(request: PlainRequest) -> Response:
        return CallStream(handlers, max_call_bytes=most, max_streams=peer.settings.edge.max_call_streams)

    return [
        PlainRoute(calls.PATH, calls_of),
        PlainRoute("/gateway/submit", submit),
        PlainRoute("/gateway/endorse", endorse),
        PlainRoute("/endorse", endorse_here),
        PlainRoute("/gateway/evaluate", evaluate),
    ]


def _add_channels(router: APIRouter, peer: Peer) -> None:
    @router.get("/channels")
    async def channels(request: Request) -> Response:
        return json_response({"channels": [channel.name for channel in peer.channels.all()]})

    @router.get("/channels/{name}")
    async def channel_info(name: str, request: Request) -> Response:
        return json_response(queries.chain_info(_readable(peer, name, request)))

    @router.get("/channels/{name}/config")
    async def config(name: str, request: Request) -> Response:
        return json_response(_readable(peer, name, request).config.text.encode())

    @router.get("/channels/{name}/peers")
    async def peers(name: str, request: Request) -> Response:
        channel = _readable(peer, name, request)
        out = peer.health.status()
        found = {
            node.name: {"mspid": node.mspid, "url": node.url, "left_out": out.get(node.name)}
            for node in channel.config.peers.values()
        }
        return json_response({"peers": found})

    @router.get("/channels/{name}/chaincodes/{chaincode}")
    async def chaincode_of(name: str, chaincode: str, request: Request) -> Response:
        return json_response(_readable(peer, name, request).chaincode(chaincode).to_dict())

    @router.get("/channels/{name}/blocks/{number}")
    async def block(
        name: str,
        number: Annotated[WholeNumber, Path()],
        request: Request,
        form: Annotated[Literal["json", "raw"], Query(alias="format")] = "json",
    ) -> Response:
        ledger = _readable(peer, name, request).ledger
        if form == "raw":
            return Response(ledger.block_bytes(number), media_type="application/octet-stream")
        return json_response(await asyncio.to_thread(queries.block_json, ledger, number))


def _add_transactions(router: APIRouter, peer: Peer) -> None:
    @router.get("/channels/{name}/transactions/{tx_id}")
    async def transaction(name: str, tx_id: str, request: Request) -> Response:
        ledger = _readable(peer, name, request).ledger
        return json_response(await asyncio.to_thread(queries.transaction_json, ledger, tx_id))

    @router.get("/channels/{name}/transactions/{tx_id}/status")
    async def status(
        name: str,
        tx_id: str,
        request: Request,
        wait_s: Annotated[float, Query(ge=0, allow_inf_nan=False)] = 0.0,
    ) -> Response:
        wait_s = min(wait_s, peer.settings.edge.max_status_wait_s)
        waiting = peer.gateway.status(name, tx_id, request.state.caller, wait_s)
        outcome = await unless_disconnected(request.scope, waiting)
        if outcome is not None:
            return json_response(outcome.to_dict())
        if wait_s > 0:
            raise TimeoutExceeded(f"the transaction was not committed here within {wait_s} s", tx_id=tx_id)
        raise queries.unknown_transaction(tx_id, name)

    @router.get("/channels/{name}/history/{namespace}")
    async def history(
        name: str,
        namespace: str,
        request: Request,
        key: Annotated[str, Query(min_length=1)],
        limit: Annotated[WholeNumber, Query()] = DEFAULT_HISTORY,
    ) -> Response:
        ledger = _readable(peer, name, request).ledger
        return json_response(await asyncio.to_thread(queries.history_json, ledger, namespace, key, limit))


def _add_events(router: APIRouter, peer: Peer) -> None:
    @router.get("/channels/{name}/events/blocks")
    async def blocks(name: str, request: Request, start: _From = None) -> Response:
        channel, allowed = _reader(peer, name, request)
        if start is None:
            start = channel.height
        return StreamResponse(peer.events[name].blocks(start, allowed), "application/x-ndjson")

    @router.get("/channels/{name}/events/chaincode")
    async def chaincode_events(
        name: str,
        request: Request,
        chaincode: Annotated[str, Query(min_length=1)],
        event: Annotated[str | None, Query(alias="name")] = None,
        start: _From = None,
    ) -> Response:
        channel, allowed = _reader(peer, name, request)
        if start is None:
            start = channel.height
        return StreamResponse(peer.events[name].chaincode(start, chaincode, event, allowed), "application/x-ndjson")


def _add_operations(router: APIRouter, peer: Peer) -> None:
    @router.get("/status")
    async def status(request: Request) -> Response:
        return json_response(peer.status())

    @router.get("/packages")
    async def packages(request: Request) -> Response:
        installed = await asyncio.to_thread(peer.packages.installed)
        return json_response({"packages": [package._asdict() for package in installed]})

    @router.post("/packages")
    async def install(request: Request) -> Response:
        caller = request.state.caller
        if caller.role != "admin" or caller.mspid != peer.settings.mspid:
            raise PermissionDeniedError(f"packages are installed by an admin of {peer.settings.mspid}")
        body = await read_body(request, max_bytes=peer.settings.edge.max_package_bytes)
        return json_response({"id": await peer.install(body)}, 201)


def _readable(peer: Peer, name: str, request: Request) -> Channel:
    """The channel, if the caller may read it now."""
    channel = peer.channels[name]
    channel.require("readers", channel.identify(request.state.caller.certificate, clock_us()))
    return channel


def _reader(peer: Peer, name: str, request: Request) -> tuple[Channel, Callable[[], None]]:
    """The channel, and a check whether the caller may still read it."""

    def allowed() -> None:
        _readable(peer, name, request)

    return _readable(peer, name, request), allowed


def _number(text: str, what: str) -> int:
    if not text.isdecimal() or not text.isascii() or len(text) > 18:  # noqa: PLR2004 - far below 2**63
        raise InputError(f"{what} must be a number, 0 or more")
    return int(text)

"""A peer's HTTP edge."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from fastapi import APIRouter, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from gridledger.errors import InputError, PermissionDeniedError, TimeoutExceeded
from gridledger.identity.msp import Identity
from gridledger.protocol.proposal import SignedProposal
from gridledger.web import StreamResponse, json_response, read_body
from services.peer import metrics, queries
from services.peer.channel import Channel
from services.peer.endorse_batches import answers, read_batch
from services.peer.peer import Peer, clock_us
from services.peer.peer_clients import write_answer

_T = TypeVar("_T")
DEFAULT_HISTORY = 100


def make_router(peer: Peer) -> APIRouter:
    """The routes of one peer for queries, events and operations."""
    router = APIRouter()
    _add_channels(router, peer)
    _add_transactions(router, peer)
    _add_events(router, peer)
    _add_operations(router, peer)
    return router


class HotRoute(Route):
    """A route without FastAPI's machinery, which costs 70 us a request more and does nothing for a raw body."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request; the edge's metrics look for the route in the scope."""
        scope["route"] = self
        await super().handle(scope, receive, send)


def hot_routes(peer: Peer) -> list[HotRoute]:
    """The routes that every transaction takes."""
    gateway, most = peer.gateway, peer.settings.edge.max_body_bytes

    async def endorse(request: Request) -> Response:
        body = await read_body(request, max_bytes=most)
        started = time.perf_counter()
        answer = await _unless_disconnected(request, gateway.endorse(body, request.state.caller))
        metrics.COLLECT_SECONDS.observe(time.perf_counter() - started)
        return json_response(answer)

    async def evaluate(request: Request) -> Response:
        body = await read_body(request, max_bytes=most)
        forward = request.query_params.get("forward") != "no"
        work = gateway.evaluate(body, request.state.caller, forward=forward)
        return json_response(await _unless_disconnected(request, work))

    async def submit(request: Request) -> Response:
        wait = request.query_params.get("wait", "commit")
        if wait not in ("commit", "order"):
            raise InputError("'wait' must be 'commit' or 'order'")
        body = await read_body(request, max_bytes=most)
        if wait == "order":
            tx_id = await _unless_disconnected(request, gateway.order(body, request.state.caller))
            return json_response({"tx_id": tx_id})
        started = time.perf_counter()
        outcome = await _unless_disconnected(request, gateway.submit(body, request.state.caller))
        metrics.SUBMIT_SECONDS.observe(time.perf_counter() - started)
        return json_response(outcome.to_dict())

    async def endorse_here(request: Request) -> Response:
        min_height = _integer(request, "min_height", 0)
        body = await read_body(request, max_bytes=most)
        work = endorse_for(request.state.caller, min_height, body)
        return json_response(await _unless_disconnected(request, work))

    async def endorse_batch(request: Request) -> Response:
        caller = request.state.caller
        batch = read_batch(await read_body(request, max_bytes=most))
        return StreamResponse(answers(batch, lambda height, body: endorse_for(caller, height, body)))

    async def endorse_for(caller: Identity, min_height: int, body: bytes) -> bytes:
        admitted = peer.endorser.admit(SignedProposal.from_bytes(body), caller)
        return write_answer(await peer.endorse(admitted, min_height))

    return [
        HotRoute("/gateway/endorse", endorse, methods=["POST"]),
        HotRoute("/gateway/submit", submit, methods=["POST"]),
        HotRoute("/endorse", endorse_here, methods=["POST"]),
        HotRoute("/endorse/batch", endorse_batch, methods=["POST"]),
        HotRoute("/gateway/evaluate", evaluate, methods=["POST"]),
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
    async def block(name: str, number: str, request: Request) -> Response:
        ledger = _readable(peer, name, request).ledger
        wanted = _number(number, "the block's number")
        form = request.query_params.get("format", "json")
        if form == "raw":
            return Response(ledger.block_bytes(wanted), media_type="application/octet-stream")
        if form != "json":
            raise InputError("'format' must be 'json' or 'raw'")
        return json_response(await asyncio.to_thread(queries.block_json, ledger, wanted))


def _add_transactions(router: APIRouter, peer: Peer) -> None:
    @router.get("/channels/{name}/transactions/{tx_id}")
    async def transaction(name: str, tx_id: str, request: Request) -> Response:
        ledger = _readable(peer, name, request).ledger
        return json_response(await asyncio.to_thread(queries.transaction_json, ledger, tx_id))

    @router.get("/channels/{name}/transactions/{tx_id}/status")
    async def status(name: str, tx_id: str, request: Request) -> Response:
        wait_s = min(_seconds(request, "wait_s"), peer.settings.edge.max_status_wait_s)
        waiting = peer.gateway.status(name, tx_id, request.state.caller, wait_s)
        outcome = await _unless_disconnected(request, waiting)
        if outcome is not None:
            return json_response(outcome.to_dict())
        if wait_s > 0:
            raise TimeoutExceeded(f"the transaction was not committed here within {wait_s} s", tx_id=tx_id)
        raise queries.unknown_transaction(tx_id, name)

    @router.get("/channels/{name}/history/{namespace}")
    async def history(name: str, namespace: str, request: Request) -> Response:
        ledger = _readable(peer, name, request).ledger
        key = request.query_params.get("key")
        if not key:
            raise InputError("'key' names the key whose history is asked for")
        limit = _integer(request, "limit", DEFAULT_HISTORY)
        return json_response(await asyncio.to_thread(queries.history_json, ledger, namespace, key, limit))


def _add_events(router: APIRouter, peer: Peer) -> None:
    @router.get("/channels/{name}/events/blocks")
    async def blocks(name: str, request: Request) -> Response:
        channel, allowed = _reader(peer, name, request)
        start = _integer(request, "from", channel.height)
        return StreamResponse(peer.events[name].blocks(start, allowed), "application/x-ndjson")

    @router.get("/channels/{name}/events/chaincode")
    async def chaincode_events(name: str, request: Request) -> Response:
        channel, allowed = _reader(peer, name, request)
        chaincode = request.query_params.get("chaincode")
        if not chaincode:
            raise InputError("'chaincode' names the chaincode whose events are asked for")
        start = _integer(request, "from", channel.height)
        event = request.query_params.get("name")
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


async def _unless_disconnected(request: Request, work: Awaitable[_T]) -> _T:
    """What ``work`` gives; it is cancelled when the client leaves before that. The body must have been read."""
    serving = asyncio.current_task()
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await request.receive())["type"] != "http.disconnect":
            pass
        gone = True
        if serving is not None:
            serving.cancel()

    watcher = asyncio.create_task(watch())
    try:
        return await work
    except asyncio.CancelledError:
        if not gone or serving is None:
            raise
        serving.uncancel()
        raise ClientDisconnect from None
    finally:
        watcher.cancel()


def _integer(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name)
    return default if text is None else _number(text, f"{name!r}")


def _number(text: str, what: str) -> int:
    if not text.isdecimal() or not text.isascii() or len(text) > 18:  # noqa: PLR2004 - far below 2**63
        raise InputError(f"{what} must be a number, 0 or more")
    return int(text)


def _seconds(request: Request, name: str) -> float:
    text = request.query_params.get(name, "0")
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e6:  # noqa: PLR2004 - NaN fails as well
        raise InputError(f"{name!r} must be a number of seconds, 0 or more")
    return seconds

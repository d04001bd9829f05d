"""The peer's routes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from gridledger.errors import AuthenticationError, InputError, PermissionDeniedError, TimeoutExceeded
from gridledger.identity.msp import Identity
from gridledger.identity.revocation import MAX_LIST_BYTES
from gridledger.protocol import acls
from gridledger.protocol.search import TransactionFilter
from gridledger.transport import call_frames
from gridledger.web import (
    CallHandler,
    CallStream,
    PlainRequest,
    PlainRoute,
    Pool,
    StreamResponse,
    WholeNumber,
    json_response,
    participation_routes,
    read_body,
    unless_disconnected,
)
from services.peer import metrics, queries
from services.peer.channel import Channel
from services.peer.endorser import remote
from services.peer.peer import Peer, clock_us

DEFAULT_HISTORY = 100
DEFAULT_HEADERS = 100
DEFAULT_FOUND = 50
MAX_SEARCHES = 8
"""At once, in threads beside the transactions' work; each takes some 0.2 s at most."""

_From = Annotated[WholeNumber | None, Query(alias="from")]
"""The block that a stream of events begins with; the next one by default."""


def make_router(peer: Peer) -> APIRouter:
    """The routes of one peer for queries, events and operations."""
    router = APIRouter()
    _add_channels(router, peer)
    _add_search(router, peer)
    _add_transactions(router, peer)
    _add_events(router, peer)
    _add_operations(router, peer)
    router.include_router(participation_routes(lambda: peer.participation))
    return router


def plain_routes(peer: Peer) -> list[PlainRoute]:
    """The routes that every transaction takes: the stream of calls, and a route for each of a client's calls."""
    work, edge = Transactions(peer), peer.settings.edge
    handlers: dict[int, tuple[str, CallHandler]] = {
        call_frames.ENDORSE: ("endorse", work.endorse),
        call_frames.SUBMIT: ("submit", work.submit),
        call_frames.ORDER: ("order", work.order),
        call_frames.EVALUATE: ("evaluate", work.evaluate),
        call_frames.ENDORSE_HERE: ("endorse_here", work.endorse_here),
        call_frames.PING: ("ping", _ping),
    }
    # Nodes have places of their own: however many clients come, peers can endorse for one another.
    of_clients = Pool("streams of calls", edge.max_call_streams, retry_after_s=1.0)
    of_nodes = Pool("streams of nodes' calls", edge.max_node_streams, retry_after_s=1.0)

    async def calls(request: PlainRequest) -> Response:
        streams = of_nodes if peer.channels.has_peer(request.caller.fingerprint) else of_clients
        return CallStream(handlers, max_call_bytes=edge.max_body_bytes, streams=streams)

    async def answer(request: PlainRequest, handler: CallHandler) -> bytes:
        body = await read_body(request, max_bytes=edge.max_body_bytes)
        return await unless_disconnected(request.scope, handler(body, request.caller))

    async def endorse(request: PlainRequest) -> bytes:
        return await answer(request, work.endorse)

    async def submit(request: PlainRequest) -> bytes:
        wait = request.query("wait") or "commit"
        if wait not in ("commit", "order"):
            raise InputError("'wait' must be 'commit' or 'order'")
        return await answer(request, work.submit if wait == "commit" else work.order)

    async def evaluate(request: PlainRequest) -> bytes:
        forward = request.query("forward") != "no"
        return await answer(request, partial(work.evaluate, forward=forward))

    return [
        PlainRoute(call_frames.PATH, calls),
        PlainRoute("/gateway/endorse", endorse),
        PlainRoute("/gateway/submit", submit),
        PlainRoute("/gateway/evaluate", evaluate),
    ]


async def _ping(_body: bytes, _caller: Identity) -> bytes:
    """That an answer comes is all that a client asks."""
    return b""


class Transactions:
    """What every transaction asks of this peer, admitted and measured. Bodies and answers are the gateway's."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._evaluations = Pool("evaluations", peer.settings.edge.max_evaluations, retry_after_s=0.2)

    async def endorse(self, body: bytes, caller: Identity) -> bytes:
        """Collect endorsements of a client's signed proposal."""
        with self._peer.admission.endorsing(caller.signer), metrics.COLLECT_SECONDS.time():
            return await self._peer.gateway.endorse(body, caller)

    async def submit(self, body: bytes, caller: Identity) -> bytes:
        """Order a client's transaction and wait for its commit."""
        started = time.perf_counter()
        with self._peer.admission.submitting(caller.signer):
            answer = await self._peer.gateway.submit(body, caller)
        metrics.SUBMIT_SECONDS.observe(time.perf_counter() - started)
        return answer

    async def order(self, body: bytes, caller: Identity) -> bytes:
        """Order a client's transaction."""
        with self._peer.admission.submitting(caller.signer, until_commit=False):
            return await self._peer.gateway.order(body, caller)

    async def evaluate(self, body: bytes, caller: Identity, *, forward: bool = True) -> bytes:
        """Run a client's signed proposal on one peer."""
        place = self._evaluations.take(caller.signer)
        try:
            return await self._peer.gateway.evaluate(body, caller, forward=forward)
        finally:
            place.give()

    async def endorse_here(self, body: bytes, caller: Identity) -> bytes:
        """Endorse for another peer's gateway; ``body`` and answer are those of :mod:`services.peer.endorser.remote`."""
        with self._peer.effort_of_nodes.spent_by(caller.signer):
            min_height, signed = remote.read_request(body)
            proposal = self._peer.endorser.admit(signed, caller)
        return remote.write_response(await self._peer.endorse(proposal, min_height))


def _add_channels(router: APIRouter, peer: Peer) -> None:
    @router.get("/channels")
    async def channels(request: Request) -> Response:
        found = peer.channels.all() if peer.is_own_admin(request.state.caller) else _all_readable(peer, request)
        return json_response({"channels": [channel.name for channel in found]})

    @router.get("/channels/{name}")
    async def channel_info(name: str, request: Request) -> Response:
        return json_response(queries.chain_info(_readable(peer, name, request, acls.CHAIN_INFO)).to_dict())

    @router.get("/channels/{name}/config")
    async def config(
        name: str, request: Request, form: Annotated[Literal["json", "block"], Query(alias="format")] = "json"
    ) -> Response:
        channel = _readable(peer, name, request, acls.CHANNEL_CONFIG)
        if form == "block":
            return Response(channel.ledger.config_block_bytes(), media_type="application/octet-stream")
        return json_response(channel.config.text.encode())

    @router.get("/channels/{name}/peers")
    async def peers(name: str, request: Request) -> Response:
        nodes = _readable(peer, name, request, acls.PEERS).config.peers.values()
        found: dict[str, dict[str, Any]] = {node.name: {"mspid": node.mspid, "url": node.url} for node in nodes}
        if peer.is_own_admin(request.state.caller):
            out = peer.health.status()
            found = {node: {**told, "left_out": out.get(node)} for node, told in found.items()}
        return json_response({"peers": found})

    @router.get("/channels/{name}/chaincodes/{chaincode}")
    async def chaincode_of(name: str, chaincode: str, request: Request) -> Response:
        return json_response(_readable(peer, name, request, acls.CHAINCODE_DEFINITION).chaincode(chaincode).to_dict())

    @router.get("/channels/{name}/blocks/{number}")
    async def block(
        name: str,
        number: Annotated[WholeNumber, Path()],
        request: Request,
        form: Annotated[Literal["json", "raw"], Query(alias="format")] = "json",
    ) -> Response:
        ledger = _readable(peer, name, request, acls.BLOCK_BY_NUMBER).ledger
        if form == "raw":
            return Response(ledger.block_bytes(number), media_type="application/octet-stream")
        return json_response(await asyncio.to_thread(queries.block_json, ledger, number))

    @router.get("/channels/{name}/headers")
    async def headers(
        name: str,
        request: Request,
        start: Annotated[WholeNumber, Query(alias="from")] = 0,
        limit: Annotated[WholeNumber, Query()] = DEFAULT_HEADERS,
    ) -> Response:
        ledger = _readable(peer, name, request, acls.BLOCK_BY_NUMBER).ledger
        return json_response(await asyncio.to_thread(queries.headers_json, ledger, start, limit))


def _add_search(router: APIRouter, peer: Peer) -> None:
    searches = Pool("searches", MAX_SEARCHES, retry_after_s=0.2)

    @router.get("/channels/{name}/blocks/by-hash/{block_hash}")
    async def block_by_hash(
        name: str,
        block_hash: str,
        request: Request,
        form: Annotated[Literal["json", "raw"], Query(alias="format")] = "json",
    ) -> Response:
        ledger = _readable(peer, name, request, acls.BLOCK_BY_NUMBER).ledger
        number = await asyncio.to_thread(queries.block_number, ledger, block_hash)
        if form == "raw":
            return Response(ledger.block_bytes(number), media_type="application/octet-stream")
        return json_response(await asyncio.to_thread(queries.block_json, ledger, number))

    @router.get("/channels/{name}/transactions")
    async def transactions(
        name: str,
        request: Request,
        *,
        prefix: str | None = None,
        mspid: str | None = None,
        creator: str | None = None,
        certificate: str | None = None,
        chaincode: str | None = None,
        function: str | None = None,
        code: str | None = None,
        kind: str | None = None,
        start: Annotated[WholeNumber | None, Query(alias="from")] = None,
        end: Annotated[WholeNumber | None, Query(alias="to")] = None,
        limit: Annotated[WholeNumber, Query()] = DEFAULT_FOUND,
        bookmark: str | None = None,
    ) -> Response:
        # What a search tells stands in the blocks: who may read these may search.
        ledger = _readable(peer, name, request, acls.BLOCK_BY_NUMBER).ledger
        named = {"mspid": mspid, "creator": creator, "certificate": certificate, "chaincode": chaincode}
        named |= {"function": function, "code": code, "kind": kind}
        wanted = TransactionFilter.of({**named, "from_us": start, "to_us": end})
        if prefix is not None and wanted != TransactionFilter():
            raise InputError("'prefix' is looked for by itself: leave out the other filters, or the prefix")
        place = searches.take(request.state.caller.signer)
        try:
            if prefix is not None:
                answer = asyncio.to_thread(queries.transactions_by_prefix_json, ledger, prefix, limit, bookmark)
            else:
                answer = asyncio.to_thread(queries.transactions_json, ledger, wanted, limit, bookmark)
            return json_response(await answer)
        finally:
            place.give()


def _add_transactions(router: APIRouter, peer: Peer) -> None:
    @router.get("/channels/{name}/transactions/{tx_id}")
    async def transaction(name: str, tx_id: str, request: Request) -> Response:
        ledger = _readable(peer, name, request, acls.TRANSACTION_BY_ID).ledger
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
        *,
        limit: Annotated[WholeNumber, Query()] = DEFAULT_HISTORY,
        bookmark: str | None = None,
    ) -> Response:
        channel = _readable(peer, name, request, acls.HISTORY)
        return json_response(await asyncio.to_thread(queries.history_json, channel, namespace, key, limit, bookmark))


def _add_events(router: APIRouter, peer: Peer) -> None:
    @router.get("/channels/{name}/events/blocks")
    async def blocks(name: str, request: Request, start: _From = None) -> Response:
        channel, allowed = _reader(peer, name, request, acls.FILTERED_BLOCK_EVENTS)
        if start is None:
            start = channel.height
        return StreamResponse(peer.events[name].blocks(start, allowed), "application/x-ndjson")

    @router.get("/channels/{name}/events/full-blocks")
    async def full_blocks(name: str, request: Request, start: _From = None) -> Response:
        channel, allowed = _reader(peer, name, request, acls.BLOCK_EVENTS)
        if start is None:
            start = channel.height
        return StreamResponse(peer.events[name].full_blocks(start, allowed))

    @router.get("/channels/{name}/events/chaincode")
    async def chaincode_events(
        name: str,
        request: Request,
        chaincode: Annotated[str, Query(min_length=1)],
        event: Annotated[str | None, Query(alias="name")] = None,
        start: _From = None,
    ) -> Response:
        channel, allowed = _reader(peer, name, request, acls.CHAINCODE_EVENTS)
        if start is None:
            start = channel.height
        return StreamResponse(peer.events[name].chaincode(start, chaincode, event, allowed), "application/x-ndjson")


def _add_operations(router: APIRouter, peer: Peer) -> None:
    @router.get("/status")
    async def status(request: Request) -> Response:
        if peer.is_own_admin(request.state.caller):
            return json_response(peer.full_status())
        return json_response(peer.status(_all_readable(peer, request)))

    @router.get("/packages")
    async def packages(request: Request) -> Response:
        installed = await asyncio.to_thread(peer.packages.installed)
        return json_response({"packages": [package._asdict() for package in installed]})

    @router.post("/packages")
    async def install(request: Request) -> Response:
        if not peer.is_own_admin(request.state.caller):
            raise PermissionDeniedError(f"packages are installed by an admin of {peer.settings.mspid}")
        body = await read_body(request, max_bytes=peer.settings.edge.max_package_bytes)
        return json_response({"id": await peer.install(body)}, 201)

    @router.post("/admin/revocations")
    async def revocations(request: Request) -> Response:
        if not peer.is_own_admin(request.state.caller):
            raise PermissionDeniedError(f"revocation lists are brought by an admin of {peer.settings.mspid}")
        body = await read_body(request, max_bytes=MAX_LIST_BYTES)
        return json_response({"lists": await asyncio.to_thread(peer.local.publish, body)})


def _readable(peer: Peer, name: str, request: Request, resource: str) -> Channel:
    """The channel, if the caller may have this of it now."""
    channel = peer.channels[name]
    channel.require(resource, channel.identify(request.state.caller.certificate, clock_us()))
    return channel


def _all_readable(peer: Peer, request: Request) -> list[Channel]:
    """The channels of which the caller may know how far they are."""
    found = []
    for channel in peer.channels.all():
        with suppress(AuthenticationError, PermissionDeniedError):
            found.append(_readable(peer, channel.name, request, acls.CHAIN_INFO))
    return found


def _reader(peer: Peer, name: str, request: Request, resource: str) -> tuple[Channel, Callable[[], None]]:
    """The channel, and a check whether the caller may still have this of it."""

    def allowed() -> None:
        _readable(peer, name, request, resource)

    return _readable(peer, name, request, resource), allowed

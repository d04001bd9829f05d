"""An orderer's HTTP edge."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from gridledger import framing, jsontext
from gridledger.effort import LARGE_BYTES
from gridledger.errors import GridLedgerError, PermissionDeniedError
from gridledger.identity.msp import Identity
from gridledger.identity.revocation import MAX_LIST_BYTES
from gridledger.protocol import acls
from gridledger.protocol.config_update import CONFIG_PREFIX
from gridledger.protocol.fields import exactly, integer_of, text_of
from gridledger.web import (
    PlainRequest,
    PlainRoute,
    StreamResponse,
    WholeNumber,
    json_response,
    participation_routes,
    read_body,
)
from services.orderer import metrics
from services.orderer.deliver import deliver
from services.orderer.membership import MAX_RAFT_ID, change_membership, hear_announcement
from services.orderer.orderer import Channel, Orderer
from services.orderer.sequencer import BroadcastReceipt
from services.orderer.submission import check_submission

_log = logging.getLogger(__name__)
_PROGRESS_MEMBERS = frozenset(("peer", "height"))
_JOIN_MEMBERS = frozenset(("channel", "node", "applied"))
_MEMBERSHIP_MEMBERS = frozenset(("channel", "change", "node"))
_TRANSFER_MEMBERS = frozenset(("channel", "to"))
_TURN_S = 0.005
"""How long envelopes are checked before others have a turn."""
_ORDERED: dict[str, object] = {"status": 200}


def plain_routes(orderer: Orderer) -> list[PlainRoute]:
    """The route that every transaction takes."""
    limits = orderer.settings.limits

    async def broadcast(request: PlainRequest) -> bytes:
        channel = orderer.authorise(request.parameter, request.caller, acls.BROADCAST)
        channel.follower.check_removed()
        places = orderer.places[request.parameter]
        channel.sequencer.check_leader()
        body = await read_body(request, max_bytes=limits.max_body_bytes)
        envelopes = framing.unpack(body, max_frames=limits.max_envelopes)
        caller, is_peer = request.caller, channel.is_peer(request.caller)
        with places.holding(caller.signer, len(envelopes), len(body), is_peer=is_peer):
            return jsontext.dumps({"results": await _order_all(orderer, channel, envelopes, caller)})

    return [PlainRoute("/channels/{name}/broadcast", broadcast)]


def make_router(orderer: Orderer) -> APIRouter:
    """The routes of one orderer for everything else."""
    router = APIRouter()

    @router.get("/channels/{name}/deliver")
    async def deliver_blocks(
        name: str,
        request: Request,
        start: Annotated[WholeNumber, Query(alias="from")] = 0,
        count: Annotated[WholeNumber | None, Query()] = None,
    ) -> Response:
        allowed = partial(orderer.authorise, name, request.state.caller, acls.DELIVER)
        limit = orderer.settings.limits.stream_chunk_bytes
        return StreamResponse(deliver(allowed().chain, start, count=count, max_chunk_bytes=limit, allowed=allowed))

    @router.post("/channels/{name}/progress")
    async def progress(name: str, request: Request) -> Response:
        channel = orderer.authorise(name, request.state.caller, acls.DELIVER)
        peer = channel.config.peers_by_fingerprint.get(request.state.caller.certificate.fingerprint)
        if peer is None:
            raise PermissionDeniedError(f"only peers of {name} report their progress")
        message = exactly(jsontext.loads(await read_body(request, max_bytes=4096)), _PROGRESS_MEMBERS, "a report")
        channel.sequencer.report_height(peer.name, integer_of(message, "height"))
        return Response(status_code=204)

    @router.get("/channels/{name}")
    async def describe(name: str, request: Request) -> Response:
        return json_response(orderer.told(name, request.state.caller))

    @router.get("/channels/{name}/blocks/{number}/hash")
    async def block_hash(name: str, number: WholeNumber, request: Request) -> Response:
        chain = orderer.authorise(name, request.state.caller, acls.DELIVER).chain
        chain.check()
        return json_response({"number": number, "hash": chain.header(number).hash})

    @router.get("/status")
    async def status(request: Request) -> Response:
        return json_response(orderer.status(request.state.caller))

    @router.post("/raft")
    async def raft(request: Request, life: Annotated[str, Query(max_length=64)] = "") -> Response:
        certificate, senders = request.state.caller.certificate, orderer.raft_senders
        await orderer.lives.hear(senders.check(certificate), senders.issuer_of(certificate), life)
        request.state.slot.become_stream()
        reading = asyncio.create_task(_receive_batches(orderer, request))
        handing_over = asyncio.create_task(_hand_over_at_stop(orderer, request.app.state.stopping))
        try:
            await asyncio.wait((reading, handing_over), return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                reading.result()
        finally:
            reading.cancel()
            handing_over.cancel()
            await asyncio.wait((reading, handing_over))
        return Response(status_code=204)

    @router.post("/admin/transfer-leader")
    async def transfer(request: Request) -> Response:
        message = exactly(jsontext.loads(await read_body(request, max_bytes=4096)), _TRANSFER_MEMBERS, "a transfer")
        name = text_of(message, "channel")
        orderer.channel(name)
        if not orderer.is_own_admin(request.state.caller):
            raise PermissionDeniedError(f"only an admin of {orderer.settings.mspid} moves the leadership of {name}")
        await orderer.transfer_leadership(name, text_of(message, "to"))
        return json_response({"leader": orderer.describe(name)["leader"]})

    _add_membership_routes(router, orderer)
    router.include_router(participation_routes(lambda: orderer.participation))
    return router


def _add_membership_routes(router: APIRouter, orderer: Orderer) -> None:
    """Who takes part in Raft: announcements of other orderers, and changes by admins."""

    @router.post("/raft/join")
    async def join(request: Request) -> Response:
        message = exactly(jsontext.loads(await read_body(request, max_bytes=4096)), _JOIN_MEMBERS, "an announcement")
        channel, raft_id = text_of(message, "channel"), text_of(message, "node", max_length=MAX_RAFT_ID)
        certificate, applied = request.state.caller.certificate, integer_of(message, "applied")
        return json_response({"state": hear_announcement(orderer, certificate, channel, raft_id, applied)})

    @router.post("/admin/revocations")
    async def revocations(request: Request) -> Response:
        if not orderer.is_own_admin(request.state.caller):
            raise PermissionDeniedError(f"revocation lists are brought by an admin of {orderer.settings.mspid}")
        body = await read_body(request, max_bytes=MAX_LIST_BYTES)
        return json_response({"lists": await asyncio.to_thread(orderer.local.publish, body)})

    @router.post("/admin/membership")
    async def membership(request: Request) -> Response:
        message = exactly(
            jsontext.loads(await read_body(request, max_bytes=4096)), _MEMBERSHIP_MEMBERS, "a change of membership"
        )
        channel, change, node = (text_of(message, member) for member in ("channel", "change", "node"))
        return json_response(await change_membership(orderer, request.state.caller.certificate, channel, change, node))


async def _hand_over_at_stop(orderer: Orderer, stopping: asyncio.Event) -> None:
    """Wait until this orderer is told to stop, then hand over. Until that is done it must go on hearing the others."""
    await stopping.wait()
    await orderer.hand_over()


async def _receive_batches(orderer: Orderer, request: Request) -> None:
    """Give consensus each batch of a stream as it comes. Who sends is asked anew for each, and for each of its groups.
    A certificate that expires, configurations that no longer have the orderer, or a malformed batch end the stream."""
    certificate = request.state.caller.certificate
    name_in = partial(orderer.raft_senders.name_in, certificate)
    frames = framing.FrameBuffer(orderer.settings.limits.max_raft_body_bytes)
    more = True
    while more:
        message = await request.receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        more = message.get("more_body", False)
        for batch in frames.feed(message.get("body", b"")):
            orderer.authenticate(certificate)
            orderer.raft_senders.check(certificate)
            orderer.consensus.receive(name_in, batch)


async def _order_all(
    orderer: Orderer, channel: Channel, envelopes: list[bytes], caller: Identity
) -> list[dict[str, object]]:
    """Check and order each envelope by itself; one that is refused holds no other back."""
    effort = orderer.effort_of_peers if channel.is_peer(caller) else orderer.effort
    spending, turn_ends = effort.spent_by(caller.signer), effort.clock() + _TURN_S
    receipt = BroadcastReceipt()
    config, now_us, submit = channel.config, orderer.clock_us(), channel.sequencer.submit
    for number, envelope in enumerate(envelopes):
        try:
            if envelope.startswith(CONFIG_PREFIX):
                judging = partial(check_submission, envelope, config, now_us)
                await effort.beside_loop(orderer.off_loop, caller.signer, judging)
            elif len(envelope) > LARGE_BYTES:
                await effort.in_thread(caller.signer, check_submission, envelope, config, now_us)
            else:
                with spending:
                    check_submission(envelope, config, now_us)
            submit(envelope, receipt, number)
        except GridLedgerError as error:
            receipt.errors[number] = error
        except Exception:
            # A defect of ours costs the one envelope that shows it, not those that came along.
            _log.exception("an envelope could not be checked", extra={"channel": channel.chain.channel})
            receipt.errors[number] = GridLedgerError("the orderer failed at this envelope; its log says why")
        if effort.clock() > turn_ends:
            await asyncio.sleep(0)
            turn_ends = effort.clock() + _TURN_S
    await receipt.wait()
    results: list[dict[str, object]] = [_ORDERED] * len(envelopes)
    for number, refusal in receipt.errors.items():
        metrics.REFUSED.labels(channel.chain.channel, refusal.code).inc()
        results[number] = {"status": refusal.status, **refusal.to_dict()}
    return results

"""The simulated relay's captures over HTTP, and its misbehaviour.

GET  /capture[?after=SHA256&wait_s=S]   the last complete capture; it is waited for where that is ``after``
GET  /captures                          [{"name", "sha256", "completed_us"}], oldest first
GET  /captures/NAME                     one of them
POST /misbehave                         {"kind", "minutes"}, from this machine only; kind "none" ends it
GET  /healthz
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import math
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import quote

from aiohttp import web

from gridledger import jsontext
from gridledger.errors import GridLedgerError, PortTaken
from services.relay.simulator.folder import Complete
from services.relay.simulator.misbehaviour import KINDS, MAX_MINUTES
from services.relay.simulator.relay import LONGEST_HOLD_S, SimulatedRelay

LONGEST_WAIT_S = 60.0
SLOW_BYTE_S = 0.5
"""A slow relay sends a byte each time this has passed."""
MAX_ASKERS = 64
"""Askers that a two-faced relay tells apart, a capture."""
_MICROSECONDS = 1_000_000
_MAX_BODY = 1024
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, 0 s

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class CaptureServer:
    """Answers for one relay."""

    def __init__(self, relay: SimulatedRelay) -> None:
        self._relay = relay
        # By capture that has two faces: who asked, in the order in which they came.
        self._askers: dict[str, list[str]] = {}

    def application(self) -> web.Application:
        """What aiohttp serves."""
        application = web.Application(client_max_size=_MAX_BODY, middlewares=[self._misbehaving])
        application.router.add_get("/capture", self._latest)
        application.router.add_get("/captures", self._list)
        application.router.add_get("/captures/{name}", self._named)
        application.router.add_post("/misbehave", self._misbehave)
        application.router.add_get("/healthz", self._health)
        return application

    @web.middleware
    async def _misbehaving(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.path.startswith("/capture"):
            return await handler(request)
        answer = None
        if self._relay.kind not in ("silent", "reset"):
            answer = await handler(request)
        # What it does wrong when it answers counts: a wait for the next capture may have begun before.
        match self._relay.kind:
            case "silent":
                await self._relay.hold("silent", LONGEST_HOLD_S)
                return _dropped(request)
            case "slow" if answer is not None:
                return await _slowly(request, answer)
            case "reset":
                return _dropped(request)
        return answer or _dropped(request)

    async def _latest(self, request: web.Request) -> web.StreamResponse:
        after = request.query.get("after") or request.headers.get("If-None-Match", "").strip('"')
        loop = asyncio.get_running_loop()
        end = loop.time() + _wait_s(request.query.get("wait_s", "0"))
        while True:
            last = self._relay.folder.last
            if last is not None:
                data = self._told(last, request)
                if hashlib.sha256(data).hexdigest() != after:
                    return _answer(last, data)
            left = end - loop.time()
            if left <= 0:
                return web.Response(status=204 if last is None else 304)
            await self._relay.next_complete(left)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        entries = [
            {
                "name": capture.name,
                "sha256": hashlib.sha256(self._told(capture, request, asks=False)).hexdigest(),
                "completed_us": capture.completed_us,
            }
            for capture in self._relay.folder
        ]
        return web.Response(body=jsontext.dumps(entries), content_type="application/json")

    async def _named(self, request: web.Request) -> web.StreamResponse:
        capture = self._relay.folder.get(request.match_info["name"])
        if capture is None:
            raise web.HTTPNotFound(text="there is no such capture\n")
        return _answer(capture, self._told(capture, request))

    def _told(self, capture: Complete, request: web.Request, *, asks: bool = True) -> bytes:
        """What this asker is told: of two faces the same one each time."""
        if capture.other is None:
            return capture.data
        asker = request.headers.get("User-Agent", "")[:_MAX_BODY]
        askers = self._askers.get(capture.name, [])
        if asker not in askers:
            if not asks or len(askers) >= MAX_ASKERS:
                return capture.data
            self._askers = {name: known for name, known in self._askers.items() if self._relay.folder.get(name)}
            self._askers[capture.name] = askers = [*askers, asker]
        return capture.other if askers.index(asker) % 2 else capture.data

    async def _misbehave(self, request: web.Request) -> web.StreamResponse:
        if not _is_loopback(request.remote):
            raise web.HTTPForbidden(text="only from this machine\n")
        try:
            wanted = jsontext.loads(await request.read())
        except GridLedgerError as error:
            raise web.HTTPBadRequest(text=f"{error.message}\n") from None
        match wanted:
            case {"kind": "none"}:
                kind, minutes = None, 0
            case {"kind": known, "minutes": int(minutes)} if known in KINDS and 0 < minutes <= MAX_MINUTES:
                kind = known
            case _:
                known_kinds = ", ".join((*KINDS, "none"))
                raise web.HTTPBadRequest(text=f"give kind ({known_kinds}) and minutes (1 to {MAX_MINUTES})\n")
        spell = self._relay.misbehave(kind, minutes)
        return web.json_response(asdict(spell) if spell else {"kind": "none"})

    async def _health(self, request: web.Request) -> web.StreamResponse:
        del request
        last = self._relay.folder.last
        return web.json_response({"status": "ok", "last": last and last.name, "misbehaves": self._relay.kind})


@asynccontextmanager
async def serving(relay: SimulatedRelay, host: str, port: int) -> AsyncIterator[int]:
    """Serve a relay over HTTP; gives the port, which is chosen where ``port`` is 0.

    Raises :class:`PortTaken` where another process listens there.
    """
    runner = web.AppRunner(
        CaptureServer(relay).application(), access_log=None, handler_cancellation=True, shutdown_timeout=1.0
    )
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise PortTaken(f"cannot listen on {host}:{port}: {error.strerror}") from None
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _answer(capture: Complete, data: bytes) -> web.Response:
    completed = datetime.fromtimestamp(capture.completed_us // _MICROSECONDS, UTC)
    return web.Response(
        body=data,
        headers={
            "Content-Type": "text/plain; charset=utf-8",
            "ETag": f'"{hashlib.sha256(data).hexdigest()}"',
            "Last-Modified": format_datetime(completed, usegmt=True),
            "Content-Location": f"/captures/{quote(capture.name)}",
        },
    )


async def _slowly(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
    """The same answer byte by byte."""
    body = answer.body if isinstance(answer, web.Response) and isinstance(answer.body, bytes) else b""
    slow = web.StreamResponse(status=answer.status, headers=answer.headers)
    slow.content_length = len(body)
    await slow.prepare(request)
    for at in range(len(body)):
        await slow.write(body[at : at + 1])
        await asyncio.sleep(SLOW_BYTE_S)
    return slow


def _dropped(request: web.Request) -> web.Response:
    """End the connection with a reset. The answer that is returned has nobody to go to."""
    if (transport := request.transport) is not None:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()
    return web.Response(status=503)


def _wait_s(told: str) -> float:
    try:
        wait_s = float(told)
    except ValueError:
        wait_s = math.nan
    if not 0 <= wait_s < math.inf:
        raise web.HTTPBadRequest(text="wait_s must be a number of seconds\n")
    return min(wait_s, LONGEST_WAIT_S)


def _is_loopback(remote: str | None) -> bool:
    try:
        return ipaddress.ip_address(remote or "").is_loopback
    except ValueError:
        return False

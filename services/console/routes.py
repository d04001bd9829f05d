"""The console's own routes: login and logout, files, the live stream. The pages bring theirs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from gridledger import jsontext
from gridledger.errors import GridLedgerError, NotFoundError
from gridledger.identity.certificate import Certificate
from gridledger.protocol.fields import from_base64, object_of, text_of, value_of
from gridledger.web import OwnHost, StreamResponse, json_response, read_body
from services.console.answers import HTML
from services.console.callers import COOKIE, origin_of, read_form
from services.console.challenges import ANSWER_PATH, CHALLENGE_PATH, Challenges
from services.console.console import Console
from services.console.errors import ForgeryRefused
from services.console.pages import (
    about,
    alarms,
    benchmark,
    blocks,
    cases,
    chaincode,
    channel,
    channels,
    configurations,
    found,
    grid,
    keys,
    network,
    relay,
    search,
    transactions,
    vault,
)
from services.console.sessions import Session

OPEN_ROUTES: Final = ("/login", CHALLENGE_PATH, ANSWER_PATH, "/static/console.css", "/static/icon.svg")
MAX_ANSWER_BYTES: Final = 32 * 1024
STATIC: Final = Path(__file__).parent / "static"
_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FILE_CACHE: Final = {"cache-control": "private, max-age=3600"}
_PAGES: Final = (
    grid,
    alarms,
    network,
    channels,
    channel,
    chaincode,
    configurations,
    keys,
    blocks,
    found,
    transactions,
    relay,
    vault,
    cases,
    search,
    benchmark,
    about,
)


def make_router(
    console: Console,
    host: OwnHost,
    check: Callable[[Session], None],
    *,
    secure: bool,
    challenges: Challenges | None = None,
) -> APIRouter:
    """All routes. ``check`` raises for a session that has ended; ``secure`` cookies are sent over TLS only. With
    ``challenges`` people log in by signing one."""
    router = APIRouter()
    _add_login(router, console, host, secure=secure)
    if challenges is not None:
        _add_challenges(router, console, host, challenges)
    _add_files(router)
    _add_live(router, console, check)
    for module in _PAGES:
        module.add_to(router, console)

    @router.get("/")
    async def start(request: Request) -> Response:
        await console.viewers.looked()
        has_grid = any(console.grid.wants(viewer, channel) for channel, viewer in console.viewers.channels.items())
        return RedirectResponse("/grid" if has_grid else "/network", 303)

    return router


def _add_login(router: APIRouter, console: Console, host: OwnHost, *, secure: bool) -> None:
    @router.get("/login")
    async def ask(request: Request, t: Annotated[str, Query(max_length=200)] = "") -> Response:
        host.check(request.scope)
        text = console.renderer.render("login.html", None, title="Log in", token=t, shared=console.viewers.shared)
        return Response(text, media_type=HTML)

    @router.post("/login")
    async def log_in(request: Request) -> Response:
        host.check(request.scope)
        own = origin_of(request.scope, "https" if secure else "http")
        # The file that the command line opens posts as "null". Another site logs nobody in as whom it likes.
        if request.headers.getlist("origin") not in ([], ["null"], [own]):
            raise ForgeryRefused("this login comes from another site: take a new one from where the console runs")
        fields = await read_form(request, None)
        cookie, _ = console.sessions.open(fields.get("token", ""))
        # Not a redirect: a browser that came from elsewhere would not send a SameSite=Strict cookie along.
        answer = Response(console.renderer.render("logged_in.html", None), media_type=HTML)
        answer.set_cookie(COOKIE, cookie, httponly=True, samesite="strict", secure=secure, path="/")
        return answer

    @router.post("/logout")
    async def log_out(request: Request) -> Response:
        await read_form(request, request.state.caller)
        console.sessions.end(request.state.caller)
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=secure, path="/")
        return answer


def _add_challenges(router: APIRouter, console: Console, host: OwnHost, challenges: Challenges) -> None:
    """The way in for the command line, which signs with the person's key and gets the token of a login."""

    @router.get(CHALLENGE_PATH)
    async def challenge(request: Request) -> Response:
        host.check(request.scope)
        origin = origin_of(request.scope, "https")
        return json_response({"origin": origin, "nonce": challenges.make(origin)})

    @router.post(ANSWER_PATH)
    async def answer(request: Request) -> Response:
        host.check(request.scope)
        told = object_of(jsontext.loads(await read_body(request, max_bytes=MAX_ANSWER_BYTES)), "an answer")
        certificate = Certificate.from_pem(text_of(told, "certificate", max_length=MAX_ANSWER_BYTES))
        person = console.viewers.member(certificate)
        signature = from_base64(value_of(told, "signature"), "'signature'")
        challenges.answer(origin_of(request.scope, "https"), text_of(told, "nonce"), certificate, signature)
        return json_response({"token": console.sessions.invite(person)})


def _add_files(router: APIRouter) -> None:
    names = {path.relative_to(STATIC).as_posix(): path for path in STATIC.rglob("*") if path.suffix in _TYPES}

    @lru_cache(maxsize=len(names))
    def content(name: str) -> bytes:
        return names[name].read_bytes()

    @router.get("/static/{name:path}")
    async def file(name: str, request: Request) -> Response:
        if name not in names:
            raise NotFoundError(f"there is no file {name!r:.80}")
        return Response(content(name), media_type=_TYPES[names[name].suffix], headers=_FILE_CACHE)


def _add_live(router: APIRouter, console: Console, check: Callable[[Session], None]) -> None:
    async def chunks(session: Session) -> AsyncIterator[bytes]:
        async for chunk in console.hub.stream(lambda: console.viewers.channels):
            try:
                check(session)
            except GridLedgerError:
                return  # the browser's next request is told why
            yield chunk

    @router.get("/live")
    async def live(request: Request) -> Response:
        return StreamResponse(chunks(request.state.caller), "text/event-stream")

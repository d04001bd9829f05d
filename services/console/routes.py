"""The console's own routes: login and logout, files, the live stream. The pages bring theirs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from gridledger.errors import GridLedgerError, NotFoundError
from gridledger.web import OwnHost, StreamResponse
from services.console.answers import HTML
from services.console.callers import COOKIE, read_form
from services.console.console import Console
from services.console.pages import about, alarms, blocks, channels, grid, network, transactions
from services.console.sessions import Session

OPEN_ROUTES: Final = ("/login", "/static/console.css", "/static/icon.svg")
STATIC: Final = Path(__file__).parent / "static"
_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FILE_CACHE: Final = {"cache-control": "private, max-age=3600"}
_PAGES: Final = (grid, alarms, network, channels, blocks, transactions, about)


def make_router(console: Console, host: OwnHost, check: Callable[[Session], None], *, secure: bool) -> APIRouter:
    """All routes. ``check`` raises for a session that has ended; ``secure`` cookies are sent over TLS only."""
    router = APIRouter()
    _add_login(router, console, host, secure=secure)
    _add_files(router)
    _add_live(router, console, check)
    for module in _PAGES:
        module.add_to(router, console)

    @router.get("/")
    async def start(request: Request) -> Response:
        return RedirectResponse("/network", 303)

    return router


def _add_login(router: APIRouter, console: Console, host: OwnHost, *, secure: bool) -> None:
    @router.get("/login")
    async def ask(request: Request, t: Annotated[str, Query(max_length=200)] = "") -> Response:
        host.check(request.scope)
        how = "Open the address that the console printed where it was started: it works once."
        text = console.renderer.render(
            "login.html", None, title="Log in", token=t, how=how, as_whom=console.viewers.first.label
        )
        return Response(text, media_type=HTML)

    @router.post("/login")
    async def log_in(request: Request) -> Response:
        host.check(request.scope)
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
        async for chunk in console.hub.stream():
            try:
                check(session)
            except GridLedgerError:
                return  # the browser's next request is told why
            yield chunk

    @router.get("/live")
    async def live(request: Request) -> Response:
        return StreamResponse(chunks(request.state.caller), "text/event-stream")

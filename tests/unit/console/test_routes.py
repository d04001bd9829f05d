"""The router: each route that changes something refuses a request without the session's forgery token."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fastapi import APIRouter
from starlette.requests import Request

from gridledger.web import OwnHost
from services.console.challenges import ANSWER_PATH, CHALLENGE_PATH, Challenges
from services.console.console import Console
from services.console.errors import ForgeryRefused
from services.console.routes import OPEN_ROUTES, make_router
from services.console.sessions import Person, Session, Sessions

ALICE = Person("Org1MSP", "alice", "a" * 64, not_after_s=1e12)
OPEN_POSTS = {"/login", ANSWER_PATH}


class Untouched:
    """A part of the console that no request may reach."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was asked for before the forgery token was checked")


def make() -> tuple[APIRouter, Session]:
    secrets = iter(("token", "cookie", "forgery"))
    sessions = Sessions(lambda: 0.0, lambda: next(secrets))
    _, session = sessions.open(sessions.invite(ALICE))
    parts = dict.fromkeys(("viewers", "hub", "followers", "nodes", "grid", "renderer", "clock_us", "options"))
    console = SimpleNamespace(**{name: Untouched() for name in parts}, sessions=Untouched())
    host = OwnHost(7000, ("a.localhost",), loopback=False)
    challenges = Challenges(b"key", lambda: 0.0, lambda: "x")
    return make_router(cast("Console", console), host, lambda _: None, secure=True, challenges=challenges), session


def changing(router: APIRouter) -> Iterator[Any]:
    for route in router.routes:
        if {"GET", "HEAD", "OPTIONS"}.isdisjoint(cast("Any", route).methods):
            yield route


def request_of(session: Session, method: str, body: bytes, **headers: str) -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    head = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": "/", "query_string": b"", "headers": head}
    return Request({**scope, "state": {"caller": session}}, receive)


def test_the_routes_without_a_session_are_known() -> None:
    router, _ = make()
    paths = {cast("Any", route).path for route in changing(router)}
    assert paths >= OPEN_POSTS
    assert len(paths - OPEN_POSTS) >= 9
    assert set(OPEN_ROUTES) == {*OPEN_POSTS, CHALLENGE_PATH, "/static/console.css", "/static/icon.svg"}


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", {}),
        (b"act=add&channel=c&item=c", {}),
        (b"forgery_token=", {}),
        (b"forgery_token=other", {}),
        (b"", {"x_forgery_token": "other"}),
        (b"forgery_token=other", {"x_forgery_token": "forgery"}),
    ],
)
async def test_nothing_is_changed_without_the_forgery_token(body: bytes, headers: dict[str, str]) -> None:
    router, session = make()
    for route in changing(router):
        if route.path in OPEN_POSTS:
            continue
        named = dict.fromkeys(re.findall(r"\{([a-z_]+)[:}]", route.path), "x")
        (method,) = route.methods
        with pytest.raises(ForgeryRefused):
            await route.endpoint(**named, request=request_of(session, method, body, **headers))

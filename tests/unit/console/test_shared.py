"""A console of a control room: a person sees nothing of a channel that the console reads and the person may not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI

from gridledger.errors import NotFoundError, PermissionDeniedError
from gridledger.protocol.config import ChannelConfig
from gridledger.web import OwnHost
from services.console.console import Console, Options
from services.console.errors import ForgeryRefused
from services.console.grid.drawing import Drawing
from services.console.grid.live import GridLive
from services.console.live.followers import Followers
from services.console.live.hub import Hub
from services.console.rendering import Renderer
from services.console.routes import make_router
from services.console.sessions import Person, Session, Sessions
from services.console.viewers import Viewer, Viewers, looking
from tests.support.paper import NOW_US, PaperNetwork

OPEN, SECRET = PaperNetwork("open"), PaperNetwork("hidden-channel")
PERSON = Person.of("Org1MSP", OPEN.client.certificate)


class NoGateway:
    """A gateway that nobody may ask."""

    def get_network(self, channel: str) -> Any:
        raise AssertionError(f"{channel} was asked")


class Place:
    """A console that reads both channels, and one person who is a member of the first only."""

    def __init__(self) -> None:
        configs: dict[str, ChannelConfig] = {
            "open": OPEN.config,
            "hidden-channel": SECRET.config,
        }
        viewer = Viewer(
            SECRET.client, cast("Any", NoGateway()), configs, {"hidden-channel": "peers of hidden-channel fail"}
        )
        profile = SimpleNamespace(applications={}, name="n", orderers={}, peers={})
        self.viewers = Viewers(cast("Any", profile), [viewer], lambda: NOW_US, shared=True)
        self.viewers._looked.set()
        hub = Hub(lambda: 0.0)
        grid = GridLive(self.viewers, hub, Drawing(None), lambda: NOW_US)
        grid.state.channel("hidden-channel")
        sessions = Sessions(lambda: 0.0, lambda: "s" * 43)
        _, self.session = sessions.open(sessions.invite(PERSON))

        async def asked() -> None:
            pass

        self.console = Console(
            self.viewers,
            sessions,
            hub,
            Followers(self.viewers, hub, (grid,), lambda: NOW_US),
            cast("Any", SimpleNamespace(state=None, at_us=0, asked=asked)),
            grid,
            Renderer(always),
            lambda: NOW_US,
            Options(),
        )
        host = OwnHost(7000, ("a.localhost",), loopback=False)
        self.router = make_router(self.console, host, lambda _: None, secure=True)

    def invite(self) -> str:
        """The token of a login."""
        return self.console.sessions.invite(PERSON)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        app = FastAPI()
        app.include_router(self.router)

        async def serve(scope: Any, receive: Any, send: Any) -> None:
            scope["state"] = {"caller": self.session}
            looking.set(PERSON)
            await app(scope, receive, send)

        transport = httpx.ASGITransport(app=serve)
        async with httpx.AsyncClient(transport=transport, base_url="http://a.localhost:7000") as client:
            yield client


def always(session: Session | None) -> dict[str, Any]:
    told = {"session": session, "version": "1", "navigation": (), "has_cases": False, "as_whom": "", "here": ""}
    return {**told, "searched": ""}


def paths(place: Place, *, of_channels: bool) -> list[str]:
    every = [cast("Any", route).path for route in place.router.routes if "GET" in cast("Any", route).methods]
    left_out = ("/login", "/live", "/static", "/benchmark/", "/grid/series")
    return [path for path in every if not path.startswith(left_out) and ("{" in path) == of_channels]


async def test_no_page_tells_of_a_channel_that_the_person_may_not_read() -> None:
    place = Place()
    seen = 0
    async with place.client() as client:
        for path in paths(place, of_channels=False):
            for query in ("", "?format=csv", "?format=json", "?q="):
                answer = await client.get(path + query)
                assert answer.status_code in (200, 303), path
                assert "hidden-channel" not in answer.text, path
                seen += answer.status_code == 200
    assert seen > 20


@pytest.mark.parametrize("channel", ["hidden-channel", "no-such"])
async def test_a_channel_that_the_person_may_not_read_is_as_one_that_is_not_there(channel: str) -> None:
    place = Place()
    tried = 0
    async with place.client() as client:
        for path in paths(place, of_channels=True):
            filled = path.replace("{name}", channel, 1) if "/vault" not in path else path.replace("{name}", "x")
            filled = filled.replace("{channel}", channel)
            for name in ("group", "number", "tx_id", "chaincode", "case", "relay", "minute"):
                filled = filled.replace("{" + name + "}", "1")
            if path.endswith("/try"):
                continue  # it leads to the page only
            with pytest.raises(NotFoundError):
                await client.get(filled)
            tried += 1
        with pytest.raises(NotFoundError):
            await client.get("/grid/series", params={"channel": channel, "group": "1"})
    assert tried >= 12


async def test_nothing_is_signed_for_a_person() -> None:
    place = Place()
    token = place.session.forgery_token
    async with place.client() as client:
        for path in ("/channels/open/chaincodes/kv/try", "/channels/hidden-channel/chaincodes/kv/try"):
            with pytest.raises(PermissionDeniedError, match="signed by yourself"):
                await client.post(path, data={"forgery_token": token, "function": "get", "arguments": "[]"})
        for act in ("acknowledge", "shelve", "unshelve"):
            fields = {"channel": "hidden-channel", "raised_us": "1", "duration_s": "60", "forgery_token": token}
            answer = await client.post(f"/alarms/{act}", data=fields)
            assert "signed by yourself" in answer.text


async def test_the_page_about_tells_what_the_person_may() -> None:
    place = Place()
    place.session = replace(place.session, person=Person.of("Org1MSP", OPEN.admins["Org1MSP"].certificate))
    async with place.client() as client:
        answer = await client.get("/about")
    assert "admin@Org1MSP" in answer.text


@pytest.mark.parametrize("origin", ["", "null", "https://a.localhost:7000"])
async def test_a_login_comes_from_the_console_or_the_command_line(origin: str) -> None:
    place = Place()
    async with place.client() as client:
        answer = await client.post(
            "/login", data={"token": place.invite()}, headers={"origin": origin} if origin else {}
        )
    assert answer.status_code == 200
    assert "SameSite=strict; Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize("origin", ["https://evil.example", "http://a.localhost:7000", "https://a.localhost:7001"])
async def test_another_site_logs_nobody_in(origin: str) -> None:
    place = Place()
    async with place.client() as client:
        with pytest.raises(ForgeryRefused):
            await client.post("/login", data={"token": place.invite()}, headers={"origin": origin})

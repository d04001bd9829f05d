"""Who a request to the console is from: its cookie, its Host, its Origin, its forgery token."""

from __future__ import annotations

from typing import Any, cast

import pytest
from starlette.requests import Request

from gridledger.errors import InputError
from gridledger.web import OwnHost, WrongHost
from services.console.callers import COOKIE, Callers, cookie_of, read_form
from services.console.errors import ForgeryRefused, SessionRequired
from services.console.sessions import Person, Sessions

NAME, PORT = "abc.localhost", 7000
ORIGIN = f"http://{NAME}:{PORT}"
ALICE = Person("Org1MSP", "alice", "a" * 64, not_after_s=1e12)


class Standing:
    ended = False

    def check(self, person: Person) -> None:
        if self.ended:
            raise SessionRequired(f"{person.name} was revoked")


class Place:
    def __init__(self) -> None:
        secrets = iter(("token", "cookie", "forgery"))
        self.standing = Standing()
        self.sessions = Sessions(lambda: 0.0, lambda: next(secrets))
        self.callers = Callers(self.sessions, self.standing, OwnHost(PORT, (NAME,), loopback=False), "http")
        self.cookie, self.session = self.sessions.open(self.sessions.invite(ALICE))

    def scope(self, method: str = "GET", host: str = f"{NAME}:{PORT}", **headers: str) -> dict[str, Any]:
        told = {"host": host, "cookie": f"{COOKIE}={self.cookie}", **headers}
        return {"method": method, "headers": [(name.encode(), value.encode()) for name, value in told.items() if value]}


def test_a_cookie_names_its_session() -> None:
    place = Place()
    assert place.callers.identify(place.scope()) is place.session
    with pytest.raises(SessionRequired):
        place.callers.identify(place.scope(cookie=""))
    with pytest.raises(SessionRequired):
        place.callers.identify(place.scope(cookie=f"{COOKIE}=other"))


@pytest.mark.parametrize("host", ["127.0.0.1:7000", "localhost:7000", "evil.example", NAME, f"{NAME}:7001", ""])
def test_another_host_is_refused(host: str) -> None:
    place = Place()
    with pytest.raises(WrongHost):
        place.callers.identify(place.scope(host=host))


@pytest.mark.parametrize("origin", ["", "null", "http://evil.example", f"http://{NAME}:7001", f"https://{NAME}:7000"])
def test_what_changes_something_comes_from_a_page_of_the_console(origin: str) -> None:
    place = Place()
    assert place.callers.identify(place.scope("POST", origin=ORIGIN)) is place.session
    with pytest.raises(ForgeryRefused):
        place.callers.identify(place.scope("POST", origin=origin))


def test_a_revoked_person_has_no_session_any_more() -> None:
    place = Place()
    place.standing.ended = True
    with pytest.raises(SessionRequired, match="revoked"):
        place.callers.identify(place.scope())
    place.standing.ended = False
    with pytest.raises(SessionRequired, match="log in first"):
        place.callers.identify(place.scope())


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ([(b"cookie", b"a=1; gridledger_console=x; b=2")], "x"),
        ([(b"cookie", b"gridledger_console=x"), (b"cookie", b"gridledger_console=y")], None),
        ([(b"cookie", b"gridledger_console=x; gridledger_console=y")], None),
        ([(b"cookie", b"other=gridledger_console=y; gridledger_console=x=")], "x="),
        ([(b"cookie", b"other=x")], None),
        ([(b"cookie", b"\xff\xfe=;;;=")], None),
        ([], None),
    ],
)
def test_a_cookie_is_read_from_whatever_is_sent(headers: list[tuple[bytes, bytes]], found: str | None) -> None:
    assert cookie_of({"headers": headers}) == found


def posted(body: bytes, **headers: str) -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    told = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "headers": told}, cast("Any", receive))


async def test_a_form_brings_the_sessions_token() -> None:
    session = Place().session
    assert await read_form(posted(b"forgery_token=forgery&x=1&y="), session) == {"x": "1", "y": ""}
    assert await read_form(posted(b"x=1", x_forgery_token="forgery"), session) == {"x": "1"}
    assert await read_form(posted(b"x=1"), None) == {"x": "1"}
    for request in (posted(b"x=1"), posted(b""), posted(b"forgery_token=other"), posted(b"x=1", x_forgery_token="o")):
        with pytest.raises(ForgeryRefused):
            await read_form(request, session)


@pytest.mark.parametrize("body", [b"\xff", b"&" * 300, b"x", b"&".join(b"a=1" for _ in range(101))])
async def test_what_is_no_form_is_refused(body: bytes) -> None:
    with pytest.raises(InputError):
        await read_form(posted(body), None)

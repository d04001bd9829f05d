"""Who sends a request: the session that its cookie names, through the console's own address only."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl

from gridledger.errors import AuthenticationError, InputError
from gridledger.web import OwnHost, read_body
from services.console.errors import ForgeryRefused
from services.console.sessions import Person, Session, Sessions
from services.console.viewers import looking

COOKIE: Final = "gridledger_console"
FORGERY_FIELD: Final = "forgery_token"
FORGERY_HEADER: Final = b"x-forgery-token"
MAX_FORM_BYTES: Final = 256 * 1024
MAX_FIELDS: Final = 100
_SAFE: Final = frozenset(("GET", "HEAD", "OPTIONS"))


class Standing(Protocol):
    """Whether a person may still look."""

    def check(self, person: Person) -> None:
        """Raise an ``AuthenticationError`` for one whose certificate was revoked, or has ended."""


class Callers:
    """Identifies requests to a console that is reached by ``http`` or ``https``, its ``scheme``."""

    def __init__(self, sessions: Sessions, standing: Standing, host: OwnHost, scheme: str) -> None:
        self._sessions = sessions
        self._standing = standing
        self._host = host
        self._scheme = scheme

    def identify(self, scope: MutableMapping[str, Any]) -> Session:
        """The session of a request, which stands at this moment."""
        self._host.check(scope)
        session = self._sessions.find(cookie_of(scope))
        try:
            self._standing.check(session.person)
        except AuthenticationError:
            self._sessions.end(session)
            raise
        if scope["method"] not in _SAFE:
            self._check_origin(scope)
        looking.set(session.person)
        return session

    def _check_origin(self, scope: Mapping[str, Any]) -> None:
        origins = [value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"]
        if origins != [origin_of(scope, self._scheme)]:
            raise ForgeryRefused("this request changes something, and comes from no page of this console")


def origin_of(scope: Mapping[str, Any], scheme: str) -> str:
    """The origin, as browsers write it, of a request whose Host was checked."""
    host = next(value for name, value in scope["headers"] if name == b"host")
    return f"{scheme}://{host.decode('latin-1').lower()}"


def cookie_of(scope: Mapping[str, Any]) -> str | None:
    """The value of the console's cookie; None where there is none, or several."""
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name == b"cookie"]
    pairs = [pair.strip().partition("=") for line in lines for pair in line.split(";")]
    found = [value for name, _, value in pairs if name == COOKIE]
    return found[0] if len(found) == 1 else None


async def read_form(request: Any, session: Session | None) -> dict[str, str]:
    """The fields of a form. With a session its forgery token must be among them, or in the head
    (:class:`ForgeryRefused`)."""
    body = await read_body(request, max_bytes=MAX_FORM_BYTES)
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=MAX_FIELDS)
    except ValueError:
        raise InputError("the form cannot be read") from None
    fields = dict(pairs)
    if session is not None:
        given = next((value.decode("latin-1") for name, value in request.headers.raw if name == FORGERY_HEADER), "")
        given = fields.pop(FORGERY_FIELD, given)
        if not hmac.compare_digest(given.encode(), session.forgery_token.encode()):
            raise ForgeryRefused("the form is of another session: load the page again")
    return fields

"""Who is logged in: tokens that open a session once, and sessions. In memory only; a restart ends all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from gridledger.errors import BusyError
from gridledger.identity.certificate import Certificate
from services.console.errors import LoginRefused, SessionRequired

SESSION_S: Final = 8 * 3600.0
TOKEN_S: Final = 300.0
MAX_SESSIONS: Final = 32
MAX_SESSIONS_OF_ONE: Final = 8
MAX_TOKENS: Final = 32


@dataclass(frozen=True, slots=True)
class Person:
    """Who looks. ``not_after_s`` is the certificate's end, in seconds since 1970."""

    mspid: str
    name: str
    fingerprint: str
    not_after_s: float
    certificate: Certificate | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, mspid: str, certificate: Certificate) -> Person:
        """The holder of a certificate."""
        ends_s = certificate.not_after_us / 1_000_000
        return cls(mspid, certificate.common_name, certificate.fingerprint, ends_s, certificate)

    @property
    def label(self) -> str:
        """Who, in a word: ``alice@Org1MSP``."""
        return f"{self.name}@{self.mspid}"


@dataclass(frozen=True, slots=True)
class Session:
    """A person's login. ``forgery_token`` stands in each of its pages; a request that changes something brings it."""

    key: bytes
    person: Person
    forgery_token: str
    ends_s: float

    @property
    def signer(self) -> tuple[str, str]:
        """Whose share of the console's bounds its requests count against."""
        return self.person.mspid, self.person.name


class Sessions:
    """All tokens and sessions. What a browser holds is kept as its SHA-256 only.

    ``clock_s`` gives seconds since 1970, ``secret`` a fresh text that nobody can guess. Beyond ``MAX_TOKENS`` the
    oldest token is forgotten; beyond ``MAX_SESSIONS_OF_ONE`` a person's oldest session ends, so that nobody takes the
    place of all; beyond ``MAX_SESSIONS`` nobody logs in (:class:`BusyError`) until one has ended.
    """

    def __init__(self, clock_s: Callable[[], float], secret: Callable[[], str]) -> None:
        self._clock_s = clock_s
        self._secret = secret
        self._tokens: dict[bytes, tuple[Person, float]] = {}
        self._sessions: dict[bytes, Session] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def invite(self, person: Person) -> str:
        """A token with which ``person`` logs in, once and within ``TOKEN_S``. The one before is good no more, so that
        nobody fills the places of others."""
        token = self._secret()
        self._tokens = {key: one for key, one in self._tokens.items() if one[0].fingerprint != person.fingerprint}
        while len(self._tokens) >= MAX_TOKENS:
            self._tokens.pop(next(iter(self._tokens)))
        self._tokens[_digest(token)] = person, self._clock_s() + TOKEN_S
        return token

    def open(self, token: str) -> tuple[str, Session]:
        """Use a token up; the cookie's value and the session. :class:`LoginRefused` where the token is not good."""
        now = self._clock_s()
        person, until_s = self._tokens.pop(_digest(token), (None, 0.0))
        if person is None or now >= until_s:
            raise LoginRefused("this login was used before, or is too old: take a new one from where the console runs")
        self._forget_ended(now)
        own = [one for one in self._sessions.values() if one.signer == (person.mspid, person.name)]
        for oldest in own[: len(own) - MAX_SESSIONS_OF_ONE + 1] if len(own) >= MAX_SESSIONS_OF_ONE else ():
            self.end(oldest)
        if len(self._sessions) >= MAX_SESSIONS:
            raise BusyError("the console has as many sessions as it takes: log out elsewhere", retry_after_s=60.0)
        cookie = self._secret()
        key = _digest(cookie)
        session = Session(key, person, self._secret(), min(now + SESSION_S, person.not_after_s))
        self._sessions[key] = session
        return cookie, session

    def find(self, cookie: str | None) -> Session:
        """The session of a cookie; :class:`SessionRequired` where there is none (any more)."""
        session = None if cookie is None else self._sessions.get(_digest(cookie))
        if session is None:
            raise SessionRequired("log in first: open the address that 'gridledger console' printed")
        if self._clock_s() >= session.ends_s:
            self.end(session)
            raise SessionRequired("the session has ended: log in again")
        return session

    def check(self, session: Session) -> None:
        """Raise :class:`SessionRequired` where a session has ended."""
        if self._sessions.get(session.key) is not session or self._clock_s() >= session.ends_s:
            raise SessionRequired("the session has ended: log in again")

    def end(self, session: Session) -> None:
        """Log out."""
        self._sessions.pop(session.key, None)

    def _forget_ended(self, now: float) -> None:
        self._sessions = {key: one for key, one in self._sessions.items() if one.ends_s > now}


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogateescape")).digest()

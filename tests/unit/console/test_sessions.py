"""Tokens and sessions of the console: once, bounded, ended."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest

from gridledger.errors import BusyError
from services.console.errors import LoginRefused, SessionRequired
from services.console.sessions import (
    MAX_SESSIONS,
    MAX_SESSIONS_OF_ONE,
    MAX_TOKENS,
    SESSION_S,
    TOKEN_S,
    Person,
    Sessions,
)

ALICE = Person("Org1MSP", "alice", "a" * 64, not_after_s=1e9)
BOB = Person("Org2MSP", "bob", "b" * 64, not_after_s=1e9)


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    numbers = count()
    return Sessions(clock, lambda: f"secret {next(numbers)}")


def test_a_token_opens_one_session(sessions: Sessions) -> None:
    token = sessions.invite(ALICE)
    cookie, session = sessions.open(token)
    assert sessions.find(cookie) is session
    assert session.person == ALICE
    with pytest.raises(LoginRefused):
        sessions.open(token)
    with pytest.raises(LoginRefused):
        sessions.open("no token")


def test_a_token_ends(sessions: Sessions, clock: Clock) -> None:
    token = sessions.invite(ALICE)
    clock.now_s += TOKEN_S
    with pytest.raises(LoginRefused):
        sessions.open(token)


def test_a_session_ends_after_its_time_and_with_its_certificate(sessions: Sessions, clock: Clock) -> None:
    cookie, session = sessions.open(sessions.invite(ALICE))
    short, _ = sessions.open(sessions.invite(Person("Org1MSP", "carol", "c" * 64, not_after_s=clock.now_s + 10)))
    clock.now_s += 10
    with pytest.raises(SessionRequired):
        sessions.find(short)
    sessions.check(session)
    clock.now_s += SESSION_S
    with pytest.raises(SessionRequired):
        sessions.check(session)
    with pytest.raises(SessionRequired):
        sessions.find(cookie)


@pytest.mark.parametrize("cookie", [None, "", "other", "\udcff"])
def test_without_a_session_nobody_is_known(sessions: Sessions, cookie: str | None) -> None:
    with pytest.raises(SessionRequired):
        sessions.find(cookie)


def test_logging_out_ends_one_session(sessions: Sessions) -> None:
    cookies = [sessions.open(sessions.invite(who)) for who in (ALICE, ALICE, BOB)]
    sessions.end(cookies[0][1])
    with pytest.raises(SessionRequired):
        sessions.find(cookies[0][0])
    assert sessions.find(cookies[1][0])
    assert sessions.find(cookies[2][0]).person == BOB


def test_nobody_takes_the_sessions_of_all(sessions: Sessions) -> None:
    bob, _ = sessions.open(sessions.invite(BOB))
    opened = [sessions.open(sessions.invite(ALICE))[0] for _ in range(MAX_SESSIONS + 1)]
    assert len(sessions) == MAX_SESSIONS_OF_ONE + 1
    assert sessions.find(bob).person == BOB
    assert [sessions.find(cookie).person for cookie in opened[-MAX_SESSIONS_OF_ONE:]] == [ALICE] * MAX_SESSIONS_OF_ONE
    with pytest.raises(SessionRequired):
        sessions.find(opened[-MAX_SESSIONS_OF_ONE - 1])


def test_a_persons_token_takes_the_place_of_the_one_before(sessions: Sessions) -> None:
    other, first = sessions.invite(BOB), sessions.invite(ALICE)
    for _ in range(MAX_TOKENS):
        last = sessions.invite(ALICE)
    with pytest.raises(LoginRefused):
        sessions.open(first)
    assert sessions.open(last)[1].person == ALICE
    assert sessions.open(other)[1].person == BOB


def test_there_are_so_many_sessions_and_tokens_at_most(sessions: Sessions, clock: Clock) -> None:
    oldest = sessions.invite(BOB)
    for number in range(MAX_TOKENS):
        sessions.invite(replace(ALICE, fingerprint=f"{number}"))
    with pytest.raises(LoginRefused):
        sessions.open(oldest)
    for number in range(MAX_SESSIONS):
        sessions.open(sessions.invite(replace(ALICE, name=f"alice{number}")))
    with pytest.raises(BusyError):
        sessions.open(sessions.invite(BOB))
    clock.now_s += SESSION_S
    assert sessions.open(sessions.invite(BOB))
    assert len(sessions) == 1

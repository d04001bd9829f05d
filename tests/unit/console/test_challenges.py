"""Challenges of a control room's console: its own, fresh, answered once, for this console only."""

from __future__ import annotations

from itertools import count

import pytest

from services.console.challenges import CHALLENGE_S, Challenges, login_text
from services.console.errors import LoginRefused
from tests.support.paper.organisation import PaperOrganisation

ORIGIN = "https://control-room:8643"
ALICE = PaperOrganisation("Org1MSP", "challenges").issue("alice", "client")
BOB = PaperOrganisation("Org1MSP", "challenges").issue("bob", "client")


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def make(clock: Clock, key: bytes = b"key") -> Challenges:
    numbers = count()
    return Challenges(key, clock, lambda: f"random{next(numbers)}")


def test_a_challenge_is_answered_once() -> None:
    challenges = make(Clock())
    nonce = challenges.make(ORIGIN)
    signature = ALICE.sign(login_text(ORIGIN, nonce))
    challenges.answer(ORIGIN, nonce, ALICE.certificate, signature)
    with pytest.raises(LoginRefused, match="answered before"):
        challenges.answer(ORIGIN, nonce, ALICE.certificate, signature)
    assert challenges.make(ORIGIN) != nonce


def test_a_challenge_is_answered_in_time() -> None:
    clock = Clock()
    challenges = make(clock)
    nonce = challenges.make(ORIGIN)
    clock.now_s += CHALLENGE_S + 1
    with pytest.raises(LoginRefused, match="too old"):
        challenges.answer(ORIGIN, nonce, ALICE.certificate, ALICE.sign(login_text(ORIGIN, nonce)))


def test_a_signature_is_the_persons_and_for_this_console() -> None:
    challenges = make(Clock())
    nonce = challenges.make(ORIGIN)
    for signature in (
        BOB.sign(login_text(ORIGIN, nonce)),
        ALICE.sign(login_text("https://other:8643", nonce)),
        ALICE.sign(nonce.encode()),
        b"",
    ):
        with pytest.raises(LoginRefused, match="signature"):
            challenges.answer(ORIGIN, nonce, ALICE.certificate, signature)


@pytest.mark.parametrize("nonce", ["", "x", "1000.random.", "1000.random0.00", "x" * 300, "\u2603.a.b", ".."])
def test_what_is_no_challenge_of_ours_is_refused(nonce: str) -> None:
    challenges = make(Clock())
    with pytest.raises(LoginRefused, match="no challenge"):
        challenges.answer(ORIGIN, nonce, ALICE.certificate, ALICE.sign(login_text(ORIGIN, nonce)))


def test_a_challenge_of_another_console_is_refused() -> None:
    clock = Clock()
    for nonce in (make(clock, b"other").make(ORIGIN), make(clock).make("https://other:8643")):
        with pytest.raises(LoginRefused, match="no challenge"):
            make(clock).answer(ORIGIN, nonce, ALICE.certificate, ALICE.sign(login_text(ORIGIN, nonce)))

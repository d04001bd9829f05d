"""Logging in to a console of a control room: the command line signs a challenge with the person's own key.

A challenge is a text that only this console can have made (it carries a MAC over its time and its random part), so none
is kept before its answer was verified. The person signs it together with the console's origin: an answer that was meant
for another console is refused here.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from hashlib import sha256
from typing import Final

from gridledger import jsontext
from gridledger.errors import BusyError
from gridledger.identity.certificate import Certificate
from services.console.errors import LoginRefused

KIND: Final = "console_login"
CHALLENGE_S: Final = 60.0
MAX_ANSWERED: Final = 4096
MAX_NONCE: Final = 256
CHALLENGE_PATH: Final = "/login/challenge"
ANSWER_PATH: Final = "/login/answer"


def login_text(origin: str, nonce: str) -> bytes:
    """What the person signs."""
    return jsontext.dumps({"kind": KIND, "origin": origin, "nonce": nonce})


class Challenges:
    """The challenges of one console. ``key`` is secret, ``random`` gives a fresh text without a dot, ``clock_s`` the
    seconds since 1970."""

    def __init__(self, key: bytes, clock_s: Callable[[], float], random: Callable[[], str]) -> None:
        self._key = key
        self._clock_s = clock_s
        self._random = random
        self._answered: dict[str, float] = {}

    def make(self, origin: str) -> str:
        """A nonce to sign within ``CHALLENGE_S``, for the console at an origin such as ``https://control-room:8643``."""
        head = f"{int(self._clock_s())}.{self._random()}"
        return f"{head}.{self._mac(origin, head)}"

    def answer(self, origin: str, nonce: str, certificate: Certificate, signature: bytes) -> None:
        """Raise :class:`LoginRefused` unless the signature is the certificate's under a challenge of ours that was not
        answered before. Whether the certificate is a member's is for the caller to judge, before."""
        now = self._clock_s()
        self._check(origin, nonce, now)
        if not certificate.verify(signature, login_text(origin, nonce)):
            raise LoginRefused("the signature is not the certificate's under this challenge of this console")
        self._answered = {one: until_s for one, until_s in self._answered.items() if until_s > now}
        if nonce in self._answered:
            raise LoginRefused("this challenge was answered before: ask for another one")
        if len(self._answered) >= MAX_ANSWERED:
            raise BusyError("too many people log in at once", retry_after_s=5.0)
        self._answered[nonce] = now + CHALLENGE_S

    def _check(self, origin: str, nonce: str, now: float) -> None:
        head, _, mac = nonce.rpartition(".")
        if len(nonce) > MAX_NONCE or not hmac.compare_digest(mac.encode(), self._mac(origin, head).encode()):
            raise LoginRefused("this is no challenge of this console")
        if now - int(head.partition(".")[0]) > CHALLENGE_S:
            raise LoginRefused("this challenge is too old: ask for another one")

    def _mac(self, origin: str, head: str) -> str:
        return hmac.new(self._key, f"{origin} {head}".encode(), sha256).hexdigest()

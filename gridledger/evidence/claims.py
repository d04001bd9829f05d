"""Claims of events in a package: that the holder of a key says a text. None depends on another one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from gridledger.evidence import schnorr
from gridledger.evidence.errors import EvidenceError


class Claim(NamedTuple):
    """That the holder of ``key`` (130 hex digits) says ``text`` as ``user``, and the proof (194 hex digits)."""

    key: str
    user: str
    text: str
    proof: str


Judge = Callable[[Sequence[Claim]], Sequence[bool]]
"""Says of each claim whether its proof holds."""


def holds(claim: Claim) -> bool:
    """Whether a proof holds; False for what is none."""
    return here([claim])[0]


def here(claims: Sequence[Claim]) -> list[bool]:
    """The judge that works in this process."""
    read = [_read(claim) for claim in claims]
    held = iter(schnorr.verify_each([claim for claim in read if claim is not None]))
    return [claim is not None and next(held) for claim in read]


def _read(claim: Claim) -> schnorr.Claim | None:
    try:
        public = schnorr.bytes_of(claim.key, "proof_key", schnorr.KEY_DIGITS // 2)
        return schnorr.Claim(public, claim.user, claim.text, schnorr.Proof.of(claim.proof))
    except EvidenceError:
        return None

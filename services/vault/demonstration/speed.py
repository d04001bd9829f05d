"""How fast this machine splits and joins in memory, by profile."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Final

from gridledger.sharing import profiles
from services.vault.demonstration.book import Speed

T: Final = 5
N: Final = 9
_BYTES: Final = {"sealed": 16_000_000, "copies": 16_000_000, "article": 400_000, "shamir": 400_000}
_TIMES: Final = 3


def speeds() -> list[Speed]:
    """MB of data a second of the processor's time at (5, 9), the best of three: others may use the machine."""
    return [_speed(profile, size) for profile, size in _BYTES.items()]


def _speed(profile: str, size: int) -> Speed:
    data, ids, head = sha256(b"speed").digest() * (size // 32), list(range(301, 301 + N)), b"{}"
    cut = profiles.split(profile, data, T, ids, head=head, randbytes=os.urandom)
    # Of sealed the last t holders, so that fragments of parity are decoded.
    shares = {x: cut.shares[x] for x in ids[-profiles.needed(profile, T) :]}

    def split() -> None:
        profiles.split(profile, data, T, ids, head=head, randbytes=os.urandom)

    def join() -> None:
        profiles.join(profile, shares, T, ids, head=head, length=len(data), cipher_sha256=cut.cipher_sha256)

    return Speed(profile, T, N, *(len(data) / 1e6 / _best_s(work) for work in (split, join)))


def _best_s(work: Callable[[], None]) -> float:
    took = []
    for _ in range(_TIMES):
        began = time.process_time()
        work()
        took.append(time.process_time() - began)
    return min(took)

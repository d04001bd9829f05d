"""Split, join, and all shares again, in memory, by profile and (t, n); commitments apart."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

from gridledger.sharing.commitment import audit_commitment, root
from gridledger.sharing.profiles import join, needed, resplit, split

SCHEMES: Final = ((2, 3), (3, 5), (5, 9), (11, 20))
"""(t, n)."""
_HEAD: Final = b'{"channel":"vault","object":"benchmark","part":0}'
_BYTES_A_MB: Final = 1e6


@dataclass(frozen=True, slots=True)
class Speed:
    """MB of data in a second: the median of the rounds by the clock, and by the processor's time of this process.

    Where they differ, others used the machine meanwhile.
    """

    clock_mb_s: float
    cpu_mb_s: float


@dataclass(frozen=True, slots=True)
class Measured:
    """One profile at one (t, n)."""

    profile: str
    t: int
    n: int
    data_bytes: int
    split: Speed
    join: Speed
    resplit: Speed
    commit: Speed
    """The commitments of all n shares, by the bytes of the data."""
    audit: Speed
    """One audit's commitments of all n shares, by the bytes of the data; an object has 64 by default."""

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)


def measure(profile: str, t: int, n: int, data_bytes: int, rounds: int) -> Measured:
    """Measure one profile; of the shares those are joined that have most of the erasure code's parity."""
    data, ids = os.urandom(data_bytes), [11 + i for i in range(n)]
    cut = split(profile, data, t, ids, head=_HEAD, randbytes=os.urandom)
    known = {x: cut.shares[x] for x in ids[-needed(profile, t) :]}

    def joined() -> bytes:
        digest = cut.cipher_sha256
        return join(profile, known, t, ids, head=_HEAD, length=data_bytes, cipher_sha256=digest)

    if joined() != data:
        raise AssertionError(f"{profile} ({t}, {n}) does not join to what was split")
    nonce = os.urandom(32)
    works: dict[str, Callable[[], object]] = {
        "split": lambda: split(profile, data, t, ids, head=_HEAD, randbytes=os.urandom),
        "join": joined,
        "resplit": lambda: resplit(profile, data, known, t, ids, head=_HEAD),
        "commit": lambda: [root(share) for share in cut.shares.values()],
        "audit": lambda: [audit_commitment(nonce, share) for share in cut.shares.values()],
    }
    speeds = {name: _speed(work, data_bytes, rounds) for name, work in works.items()}
    return Measured(profile, t, n, data_bytes, **speeds)


def _speed(work: Callable[[], object], data_bytes: int, rounds: int) -> Speed:
    clock: list[float] = []
    cpu: list[float] = []
    work()  # so that memory is there
    for _ in range(rounds):
        began, began_cpu = time.perf_counter(), time.process_time()
        work()
        clock.append(time.perf_counter() - began)
        cpu.append(time.process_time() - began_cpu)
    return Speed(data_bytes / median(clock) / _BYTES_A_MB, data_bytes / max(median(cpu), 1e-9) / _BYTES_A_MB)

"""The machine that a number was measured on, and the throughput that its signatures alone would allow: the floor."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from benchmarks.load.topologies import Topology
from gridledger.identity.signer import sign_p256
from gridledger.machine import commit_of, processor
from services.ca.authority import DAY_US, Authority

_SERIES = 5
_CALLS = 400


@dataclass(frozen=True, slots=True)
class Machine:
    """Cores, processor, Python, commit; seconds that one P-256 signature and one verification take on one core."""

    cores: int
    processor: str
    python: str
    commit: str
    sign_s: float
    verify_s: float

    def floor_tx_s(self, topology: Topology) -> float:
        """Transactions per second if all cores did nothing but sign and verify.

        For one transaction the client signs twice; each endorser verifies once and signs once; the orderer verifies
        once; each of the channel's peers verifies the client's signature and every endorsement.
        """
        _, peers, endorsers = topology
        signatures = 2 + endorsers
        verifications = endorsers + 1 + peers * (1 + endorsers)
        return self.cores / (signatures * self.sign_s + verifications * self.verify_s)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)

    def __str__(self) -> str:
        """The machine in a line."""
        return (
            f"{self.cores} cores, {self.processor}, Python {self.python}, commit {self.commit}; P-256 sign "
            f"{self.sign_s * 1e6:.0f} us, verify {self.verify_s * 1e6:.0f} us"
        )


@cache
def this_machine() -> Machine:
    """This machine, measured at the first call. A signature's time is that of the fastest of a few series."""
    key = ec.generate_private_key(ec.SECP256R1())
    now_us = time.time_ns() // 1000
    authority = Authority.create("benchmark", "benchmark", now_us=now_us, lifetime_us=DAY_US)
    certificate = authority.issue(key.public_key(), "signer", None, now_us=now_us, lifetime_us=DAY_US)
    text = b"x" * 200
    signature = sign_p256(key, text)
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        processor=processor(),
        python=platform.python_version(),
        commit=commit_here(),
        sign_s=_fastest(lambda: sign_p256(key, text)),
        verify_s=_fastest(lambda: certificate.verify(signature, text)),
    )


def _fastest(work: Callable[[], Any]) -> float:
    """Seconds of one call, from the fastest of ``_SERIES`` series."""
    times = []
    for _ in range(_SERIES):
        started = time.perf_counter()
        for _ in range(_CALLS):
            work()
        times.append((time.perf_counter() - started) / _CALLS)
    return min(times)


def commit_here() -> str:
    """The commit of the checkout, or "unknown": there may be no git, or no history."""
    return commit_of(Path.cwd())

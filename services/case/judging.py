"""Judges the claims of a package's events by all processors of the machine: it may have tens of thousands of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain
from multiprocessing import get_context
from typing import Final

from gridledger.evidence.claims import Claim, Judge, here
from gridledger.evidence.report import Report
from gridledger.evidence.verification import verify_package
from services.case.stamp_files import StampFile
from services.case.trusted import Trusted

FEW: Final = 4_000
"""So many proofs take less time than it takes to start processes: each is 0.1 ms."""
_A_TASK: Final = 250
_MOST_PROCESSES: Final = 32


def verified(data: bytes, trusted: Trusted, stamp: StampFile | None) -> Report:
    """What verifying a package says, by what the verifier trusts, and the time stamp over it."""
    report = verify_package(
        data,
        roots=trusted.roots,
        general_genesis=trusted.genesis,
        roles=trusted.roles,
        judge=side_by_side(processors()),
    )
    if stamp is not None:
        stamp.judge(report, data)
    return report


def processors() -> int:
    """How many processors this process may use."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(count, _MOST_PROCESSES)


def side_by_side(processes: int) -> Judge:
    """The judge that has many claims judged by so many processes, and few in this one. Where the system lets it start
    none, it works in this process too."""

    def judge(claims: Sequence[Claim]) -> Sequence[bool]:
        if processes == 1 or len(claims) < FEW:
            return here(claims)
        tasks = [claims[start : start + _A_TASK] for start in range(0, len(claims), _A_TASK)]
        try:
            # Spawned, not forked: a fork takes along the locks of whatever threads there are.
            with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
                return list(chain.from_iterable(pool.map(here, tasks)))
        except (OSError, BrokenProcessPool):
            return here(claims)

    return judge

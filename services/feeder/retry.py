"""Asking again what may be asked again: operations that the contract knows by their contents."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from services.feeder.ledger import PASSING, Clock

_T = TypeVar("_T")

ATTEMPTS = 8
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0


def pause_s(attempt: int) -> float:
    """How long to wait before attempt number ``attempt`` (0: the one behind the first failure)."""
    return min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0**attempt)


async def persistently(clock: Clock, ask: Callable[[], Awaitable[_T]]) -> _T:
    """The answer, asking up to ATTEMPTS times while what fails may pass by itself; the last failure is raised.

    Only for what is the same when done twice: every operation of the contract but ComputeVSI.
    """
    for attempt in range(ATTEMPTS - 1):
        try:
            return await ask()
        except PASSING:
            await clock.sleep(pause_s(attempt))
    return await ask()

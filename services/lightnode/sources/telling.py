"""How a source tells its events, and that it cannot be read."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from random import Random, SystemRandom
from typing import Any, Final

from gridledger.backoff import Backoff
from gridledger.errors import GridLedgerError, UnavailableError
from services.lightnode import metrics
from services.lightnode.errors import EventRefused

Tell = Callable[[dict[str, Any]], Awaitable[Any]]
"""Takes an event without ``device``; returns once it is on the disk."""

PAUSES_S: Final = (0.5, 15.0)
"""Between tries of a source that cannot be read, growing."""

_log = logging.getLogger(__name__)


class SourceAway(UnavailableError):
    """A source cannot be read now."""

    code = "SOURCE_AWAY"


async def told(tell: Tell, event: dict[str, Any]) -> bool:
    """Tell an event, and wait where the recorder has no room; whether it was one."""
    pause = Backoff(*PAUSES_S, SystemRandom())
    while True:
        try:
            await tell(event)
        except EventRefused as error:
            _log.error("a source gave no event", extra={"why": error.message})
            return False
        except GridLedgerError as error:
            # The recorder is full or out: a poll tells the newest state, and a file waits.
            _log.warning("an event of a source waits", extra={"why": error.message})
            await asyncio.sleep(pause.failed())
        else:
            return True


async def kept_up(
    device: str, source: str, read: Callable[[], Coroutine[Any, Any, None]], tell: Tell, random: Random
) -> None:
    """Read a source for ever: where it is lost, tell an ``outage`` once, and try again after growing pauses."""
    backoff = Backoff(*PAUSES_S, random)
    loop = asyncio.get_running_loop()
    is_lost = False
    while True:
        began = loop.time()
        try:
            await read()
        except SourceAway as error:
            metrics.SOURCE_UP.labels(device).set(0)
            if loop.time() - began > PAUSES_S[1]:
                backoff.succeeded()
                is_lost = False
            if not is_lost:
                is_lost = True
                _log.warning("a source cannot be read", extra={"device": device, "why": error.message})
                await told(tell, {"kind": "outage", "body": {"source": source, "why": error.message[:500]}})
            await asyncio.sleep(backoff.failed())

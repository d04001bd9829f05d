"""The search for the orderer that leads a channel: all are asked at once, until one says that it does.

The question is a broadcast without envelopes, which a leader alone takes. What a follower says is not enough: until
the election is over it names the leader that is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from gridledger import framing
from gridledger.errors import GridLedgerError

ASK_AGAIN_S = 0.1
"""How long after its answer an orderer is asked again."""
ANSWER_WITHIN_S = 0.5
_NOTHING = framing.pack([])


class Send(Protocol):
    """Posts one broadcast body to the orderer of this name; the answer's body, or the orderer's error."""

    async def __call__(self, orderer: str, body: bytes, timeout_s: float) -> bytes: ...


class LeaderSearch:
    """Searches among ``orderers``, the names of the channel's orderers now."""

    def __init__(self, orderers: Callable[[], Sequence[str]], send: Send) -> None:
        self._orderers = orderers
        self._send = send

    async def find(self, *, besides: str | None = None) -> str:
        """The orderer that leads, ``besides`` left out; waits until there is one, so bound it."""
        while True:
            asking = {asyncio.ensure_future(self._leads(name)): name for name in self._orderers() if name != besides}
            if asking:
                try:
                    done, _ = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
                    return asking[done.pop()]
                finally:
                    for task in asking:
                        task.cancel()
                    await asyncio.gather(*asking, return_exceptions=True)
            await asyncio.sleep(ASK_AGAIN_S)

    async def _leads(self, orderer: str) -> None:
        """Return as soon as this one leads."""
        while True:
            try:
                await self._send(orderer, _NOTHING, ANSWER_WITHIN_S)
            except GridLedgerError:
                await asyncio.sleep(ASK_AGAIN_S)
            else:
                return

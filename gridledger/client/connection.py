"""One gateway of a client, how it is found to hang, and how long a transaction's steps may take."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from gridledger.errors import BusyError, GridLedgerError, InputError
from gridledger.transport import call_frames
from gridledger.transport.call_client import CallClient, NodeQuiet
from gridledger.transport.node_client import NodeClient
from gridledger.waiting import first_done

QUIET_AFTER_S = 0.8
"""After so long without a byte, though a PING asked for one, another gateway is asked too."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long each step may take, in seconds."""

    evaluate_s: float = 10.0
    endorse_s: float = 15.0
    submit_s: float = 20.0
    commit_status_s: float = 60.0


class GatewayConnection:
    """One gateway. ``watched``: requests end with :class:`NodeQuiet` when it hangs, since there are others to ask."""

    def __init__(self, node: NodeClient, *, watched: bool = False) -> None:
        self.node = node
        self.calls = CallClient(
            node.base_url,
            node.tls,
            self._single,
            connect_timeout_s=node.connect_timeout_s,
            quiet_after_s=QUIET_AFTER_S if watched else None,
        )
        self._watched = watched

    async def close(self) -> None:
        """Close the connections."""
        await self.calls.close()
        await self.node.close()

    async def request(self, work: Coroutine[Any, Any, _T]) -> _T:
        """The answer to a request by :attr:`node`; :class:`NodeQuiet`, with the answer that may come, if it hangs."""
        if not self._watched:
            return await work
        answer = asyncio.get_running_loop().create_task(work)
        try:
            while True:
                await first_done((answer,), QUIET_AFTER_S / 2)
                if answer.done():
                    return answer.result()
                if not await self.alive(QUIET_AFTER_S / 2) and not answer.done():
                    raise NodeQuiet(f"{self.node.base_url}: nothing heard for {QUIET_AFTER_S} s", answer)
        except BaseException as error:
            if not isinstance(error, NodeQuiet):
                answer.cancel()
            raise

    async def alive(self, timeout_s: float) -> bool:
        """Whether the gateway answers a PING in time, and takes requests."""
        try:
            async with asyncio.timeout(timeout_s):
                try:
                    await self.calls.call(call_frames.PING, b"", timeout_s)
                except NodeQuiet as quiet:
                    await quiet.answer
        except (InputError, BusyError):
            return True  # an answer, if another one
        except (GridLedgerError, TimeoutError):
            return False
        return True

    async def _single(self, kind: int, body: bytes, timeout_s: float) -> bytes:
        """A call as a request of its own, while the gateway takes no further stream of calls."""
        if kind == call_frames.PING:
            return await self.node.get("/healthz", timeout_s=timeout_s)
        return await self.request(self.node.post(call_frames.ROUTES[kind], body, timeout_s=timeout_s))

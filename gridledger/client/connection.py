"""A client's connection to a gateway, and how long each step of a transaction may take on it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from gridledger.errors import BusyError
from gridledger.identity.signer import SigningIdentity
from gridledger.transport import call_frames
from gridledger.transport.call_client import CallClient
from gridledger.transport.node_client import NodeClient

_SHORTEST_PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long each step may take, in seconds.

    ``busy_s`` is how long a step is tried again, each time after the ``Retry-After`` of a gateway that is busy (429),
    before it raises that. It comes on top of the step's own time; with 0 a step is not tried again.
    """

    evaluate_s: float = 10.0
    endorse_s: float = 15.0
    submit_s: float = 20.0
    commit_status_s: float = 60.0
    busy_s: float = 0.0


class GatewayConnection:
    """One identity's connection to one peer's gateway."""

    def __init__(self, node: NodeClient, identity: SigningIdentity, timeouts: Timeouts) -> None:
        self.node = node
        self.identity = identity
        self.timeouts = timeouts
        self._calls = CallClient(node.base_url, node.tls, self._single, connect_timeout_s=node.connect_timeout_s)

    async def close(self) -> None:
        """Close the connections."""
        await self._calls.close()
        await self.node.close()

    async def call(self, kind: int, body: bytes, timeout_s: float) -> bytes:
        """Make a call of a kind in :mod:`gridledger.transport.call_frames`; the payload of the answer.

        While the gateway is busy, the call is repeated, for up to ``timeouts.busy_s``. One that was refused as busy has
        had no effect.
        """
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + self.timeouts.busy_s
        while True:
            try:
                return await self._calls.call(kind, body, timeout_s)
            except BusyError as busy:
                pause_s = max(_SHORTEST_PAUSE_S, busy.retry_after_s)
                if loop.time() + pause_s > give_up_at:
                    raise
            await asyncio.sleep(pause_s)

    async def _single(self, kind: int, body: bytes, timeout_s: float) -> bytes:
        return await self.node.post(call_frames.ROUTES[kind], body, timeout_s=timeout_s)

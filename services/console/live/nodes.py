"""All nodes' states, asked for again and again as the console's identities."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from gridledger.errors import GridLedgerError
from gridledger.network.status import NetworkState, NodeClients
from services.console.live.hub import Hub

LOOK_EVERY_S: Final = 2.0

_log = logging.getLogger(__name__)


class Nodes:
    """The newest state, and when it was asked for (microseconds since 1970)."""

    def __init__(self, clients: NodeClients, hub: Hub, clock_us: Callable[[], int]) -> None:
        self._clients = clients
        self._hub = hub
        self._clock_us = clock_us
        self.state: NetworkState | None = None
        self.at_us = 0
        self._first = asyncio.Event()

    async def run(self) -> None:
        """Ask until this is cancelled."""
        while True:
            try:
                self.state = await self._clients.state()
                self.at_us = self._clock_us()
                self._hub.publish("nodes", {"at_us": self.at_us, "sound": self.state.sound})
            except GridLedgerError as error:
                _log.info("the nodes' states cannot be asked for: %s", error.message)
            self._first.set()
            await asyncio.sleep(LOOK_EVERY_S)

    async def asked(self) -> None:
        """Return when all nodes were asked once."""
        await self._first.wait()

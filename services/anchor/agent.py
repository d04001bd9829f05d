"""One organisation's agent: it finds the channels of its own peers, and keeps each of them anchored."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from random import SystemRandom
from typing import Any, Final

from gridledger.backoff import Backoff
from gridledger.client import Gateway
from gridledger.client.anchors import AnchorsLedger
from gridledger.errors import GridLedgerError, NotFoundError
from services.anchor.anchoring import Anchoring
from services.anchor.chain import PeerChain
from services.anchor.deciding import Pace
from services.anchor.leaves import LeafFile
from services.anchor.work import ChannelWork

CHANNELS_EVERY_S: Final = 30.0
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 15.0

_log = logging.getLogger(__name__)


class Agent:
    """``own`` are the peers of the agent's organisation, ``ledger`` the contract on the anchoring channel.

    Leaves lie below ``folder``.
    """

    def __init__(
        self, mspid: str, own: Gateway, ledger: AnchorsLedger, folder: Path, pace: Pace, *, max_channels: int = 64
    ) -> None:
        self._mspid = mspid
        self._own = own
        self._ledger = ledger
        self._folder = folder
        self._pace = pace
        self._max_channels = max_channels
        self._work: dict[str, ChannelWork] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def state(self) -> dict[str, Any]:
        """What the agent's page tells."""
        channels = [self._work[name].state() for name in sorted(self._work)]
        return {"mspid": self._mspid, "anchoring_channel": self._ledger.network.channel, "channels": channels}

    def chain(self, channel: str) -> PeerChain:
        """A channel that is followed; :class:`NotFoundError`."""
        work = self._work.get(channel)
        if work is None:
            there = ", ".join(sorted(self._work)) or "none"
            raise NotFoundError(f"this agent does not follow the channel {channel!r}; it follows: {there}")
        return work.chain

    async def run(self) -> None:
        """Until this is cancelled; a channel's defect ends it."""
        backoff = Backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S, SystemRandom())
        try:
            while True:
                try:
                    await self._find_channels()
                    pause_s = CHANNELS_EVERY_S
                    backoff.succeeded()
                except GridLedgerError as error:
                    pause_s = backoff.failed()
                    _log.info("the own peers' channels are not known yet: %s", error.message)
                await self._pause(pause_s)
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
            for work in self._work.values():
                work.chain.close()

    async def listen(self) -> None:
        """Look at a channel as soon as something is said of it. Without events each is looked at once an interval."""
        backoff = Backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S, SystemRandom())
        network, chaincode = self._ledger.network, self._ledger.contract.chaincode
        while True:
            try:
                async for event in network.chaincode_events(chaincode):
                    backoff.succeeded()
                    payload = event.payload
                    work = self._work.get(str(payload.get("channel"))) if isinstance(payload, dict) else None
                    if work is not None:
                        work.wake()
            except GridLedgerError as error:
                _log.debug("the events of %s: %s", network.channel, error.message)
            await asyncio.sleep(backoff.failed())

    async def _find_channels(self) -> None:
        anchoring = self._ledger.network.channel
        for name in sorted(await self._own.channels()):
            if name == anchoring or name in self._work:
                continue
            if len(self._work) >= self._max_channels:
                _log.warning("the channel %s is not anchored: there are %d, as many as may be", name, len(self._work))
                return
            network = self._own.get_network(name)
            if self._mspid not in (await network.get_config()).peer_organisations:
                continue
            leaves = await asyncio.to_thread(LeafFile, self._folder / f"{name}.leaves")
            chain = await asyncio.to_thread(PeerChain, name, network, leaves)
            work = ChannelWork(chain, Anchoring(self._mspid, chain, self._ledger, self._pace), self._pace)
            self._work[name] = work
            self._tasks[name] = asyncio.create_task(work.run(), name=f"anchor {name}")
            _log.info("%s is followed from block %d on", name, chain.tree.size)

    async def _pause(self, seconds: float) -> None:
        """Wait; raises what ended a channel's work."""
        if not self._tasks:
            await asyncio.sleep(seconds)
            return
        done, _ = await asyncio.wait(self._tasks.values(), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

"""Followers: each channel's blocks as they are committed, told to whoever reads them. One event stream a channel."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from random import SystemRandom
from typing import Any, Final, Protocol

from gridledger.backoff import Backoff
from gridledger.errors import GridLedgerError
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.events import BlockEvent, FullBlockEvent
from services.console.live.hub import Hub
from services.console.viewers import Viewer, Viewers

KEPT_BLOCKS: Final = 600
LOOK_EVERY_S: Final = 1.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0

_log = logging.getLogger(__name__)


class BlockReader(Protocol):
    """Takes blocks in order, with their envelopes. What it has taken once it may be given again after a fault."""

    def wants(self, viewer: Viewer, channel: str) -> bool:
        """Whether it reads the channel's envelopes, and not only that there is a block."""

    async def start(self, viewer: Viewer, channel: str) -> int | None:
        """The block with which it begins; None: the next one. Asked before each stream begins."""

    def take(self, channel: str, block: FullBlockEvent) -> None:
        """Take a block."""


@dataclass(frozen=True, slots=True)
class SeenBlock:
    """What is kept of a block: number, counts, the orderer's time and when it came here (microseconds since 1970)."""

    number: int
    transactions: int
    invalid: int
    timestamp_us: int
    seen_us: int
    commit_hash: str

    @property
    def at_us(self) -> int:
        """When it was ordered, by the console's clock at most: one that is read from the past counts as of then."""
        return min(self.timestamp_us, self.seen_us)


@dataclass(slots=True)
class ChannelFlow:
    """A channel's newest blocks, and the fault of its stream, if any."""

    channel: str
    viewer: str
    blocks: deque[SeenBlock]
    fault: str | None = None

    @property
    def height(self) -> int | None:
        """Number of blocks, where one was seen."""
        return self.blocks[-1].number + 1 if self.blocks else None

    def rate(self, now_us: int, over_s: float = 10.0) -> float:
        """Transactions a second over the last seconds."""
        since = now_us - round(over_s * 1e6)
        return sum(block.transactions for block in self.blocks if block.at_us >= since) / over_s

    def to_dict(self, now_us: int) -> dict[str, Any]:
        """What browsers are told."""
        newest = self.blocks[-1] if self.blocks else None
        return {
            "height": self.height,
            "timestamp_us": None if newest is None else newest.timestamp_us,
            "rate": round(self.rate(now_us), 1),
            "fault": self.fault,
        }


class Followers:
    """A follower for each channel that somebody here reads; those of channels that nobody reads any more end."""

    def __init__(
        self, viewers: Viewers, hub: Hub, readers: tuple[BlockReader, ...], clock_us: Callable[[], int]
    ) -> None:
        self._viewers = viewers
        self._hub = hub
        self._readers = readers
        self._clock_us = clock_us
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._flows: dict[str, ChannelFlow] = {}

    @property
    def flows(self) -> Mapping[str, ChannelFlow]:
        """The channels' newest blocks."""
        return self._flows

    @property
    def streams(self) -> int:
        """How many event streams there are to the network."""
        return len(self._tasks)

    async def run(self) -> None:
        """Follow until this is cancelled."""
        await self._viewers.looked()
        try:
            while True:
                self._adjust()
                for channel, flow in self._flows.items():
                    self._hub.publish(f"flow/{channel}", flow.to_dict(self._clock_us()))
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _adjust(self) -> None:
        wanted = {(channel, viewer.label): viewer for channel, viewer in self._viewers.channels.items()}
        for key in self._tasks.keys() - wanted.keys():
            self._tasks.pop(key).cancel()
            if self._flows[key[0]].viewer == key[1]:
                del self._flows[key[0]]
        for key, viewer in wanted.items():
            if key not in self._tasks:
                flow = ChannelFlow(key[0], viewer.label, deque(maxlen=KEPT_BLOCKS))
                self._flows[key[0]] = flow
                self._tasks[key] = asyncio.create_task(self._follow(viewer, flow), name=f"follow {key[0]}")

    async def _follow(self, viewer: Viewer, flow: ChannelFlow) -> None:
        """Follow one channel; after an error again, with growing pauses."""
        backoff = Backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S, SystemRandom())
        while True:
            try:
                async for _ in self._blocks(viewer, flow):
                    backoff.succeeded()
                    flow.fault = None
            except GridLedgerError as error:
                flow.fault = error.message
                _log.info("the events of %s ended: %s", flow.channel, error.message)
            except Exception:
                flow.fault = "the console failed on a block; its log says why"
                _log.exception("a block of %s could not be taken", flow.channel)
            await asyncio.sleep(backoff.failed())

    async def _blocks(self, viewer: Viewer, flow: ChannelFlow) -> AsyncIterator[None]:
        channel, network = flow.channel, viewer.network(flow.channel)
        readers = [reader for reader in self._readers if reader.wants(viewer, channel)]
        height = flow.height
        if not readers:
            async for event in network.block_events(start_block=height):
                self._note(flow, event)
                yield
            return
        starts = [start for reader in readers if (start := await reader.start(viewer, channel)) is not None]
        async for block in network.full_block_events(start_block=min(starts, default=height)):
            self._note(flow, block.event)
            for reader in readers:
                reader.take(channel, block)
            yield

    def _note(self, flow: ChannelFlow, event: BlockEvent) -> None:
        if flow.height is not None and event.number < flow.height:
            return
        invalid = sum(code is not TxValidationCode.VALID for code in event.codes)
        flow.blocks.append(
            SeenBlock(event.number, len(event.codes), invalid, event.timestamp_us, self._clock_us(), event.commit_hash)
        )
        self._hub.publish(f"blocks/{flow.channel}", {"number": event.number})

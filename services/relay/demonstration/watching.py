"""Watching the channel as a customer does: when each peer told of which event, and which minutes were recorded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from gridledger.client import Gateway, SigningIdentity
from gridledger.client.profile import ConnectionProfile
from gridledger.protocol.events import ChaincodeEvent
from services.relay.ledger import application_of

RECORDED, BACK = "CaptureRecorded", "RelayBack"


@dataclass(slots=True)
class Watched:
    """What was heard. ``recorded``: by minute and peer, when the peer told of the record (us since 1970)."""

    recorded: dict[int, dict[str, int]] = field(default_factory=dict)
    transactions: dict[tuple[int, str], int] = field(default_factory=dict)
    """By minute and peer: how many valid transactions recorded it."""
    silences: list[dict[str, Any]] = field(default_factory=list)
    """Those that ended, as RelayBack tells them, from the first peer."""
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, peer: str, event: ChaincodeEvent, arrived_us: int, *, is_first_peer: bool) -> None:
        """Take an event that a peer told of."""
        payload: Mapping[str, Any] = event.payload
        if event.name == RECORDED:
            minute = payload["minute"]
            self.recorded.setdefault(minute, {}).setdefault(peer, arrived_us)
            self.transactions[minute, peer] = self.transactions.get((minute, peer), 0) + 1
        elif is_first_peer and event.name == BACK:
            self.silences.append(dict(payload))
        self.news.set()
        self.news = asyncio.Event()

    def times_recorded(self, minute: int) -> int:
        """How many valid transactions recorded a minute, as the peer tells that heard of most."""
        return max((count for (at, _), count in self.transactions.items() if at == minute), default=0)

    async def until_recorded(self, minute: int) -> None:
        """Wait until some peer has told that a minute is recorded."""
        while minute not in self.recorded:
            await self.news.wait()


@asynccontextmanager
async def watching(profile: ConnectionProfile, reader: SigningIdentity) -> AsyncIterator[Watched]:
    """Hear the events of the relay's chaincode at each peer of its channel while the block lasts."""
    channel, chaincode = application_of(profile)
    watched = Watched()
    peers = profile.channels[channel].peers

    async def follow(peer: str) -> None:
        async with Gateway.through([profile.way_to(peer)], reader) as gateway:
            async for event in gateway.get_network(channel).chaincode_events(chaincode, start_block=0):
                watched.note(peer, event, time.time_ns() // 1000, is_first_peer=peer == peers[0])

    tasks = [asyncio.create_task(follow(peer)) for peer in peers]
    try:
        yield watched
        for task in tasks:
            if task.done():  # none ends by itself but by a fault
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

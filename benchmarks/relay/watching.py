"""When each peer has a capture: its VALID transaction's event, by the clock of this machine."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from benchmarks.relay.substations import CHAINCODE
from gridledger.client import Gateway, Network, SigningIdentity
from gridledger.client.profile import ConnectionProfile
from gridledger.protocol.config_update import parse_envelope
from gridledger.protocol.transaction import Transaction

RECORDED = "CaptureRecorded"


@dataclass(slots=True)
class Arrivals:
    """Who recorded a minute, and when (microseconds since 1970) each peer said that it is VALID."""

    server: str
    at_us: dict[str, int] = field(default_factory=dict)


class CaptureWatch:
    """Follows a channel on several peers. ``seen`` has the captures by minute."""

    def __init__(self, profile: ConnectionProfile, channel: str, peers: Sequence[str]) -> None:
        self._profile, self._channel, self._peers = profile, channel, list(peers)
        self._identity = SigningIdentity.load(profile.user_folder())
        self._networks: dict[str, Network] = {}
        self._arrived = asyncio.Event()
        self._begin = 0
        self.seen: dict[int, Arrivals] = {}

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """What is committed while the block lasts is seen, on every peer."""
        async with AsyncExitStack() as stack:
            for name in self._peers:
                gateway = Gateway.through([self._profile.way_to(name)], self._identity)
                self._networks[name] = (await stack.enter_async_context(gateway)).get_network(self._channel)
            self._begin = (await self._networks[self._peers[0]].get_chain_info()).height
            tasks = [asyncio.create_task(self._follow(name)) for name in self._peers]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, peer: str) -> None:
        events = self._networks[peer].chaincode_events(CHAINCODE, start_block=self._begin, name=RECORDED)
        async for event in events:
            now_us = time.time_ns() // 1000
            told = event.payload
            self.seen.setdefault(told["minute"], Arrivals(told["server"])).at_us[peer] = now_us
            self._arrived.set()

    def everywhere(self, minute: int) -> bool:
        """Whether every peer has a minute's capture."""
        arrivals = self.seen.get(minute)
        return arrivals is not None and len(arrivals.at_us) == len(self._peers)

    async def wait_for(self, minutes: Sequence[int], within_s: float) -> list[int]:
        """Wait until every peer has these minutes; those that one still lacks after ``within_s``."""
        try:
            async with asyncio.timeout(within_s):
                while not all(map(self.everywhere, minutes)):
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            pass
        return [minute for minute in minutes if not self.everywhere(minute)]

    async def outcomes(self) -> dict[str, Counter[str]]:
        """The validation codes of all transactions since the begin, by function, as the first peer has them."""
        network = self._networks[self._peers[0]]
        height = (await network.get_chain_info()).height
        found: dict[str, Counter[str]] = {}
        if height <= self._begin:
            return found
        async for full in network.full_block_events(start_block=self._begin):
            for code, envelope in zip(full.event.codes, full.block.envelopes, strict=True):
                found.setdefault(_function_of(envelope), Counter())[code.name] += 1
            if full.event.number >= height - 1:
                break
        return found


def _function_of(envelope: bytes) -> str:
    transaction = parse_envelope(envelope)
    return transaction.proposal.function if isinstance(transaction, Transaction) else "configuration"

"""Orderers for the tests of a peer's committer: each holds a chain and serves it as the test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from gridledger.errors import BusyError, UnavailableError
from gridledger.protocol.block import SignedBlock
from gridledger.protocol.config import ChannelConfig


class ScriptedOrderers:
    """Three orderers with copies of a chain from block 1 on. ``broken`` are those that serve nothing, ``busy`` those
    that answer 429, ``hung`` those that do not tell their height; o2 takes no reports of progress."""

    def __init__(self, chain: Sequence[SignedBlock]) -> None:
        self.chains = {name: list(chain) for name in ("o1", "o2", "o3")}
        self.broken: set[str] = set()
        self.hung: set[str] = set()
        self.asked: list[str] = []
        self.busy: set[str] = set()
        self.opened: list[str] = []
        self.configs: list[int] = []
        self.reports: list[tuple[str, int]] = []
        self._grown = asyncio.Event()

    def add(self, block: SignedBlock, *names: str) -> None:
        """One more block, of these orderers or of all."""
        for name in names or self.chains:
            self.chains[name].append(block)
        self._grown.set()

    def names(self) -> Sequence[str]:
        return list(self.chains)

    async def deliver(self, orderer: str, start: int) -> AsyncIterator[bytes]:
        self.opened.append(orderer)
        number = start
        while True:
            if orderer in self.broken:
                raise UnavailableError(f"{orderer} is down", code="CONNECTION_FAILED")
            if orderer in self.busy:
                raise BusyError("500 streams are open here", retry_after_s=1.0)
            if number - 1 < len(self.chains[orderer]):
                yield self.chains[orderer][number - 1].to_bytes()
                number += 1
            else:
                await self._grown.wait()
                self._grown.clear()

    async def height(self, orderer: str) -> int:
        self.asked.append(orderer)
        if orderer in self.hung:
            await asyncio.Event().wait()
        return len(self.chains[orderer]) + 1

    async def progress(self, orderer: str, height: int) -> None:
        self.reports.append((orderer, height))
        if orderer == "o2":
            raise UnavailableError("down")

    async def follow(self, config: ChannelConfig) -> None:
        self.configs.append(config.sequence)

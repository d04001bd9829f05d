"""The headers of a channel: followed from block 0 on, each chained to the one before and signed by an orderer.

Whether an orderer may sign is said by the channel's configurations. The first is that of block 0, which this node takes
from the first peer that it asks and keeps; a later one counts when its block follows in the chain. So whoever wants to
deceive this node needs an orderer's key from the first day on.
"""

from __future__ import annotations

import asyncio
import logging
from random import Random
from typing import Final, Protocol

from gridledger.backoff import Backoff
from gridledger.client.proofs import NotProved, signer_of
from gridledger.errors import GridLedgerError
from gridledger.evidence.anchor import HeaderTree, leaf_hash
from gridledger.protocol.block import Block
from gridledger.protocol.config import ChannelConfig
from gridledger.protocol.config_update import ConfigUpdate, is_config_block
from gridledger.protocol.headers import MAX_HEADERS, CommittedHeader, HeadersPage
from services.lightnode import metrics
from services.lightnode.chain_store import ChainStore
from services.lightnode.errors import ChainBroken
from services.lightnode.journal import InThread

LOOK_EVERY_S: Final = 1.0
MAX_LOOKED_THROUGH: Final = 20_000
"""Blocks that are looked through for a configuration, where an orderer signs that is not known."""
_PAUSES_S: Final = (1.0, 30.0)

_log = logging.getLogger(__name__)


class Channel(Protocol):
    """A channel through the gateways of peers, as the SDK's Network has it."""

    channel: str

    async def get_headers(self, start: int = 0, *, limit: int = MAX_HEADERS) -> HeadersPage:
        """Headers of consecutive blocks."""

    async def get_block(self, number: int) -> Block:
        """A block whose data hash holds."""


class HeaderChain:
    """The headers of one channel, in a store."""

    def __init__(self, source: Channel, store: ChainStore, in_thread: InThread = asyncio.to_thread) -> None:
        self.channel = source.channel
        self.fault: str | None = None
        """Why no header is taken any more; None while all is well."""
        self._source = source
        self._store = store
        self._in_thread = in_thread
        self.tree = HeaderTree.from_hashes(store.leaves(self.channel))
        kept = store.configs(self.channel)
        self._configs = [ChannelConfig.parse(text) for _, text in kept]
        self._config_block = kept[0][0] if kept else 0
        newest = store.header(self.channel, self.tree.size - 1) if self.tree.size else None
        self._last_hash = None if newest is None else newest.header.hash
        metrics.HEADERS.labels(self.channel).set_function(lambda: self.tree.size)

    @property
    def height(self) -> int:
        """How many headers there are."""
        return self.tree.size

    def header(self, number: int) -> CommittedHeader | None:
        """The header of a block; None where it is not there yet."""
        return self._store.header(self.channel, number)

    async def follow(self, random: Random) -> None:
        """Follow the channel until this is cancelled."""
        backoff = Backoff(*_PAUSES_S, random)
        while True:
            try:
                pause_s = 0.0 if await self.look() else LOOK_EVERY_S
                backoff.succeeded()
            except GridLedgerError as error:
                pause_s = backoff.failed()
                if isinstance(error, ChainBroken) and self.fault is None:
                    _log.error("headers are not taken", extra={"channel": self.channel, "why": error.message})
                    self.fault = error.message
            else:
                self.fault = None
            await asyncio.sleep(pause_s)

    async def look(self) -> bool:
        """Take the next page of headers; whether there may be more. Raises :class:`ChainBroken`."""
        start = self.tree.size
        page = await self._source.get_headers(start)
        if not page.items:
            return False
        if not page.follows(self.channel, start, self._last_hash):
            raise ChainBroken(
                f"{self.channel}: the headers from block {start} on do not follow from those that this node has: a "
                "peer lies, or the channel was made anew; in that case remove chain.sqlite"
            )
        for item in page.items:
            await self._verify(item, page)
        items = [(item, leaf_hash(item.header.text, item.commit_hash)) for item in page.items]
        await self._in_thread(self._store.add_headers, self.channel, items)
        for _, leaf in items:
            self.tree.append(leaf)
        self._last_hash = page.items[-1].header.hash
        return self.tree.size < page.height

    async def _verify(self, item: CommittedHeader, page: HeadersPage) -> None:
        if item.header.number == 0:
            await self._learn(item)
            return
        try:
            signer_of(item.header, item.signature, self.channel, self._configs)
        except NotProved as refusal:
            # Another configuration may have come to hold on the way, which one of the blocks before says.
            try:
                await self._learn_before(item.header.number, page)
                signer_of(item.header, item.signature, self.channel, self._configs)
            except NotProved:
                raise ChainBroken(f"{self.channel}: {refusal.message}") from None

    async def _learn_before(self, end: int, page: HeadersPage) -> None:
        """Look backwards for a configuration that is not known yet, and take the first."""
        fresh = {item.header.number: item for item in page.items}
        for number in range(end - 1, max(self._config_block, end - 1 - MAX_LOOKED_THROUGH), -1):
            item = fresh.get(number) or self.header(number)
            if item is None or await self._learn(item):
                return

    async def _learn(self, item: CommittedHeader) -> bool:
        """Take the configuration of a block, if it has one."""
        number = item.header.number
        block = await self._source.get_block(number)
        if block.header.text != item.header.text:
            raise ChainBroken(f"{self.channel}: block {number} is not the one of its header: peers do not agree")
        if not is_config_block(block):
            return False
        config = ConfigUpdate.parse(block.envelopes[0]).config
        self._configs.insert(0, config)
        self._config_block = max(self._config_block, number)
        await self._in_thread(self._store.add_config, self.channel, number, config.text)
        return True

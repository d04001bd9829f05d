"""The chain of one channel as the peers of the agent's own organisation have it: its headers, followed in pages."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final, Protocol

from gridledger.client.anchors import Anchor, ChannelMembers
from gridledger.errors import CorruptionError, UnavailableError
from gridledger.protocol.chain_info import ChainInfo
from gridledger.protocol.config import ChannelConfig
from gridledger.protocol.headers import MAX_HEADERS, CommittedHeader, HeadersPage
from gridledger.protocol.merkle import Tree
from gridledger.protocol.statements import Head
from services.anchor.leaves import LeafFile

PAGES_AT_ONCE: Final = 20
"""Pages that are read before others have their turn."""
CONFIG_EVERY_S: Final = 5.0
_MAX_HEADS: Final = 4096

_log = logging.getLogger(__name__)


class Headers(Protocol):
    """The channel through the own organisation's peers, as :class:`~gridledger.client.Network` has it."""

    async def get_headers(self, start: int = 0, *, limit: int = MAX_HEADERS) -> HeadersPage:
        """Headers of consecutive blocks."""

    async def get_chain_info(self) -> ChainInfo:
        """How far the channel is."""

    async def get_config(self) -> ChannelConfig:
        """The channel's configuration."""


class PeerChain:
    """Follows a channel, and keeps its leaves in a file. ``clock`` is monotonic, in seconds.

    ``rewritten`` says why the peer's chain is not the one that was followed before. Nothing more is taken from it then,
    until the agent is started again and what was anchored tells which of the two is right.
    """

    def __init__(
        self, channel: str, source: Headers, leaves: LeafFile, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.channel = channel
        self.rewritten: str | None = None
        self._source = source
        self._leaves = leaves
        self._clock = clock
        self._is_copy = leaves.size > 0
        self._tree = leaves.tree()
        self._heads: dict[int, tuple[str, str]] = {}
        self._genesis: str | None = None
        self._config: tuple[float, ChannelConfig] | None = None

    @property
    def tree(self) -> Tree:
        """The tree over the blocks that were taken."""
        return self._tree

    def settle(self, final: Anchor | None) -> None:
        """Compare what the file has with the last anchor, once: what lies above that is read from the peer again, and
        all of it where the file has another chain."""
        if not self._is_copy or final is None or self.tree.size < final.size:
            return
        same = self.tree.root(final.size).hex() == final.head.root
        self._read_anew(final.size if same else 0)

    async def follow(self) -> bool:
        """Take what the peer has more; whether it has still more.

        Each look begins with the last block that is known, so that a chain which was changed since is noticed.
        """
        for _ in range(PAGES_AT_ONCE):
            if self.rewritten is not None:
                return False
            known = self.tree.size
            page = await self._source.get_headers(max(0, known - 1))
            items = page.items
            if known and items:
                if items[0].leaf_hash != self._leaves.leaf(known - 1):
                    if self._is_copy:
                        self._read_anew(0)
                        continue
                    self._note_rewritten(known - 1)
                    return False
                items = items[1:]
            self._take(items)
            if self.tree.size >= page.height:
                return False
        return True

    async def head(self, size: int) -> Head:
        """What is said of a size that the tree has: the hashes of the last block are asked for where they are not
        remembered. Raises :class:`CorruptionError` where the peer's block is another."""
        found = self._heads.get(size)
        if found is None:
            page = await self._source.get_headers(size - 1, limit=1)
            if not page.items:
                raise UnavailableError(f"no own peer has block {size - 1} of {self.channel} now")
            (item,) = page.items
            if item.leaf_hash != self._leaves.leaf(size - 1):
                self._note_rewritten(size - 1)
                raise CorruptionError(f"the own peer's block {size - 1} of {self.channel} is not the one it was")
            found = item.header.hash, item.commit_hash
        return Head(self.tree.root(size).hex(), *found)

    def leaf(self, number: int) -> bytes:
        """The hash of a block's leaf."""
        return self._leaves.leaf(number)

    async def members(self) -> ChannelMembers:
        """The organisations of the channel's configuration, and its block 0."""
        if self._genesis is None:
            page = await self._source.get_headers(0, limit=1)
            if not page.items:
                raise UnavailableError(f"no own peer has block 0 of {self.channel}")
            self._genesis = page.items[0].header.hash
        return ChannelMembers((await self.config()).peer_organisations, self._genesis)

    async def config(self) -> ChannelConfig:
        """The channel's configuration, a few seconds old at most."""
        kept, now_s = self._config, self._clock()
        if kept is not None and now_s - kept[0] < CONFIG_EVERY_S:
            return kept[1]
        if kept is not None and (await self._source.get_chain_info()).config_sequence == kept[1].sequence:
            self._config = (now_s, kept[1])
            return kept[1]
        config = await self._source.get_config()
        self._config = (now_s, config)
        return config

    def close(self) -> None:
        """Let the file go."""
        self._leaves.close()

    def _take(self, items: tuple[CommittedHeader, ...]) -> None:
        leaves = [item.leaf_hash for item in items]
        if not leaves:
            return
        self._leaves.add(leaves)
        for item, leaf in zip(items, leaves, strict=True):
            self._tree.append(leaf)
            self._heads[self.tree.size] = item.header.hash, item.commit_hash
        while len(self._heads) > _MAX_HEADS:
            del self._heads[next(iter(self._heads))]

    def _read_anew(self, size: int) -> None:
        """Keep what the file has of the first ``size`` blocks; the others are read from the peer again."""
        if not size:
            _log.warning("%s: the file has the leaves of another chain: all are read anew", self.channel)
        self._is_copy = False
        self._leaves.cut(size)
        self._tree = self._leaves.tree()
        self._heads.clear()

    def _note_rewritten(self, number: int) -> None:
        self.rewritten = f"block {number} of the own peer is not the one that it was: its past was changed since"

"""Catching up with a snapshot: the blocks up to it, from the other orderers, whichever of them has good ones.

A block that an orderer serves proves its place and its signer, and no more: an orderer whose chain has forked serves
blocks that follow one another. The snapshot's hash, which the group agreed on, decides. Who serves a block that does
not fit is not asked again; where nobody else's fit either, or the end is another block than the snapshot's, those that
served what was taken were wrong: it is cut off again, and they are asked last.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

from gridledger.errors import CorruptionError, GridLedgerError
from gridledger.protocol import Block, BlockHeader
from gridledger.protocol.block import SignedBlock

_log = logging.getLogger(__name__)


class Fetched(NamedTuple):
    """Records (block and signature frames) and who served them; none, of nobody, where nobody else had any."""

    source: str
    records: Sequence[bytes]


class FetchBlocks(Protocol):
    """Fetches records of a channel from ``first`` on, below ``height``, from an orderer that is not to be avoided.

    Retries until one has some. With somebody to avoid, or ``only_once``, it asks the others once, and may answer that
    nobody has any.
    """

    async def __call__(
        self,
        channel: str,
        first: int,
        height: int,
        avoid: Collection[str] = frozenset(),
        *,
        only_once: bool = False,
    ) -> Fetched: ...


class Grower(Protocol):
    """The chain that is to catch up."""

    channel: str

    @property
    def height(self) -> int:
        """How many blocks it has."""

    def header(self, number: int) -> BlockHeader:
        """One block's header."""

    def check_fetched(self, record: bytes) -> SignedBlock:
        """The block in a record, where it follows the last one; :class:`GridLedgerError` where it does not."""

    async def take_fetched(self, signed: SignedBlock, raft_index: int) -> None:
        """Append a checked block, under the signature that it came with."""

    def cut_fetched(self) -> int:
        """Cut off what was fetched ahead of a snapshot that is not complete; how many blocks."""


class CatchUp:
    """Brings a chain to a snapshot: its height, its last block's hash, its Raft index."""

    def __init__(self, chain: Grower, fetch: FetchBlocks, height: int, last_hash: str, raft_index: int) -> None:
        self._chain = chain
        self._fetch = fetch
        self._height = height
        self._hash = last_hash
        self._index = raft_index
        self._served: set[str] = set()
        self._refused: set[str] = set()

    async def run(self) -> None:
        """Fetch until the chain is there. Raises :class:`CorruptionError` where it holds another chain by itself."""
        while True:
            while self._chain.height < self._height:
                await self._take_some()
            if self._chain.header(self._height - 1).hash == self._hash:
                return
            if not self._begin_anew():
                raise CorruptionError(
                    f"{self._chain.channel}: block {self._height - 1} here is not the one that the orderers agreed on"
                )

    async def _take_some(self) -> None:
        channel, height = self._chain.channel, self._chain.height
        source, records = await self._fetch(channel, height, self._height, frozenset(self._refused))
        if not records:
            self._begin_anew()
            return
        for record in records[: self._height - height]:
            try:
                signed = self._chain.check_fetched(record)
                self._check_last(signed.block)
            except GridLedgerError as error:
                _log.error("%s serves what does not fit and is left out: %s", source, error, extra={"channel": channel})
                self._refused.add(source)
                return
            self._served.add(source)
            last = signed.block.header.number == self._height - 1
            await self._chain.take_fetched(signed, self._index if last else 0)

    def _check_last(self, block: Block) -> None:
        number = block.header.number
        if number == self._height - 1 and block.header.hash != self._hash:
            raise CorruptionError(f"block {number} is not the one that the orderers agreed on")

    def _begin_anew(self) -> int:
        """Cut off what was fetched, ask those that served it last; how many blocks are gone."""
        gone = self._chain.cut_fetched()
        _log.error(
            "%d fetched blocks lead nowhere and are dropped; they came from %s",
            gone,
            ", ".join(sorted(self._served)) or "an earlier start",
            extra={"channel": self._chain.channel},
        )
        self._refused, self._served = self._served, set()
        return gone

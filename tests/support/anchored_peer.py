"""A peer's headers for an agent of anchors: a paper chain that can be cut, changed and away."""

from __future__ import annotations

from hashlib import sha256

from gridledger.errors import UnavailableError
from gridledger.protocol.block import ZERO_HASH, BlockHeader
from gridledger.protocol.chain_info import ChainInfo
from gridledger.protocol.config import ChannelConfig
from gridledger.protocol.headers import MAX_HEADERS, CommittedHeader, HeadersPage
from tests.support.paper import PaperNetwork

CHANNEL = "shard1"


def headers(
    count: int, *, other_from: int | None = None, before: list[CommittedHeader] | None = None
) -> list[CommittedHeader]:
    """Consecutive headers; other ones from a block on."""
    made = list(before or [])
    for number in range(len(made), count):
        other = other_from is not None and number >= other_from
        header = BlockHeader.build(
            channel=CHANNEL,
            number=number,
            previous_hash=made[-1].header.hash if made else ZERO_HASH,
            data_hash=sha256(f"{'other' if other else ''}{number}".encode()).hexdigest(),
            timestamp_us=1000 * number,
        )
        made.append(CommittedHeader(header, None, sha256(header.text.encode()).hexdigest()))
    return made


class AnchoredPeer:
    """``items`` are the headers that it has; ``page`` of them go on a page. ``asked`` counts pages."""

    def __init__(self, paper: PaperNetwork, count: int) -> None:
        self.config = paper.config
        self.items = headers(count)
        self.page = 5
        self.away = False
        self.asked = 0
        self.configs = 0

    async def get_headers(self, start: int = 0, *, limit: int = MAX_HEADERS) -> HeadersPage:
        if self.away:
            raise UnavailableError("the peer is away")
        self.asked += 1
        return HeadersPage(tuple(self.items[start : start + min(limit, self.page)]), len(self.items))

    async def get_chain_info(self) -> ChainInfo:
        return ChainInfo(CHANNEL, len(self.items), "0" * 64, "0" * 64, 0, 0, self.config.sequence, 0)

    async def get_config(self) -> ChannelConfig:
        self.configs += 1
        return self.config

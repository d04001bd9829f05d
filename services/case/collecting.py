"""Collecting what an evidence package needs, from one's own peer: blocks with codes, registrations, anchors, trees."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from gridledger.client import Network
from gridledger.client.anchors import AnchorsLedger
from gridledger.errors import CorruptionError, GridLedgerError, LimitError, UnavailableError
from gridledger.evidence.anchor import HeaderTree
from gridledger.evidence.assembling import Anchored, Rest, assemble, endings_of
from gridledger.evidence.attested import attestation_key
from gridledger.evidence.package import BlockPart, Package, Place, Roles
from gridledger.protocol.block import ZERO_HASH
from gridledger.protocol.headers import HeadersPage
from gridledger.protocol.world_state import HistoryEntry
from services.case.ledger import RegistryLedger

MAX_BLOCKS: Final = 20_000
"""Of one package."""
MAX_BYTES: Final = 256 * 1024 * 1024
_AT_ONCE: Final = 8
_REFUSED: Final = "CHAINCODE_REFUSED"

Held = dict[str, dict[int, BlockPart]]


@dataclass(frozen=True, slots=True)
class FinalAnchor:
    """A channel's newest anchor: its size, and which organisations (MSP ids) attested it."""

    size: int
    organisations: tuple[str, ...]


class Source(Protocol):
    """One's own peer. Errors are the SDK's."""

    async def block(self, channel: str, number: int) -> BlockPart:
        """A block as it stands in a package, without its path."""

    async def headers(self, channel: str, start: int, limit: int) -> HeadersPage:
        """Headers of consecutive blocks."""

    async def block_of(self, channel: str, tx_id: str) -> int:
        """The block that has a transaction."""

    async def anchor(self, channel: str) -> FinalAnchor | None:
        """The newest anchor of a channel; None where it has none yet."""

    async def history(self, key: str) -> Sequence[HistoryEntry]:
        """What was written at a key of the contract of anchors, the newest first."""

    async def endings(self, device: str) -> tuple[str, ...]:
        """The registry's transactions that retired and revoked a device; none of one that it does not know."""


ConfigBlocks = Callable[[str, int], Sequence[int]]
"""The blocks of a channel with configurations, below a number."""


class Collector:
    """Collects packages. Trees of channels are kept and grow, so that only what is new is read for the next one."""

    def __init__(
        self, source: Source, roles: Roles, config_blocks: ConfigBlocks, verifier: Callable[[], bytes]
    ) -> None:
        self._source = source
        self._roles = roles
        self._config_blocks = config_blocks
        self._verifier = verifier
        self._trees: dict[str, HeaderTree] = {}
        self._growing = asyncio.Lock()
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def collect(self, evidence: Iterable[Place], about: Mapping[str, Any]) -> Package:
        """The package of these transactions. What is not anchored yet is in it, and is not proved.

        Raises LimitError where it would have more than :data:`MAX_BLOCKS` blocks or :data:`MAX_BYTES`.
        """
        wanted = tuple(sorted(set(evidence)))
        held: Held = {self._roles.anchoring[0]: {}}
        anchors: dict[str, list[Anchored]] = {}
        endings: dict[str, tuple[str, ...]] = {}
        rest = Rest(self._roles, wanted)
        await self._read(held, {(place.channel, place.block) for place in wanted})
        while True:
            await self._add_anchors(held, anchors)
            needs = rest.needs(anchors, held, endings)
            if not needs:
                break
            found = await asyncio.gather(
                *(self._source.block_of(channel, tx_id) for channel, tx_id in sorted(needs.transactions))
            )
            named = {(channel, number) for (channel, _), number in zip(sorted(needs.transactions), found, strict=True)}
            await self._read(held, needs.blocks | named)
            await self._add_endings(endings, needs.devices)
        await self._add_configs(held, anchors)
        trees = {channel: await self._tree(channel, items[-1].size) for channel, items in anchors.items()}
        package = Package(self._roles, wanted, {}, about=about, verifier=await asyncio.to_thread(self._verifier))
        return await asyncio.to_thread(assemble, package, held, anchors, trees)

    async def _read(self, held: Held, wanted: set[tuple[str, int]]) -> None:
        missing = sorted((channel, number) for channel, number in wanted if number not in held.get(channel, {}))
        count = len(missing) + sum(map(len, held.values()))
        if count > MAX_BLOCKS:
            raise LimitError(f"the package would have {count} blocks, at most {MAX_BLOCKS} are taken: make several")

        async def one(channel: str, number: int) -> None:
            async with self._places:
                held.setdefault(channel, {})[number] = await self._source.block(channel, number)

        async with asyncio.TaskGroup() as group:
            for channel, number in missing:
                group.create_task(one(channel, number))
        size = sum(sum(map(len, part.block.envelopes)) for parts in held.values() for part in parts.values())
        if size > MAX_BYTES:
            raise LimitError(f"the package would have {size} bytes, at most {MAX_BYTES} are taken: make several")

    async def _add_endings(self, endings: dict[str, tuple[str, ...]], devices: Iterable[str]) -> None:
        """What the registry has of the end of each of these devices."""

        async def one(device: str) -> None:
            async with self._places:
                endings[device] = await self._source.endings(device)

        async with asyncio.TaskGroup() as group:
            for device in sorted(devices):
                group.create_task(one(device))

    async def _add_anchors(self, held: Held, anchors: dict[str, list[Anchored]]) -> None:
        """The newest anchor of each channel that has blocks here."""
        for channel in sorted(held):
            if channel == self._roles.anchoring[0] or channel in anchors:
                continue
            final = await self._source.anchor(channel)
            if final is not None:
                keys = [attestation_key(channel, final.size, mspid) for mspid in final.organisations]
                histories = [await self._source.history(key) for key in keys]
                # The first write of an attestation at a size is what was counted; one transaction may have several.
                attests = sorted({(entries[-1].block, entries[-1].index) for entries in histories if entries})
                anchors[channel] = [Anchored(final.size, tuple(attests))]

    async def _add_configs(self, held: Held, anchors: Mapping[str, Sequence[Anchored]]) -> None:
        wanted = set()
        for channel, parts in held.items():
            heights = [number + 1 for number in parts]
            below = max([*heights, *(item.size for item in anchors.get(channel, ()))], default=1)
            wanted |= {(channel, number) for number in (0, *self._config_blocks(channel, below))}
        await self._read(held, wanted)

    async def _tree(self, channel: str, size: int) -> HeaderTree:
        async with self._growing:
            tree = self._trees.setdefault(channel, HeaderTree())
            while tree.size < size:
                page = await self._source.headers(channel, tree.size, size - tree.size)
                if not page.items:
                    raise UnavailableError(f"the desk's peer has {tree.size} blocks of {channel}, {size} are anchored")
                for item in page.items:
                    tree.append(item.leaf_hash)
            return tree


class PeerSource:
    """As :class:`Source`: ``networks`` are the peer's channels, ``anchors`` and ``registry`` the contracts."""

    def __init__(self, networks: Mapping[str, Network], anchors: AnchorsLedger, registry: RegistryLedger) -> None:
        self._networks = networks
        self._anchors = anchors
        self._registry = registry

    async def block(self, channel: str, number: int) -> BlockPart:
        """As :class:`Source`."""
        network = self._network(channel)
        first = max(0, number - 1)
        stream = network.full_block_events(start_block=number)
        try:
            found, page = await asyncio.gather(anext(stream), network.get_headers(first, limit=number - first + 1))
        finally:
            await _closed(stream)
        item = page.items[-1] if page.items else None
        if item is None or item.header.hash != found.event.hash or item.commit_hash != found.event.commit_hash:
            raise CorruptionError(f"the peer tells two things of block {number} of {channel}")
        before = page.items[0].commit_hash if number else ZERO_HASH
        return BlockPart(found.block, found.event.codes, before, item.signature)

    async def headers(self, channel: str, start: int, limit: int) -> HeadersPage:
        """As :class:`Source`."""
        return await self._network(channel).get_headers(start, limit=min(limit, 1000))

    async def block_of(self, channel: str, tx_id: str) -> int:
        """As :class:`Source`."""
        return (await self._network(channel).get_status(tx_id)).block

    async def anchor(self, channel: str) -> FinalAnchor | None:
        """As :class:`Source`."""
        try:
            found = await self._anchors.anchor(channel)
        except GridLedgerError as error:
            if error.code != _REFUSED:
                raise
            return None
        return FinalAnchor(found.size, found.organisations)

    async def history(self, key: str) -> Sequence[HistoryEntry]:
        """As :class:`Source`."""
        return list(await self._anchors.network.get_history(self._anchors.contract.chaincode, key))

    async def endings(self, device: str) -> tuple[str, ...]:
        """As :class:`Source`."""
        try:
            return endings_of(await self._registry.get_device(device))
        except GridLedgerError as error:
            if error.code != _REFUSED:
                raise
            return ()

    def _network(self, channel: str) -> Network:
        return self._networks[channel]


async def _closed(stream: Any) -> None:
    close = getattr(stream, "aclose", None)
    if close is not None:
        await close()

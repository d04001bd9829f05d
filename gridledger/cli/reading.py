"""Reading a peer's chain for commands: opened blocks, and where two peers' ledgers part."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from gridledger.cli.connection import only_peers_of
from gridledger.client import Network
from gridledger.client.participation import list_channels
from gridledger.client.profile import ConnectionProfile
from gridledger.client.queries import read_block, read_chain_info
from gridledger.errors import CorruptionError, GridLedgerError, NotFoundError
from gridledger.identity.signer import SigningIdentity
from gridledger.protocol.block import MAX_ENVELOPES
from gridledger.protocol.codes import TxValidationCode, code_of
from gridledger.protocol.config_update import parse_envelope
from gridledger.protocol.events import ChaincodeEvent, FullBlockEvent
from gridledger.protocol.fields import list_of, object_of, text_of, value_of
from gridledger.protocol.opened_block import open_block
from gridledger.protocol.transaction import Transaction
from gridledger.transport.node_client import NodeClient, path_of

CommitHashAt = Callable[[int], Awaitable[str]]


async def read_opened_block(node: NodeClient, channel: str, number: int) -> dict[str, Any]:
    """A block with codes and the parts of each envelope as JSON values.

    It is opened here, from the block's bytes, whose data hash is verified. Codes, commit hash and orderer are as the
    peer tells them; :class:`CorruptionError` where it tells them of another block, :class:`MalformedMessage` where they
    are none.
    """
    block = await read_block(node, channel, number)
    told = object_of(await node.get_json(path_of("channels", channel, "blocks", str(number))), "a block")
    items = list_of(told, "transactions", max_length=MAX_ENVELOPES)
    if text_of(told, "hash") != block.header.hash or len(items) != len(block.envelopes):
        raise CorruptionError(f"the peer shows another block {number} of {channel} than it has")
    codes = [code_of(value_of(object_of(item, "a transaction"), "code")) for item in items]
    orderer = None if value_of(told, "orderer") is None else text_of(told, "orderer")
    return open_block(block, codes, commit_hash=text_of(told, "commit_hash"), orderer=orderer)


async def read_heights(profile: ConnectionProfile, user: str | None) -> dict[str, dict[str, Any]]:
    """Height and commit hash of each channel on its first peer; an ``error`` where the user may not read them."""
    identity = SigningIdentity.load(profile.user_folder(user))

    async def read(channel: str) -> dict[str, Any]:
        try:
            peer = next(iter(only_peers_of(profile, channel).peers))
            async with NodeClient.to(profile.way_to(peer), identity) as node:
                told = await read_chain_info(node, channel)
        except GridLedgerError as error:
            return {"error": error.message}
        return {"height": told.height, "commit_hash": told.commit_hash}

    found = await asyncio.gather(*map(read, profile.channels))
    return dict(zip(profile.channels, found, strict=True))


async def read_joined(profile: ConnectionProfile, node: str, user: str | None) -> list[dict[str, Any]]:
    """The channels that a node has joined, as it tells its own admin (or ``user``, as ``Org1/admin``)."""
    nodes = {**profile.orderers, **profile.peers}
    if node not in nodes:
        raise NotFoundError(f"there is no node {node!r}; there are: {', '.join(nodes)}")
    identity = SigningIdentity.load(profile.user_folder(user or f"{nodes[node].organisation}/admin"))
    async with NodeClient.to(profile.way_to(node), identity) as client:
        return await list_channels(client)


async def past_events(network: Network, start: int, height: int) -> AsyncIterator[ChaincodeEvent]:
    """The events of valid transactions of all chaincodes, from block ``start`` to below ``height``."""
    if start >= height:
        return
    async for full in network.full_block_events(start_block=start):
        for event in _events_of(full):
            yield event
        if full.event.number >= height - 1:
            return


def _events_of(full: FullBlockEvent) -> Iterator[ChaincodeEvent]:
    for index, (code, envelope) in enumerate(zip(full.event.codes, full.block.envelopes, strict=True)):
        if code != TxValidationCode.VALID:
            continue
        transaction = parse_envelope(envelope)
        if isinstance(transaction, Transaction) and transaction.result.event is not None:
            yield ChaincodeEvent(
                channel=full.event.channel,
                chaincode=transaction.result.chaincode,
                name=transaction.result.event.name,
                payload=transaction.result.event.payload,
                tx_id=transaction.tx_id,
                block=full.event.number,
                index=index,
                timestamp_us=full.event.timestamp_us,
            )


async def first_difference(height: int, one: CommitHashAt, other: CommitHashAt) -> int | None:
    """The number of the first block after which two ledgers' commit hashes differ; None where none below ``height``.

    Each commit hash covers the one before: where two differ, all later ones do. So it is found by bisection.
    """

    async def differ(number: int) -> bool:
        return await one(number) != await other(number)

    if height == 0 or not await differ(height - 1):
        return None
    low, high = 0, height - 1
    while low < high:
        middle = (low + high) // 2
        if await differ(middle):
            high = middle
        else:
            low = middle + 1
    return low


@dataclass(frozen=True, slots=True)
class Difference:
    """The first block after which two ledgers differ, and in what, line by line."""

    block: int
    what: list[str]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two ledgers of one channel: their heights, and where they part below the lower one."""

    heights: tuple[int, int]
    difference: Difference | None


async def compare_ledgers(channel: str, one: NodeClient, other: NodeClient) -> Comparison:
    """Compare a channel's ledger on two peers. Costs about two requests for each doubling of the height."""
    first, second = await asyncio.gather(read_chain_info(one, channel), read_chain_info(other, channel))

    def commit_hash_on(node: NodeClient) -> CommitHashAt:
        async def commit_hash_at(number: int) -> str:
            told = await node.get_json(path_of("channels", channel, "blocks", str(number)))
            return text_of(object_of(told, "a block"), "commit_hash")

        return commit_hash_at

    lower = min(first.height, second.height)
    number = await first_difference(lower, commit_hash_on(one), commit_hash_on(other))
    if number is None:
        return Comparison((first.height, second.height), None)
    blocks = await asyncio.gather(*(read_opened_block(node, channel, number) for node in (one, other)))
    return Comparison((first.height, second.height), Difference(number, _differences(*blocks)))


def _differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """What two peers' versions of a block differ in: its bytes, a transaction's code, or only what was written."""
    if one["hash"] != other["hash"]:
        return [f"the blocks are not the same: hash {one['hash']} and {other['hash']}"]
    pairs = enumerate(zip(one["transactions"], other["transactions"], strict=True))
    codes = [
        f"transaction {index} ({left['tx_id']}) is {left['code_name']} and {right['code_name']}"
        for index, (left, right) in pairs
        if left["code"] != right["code"]
    ]
    return codes or [f"the same block and codes, commit hash {one['commit_hash']} and {other['commit_hash']}"]

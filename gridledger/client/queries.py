"""Queries to a peer about a channel's chain. What can be verified is: data hashes and Merkle proofs."""

from __future__ import annotations

from typing import Any

from gridledger.errors import CorruptionError
from gridledger.protocol.block import Block
from gridledger.protocol.chain_info import ChainInfo
from gridledger.protocol.config import ChannelConfig
from gridledger.protocol.fields import decoded, list_of, object_of
from gridledger.protocol.proof import ProvedTransaction
from gridledger.protocol.transaction_status import Status
from gridledger.protocol.world_state import HistoryEntry
from gridledger.transport.node_client import NodeClient, path_of

MAX_ITEMS = 1_000_000
"""Of a list in a peer's answer, whose bytes are bounded besides."""


async def read_chain_info(node: NodeClient, channel: str) -> ChainInfo:
    """How far the channel is on the peer."""
    return ChainInfo.from_dict(await node.get_json(path_of("channels", channel)))


async def read_config(node: NodeClient, channel: str) -> ChannelConfig:
    """The channel's present configuration."""
    return ChannelConfig.parse(decoded(await node.get(path_of("channels", channel, "config")), "the configuration"))


async def read_definition(node: NodeClient, channel: str, chaincode: str) -> dict[str, Any]:
    """A chaincode's definition on a channel."""
    return object_of(await node.get_json(path_of("channels", channel, "chaincodes", chaincode)), "a definition")


async def read_block(node: NodeClient, channel: str, number: int) -> Block:
    """A block whose data hash holds; :class:`CorruptionError` otherwise."""
    block = Block.from_bytes(
        await node.get(path_of("channels", channel, "blocks", str(number)), params={"format": "raw"})
    )
    if block.header.number != number or block.header.channel != channel or not block.data_hash_holds():
        raise CorruptionError(f"the peer's answer is not block {number} of {channel}")
    return block


async def read_transaction(node: NodeClient, channel: str, tx_id: str) -> ProvedTransaction:
    """A transaction whose Merkle path leads to its block's header; :class:`CorruptionError` otherwise."""
    found = ProvedTransaction.from_dict(await node.get_json(path_of("channels", channel, "transactions", tx_id)))
    if found.tx_id != tx_id or not found.holds():
        raise CorruptionError(f"the peer's proof does not lead from transaction {tx_id} to block {found.block}")
    return found


async def read_status(node: NodeClient, channel: str, tx_id: str, *, wait_s: float, timeout_s: float) -> Status:
    """A transaction's status. The peer waits up to ``wait_s`` for its commit."""
    path = path_of("channels", channel, "transactions", tx_id, "status")
    return Status.from_dict(await node.get_json(path, params={"wait_s": str(wait_s)}, timeout_s=timeout_s))


async def read_history(node: NodeClient, channel: str, chaincode: str, key: str) -> list[HistoryEntry]:
    """All committed writes of a key, the newest first."""
    answer = await node.get_json(path_of("channels", channel, "history", chaincode), params={"key": key})
    items = list_of(object_of(answer, "a history"), "items", max_length=MAX_ITEMS)
    return [HistoryEntry.from_dict(item) for item in items]

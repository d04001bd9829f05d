"""Queries to a peer about a channel's chain.

What can be verified of one answer by itself is: data hashes, Merkle proofs, ids. Whether orderers have signed the
header, and whether the code is right, :mod:`gridledger.client.proofs` proves.
"""

from __future__ import annotations

from typing import Any

from gridledger.errors import CorruptionError, GridLedgerError
from gridledger.protocol.block import MAX_ENVELOPES, Block
from gridledger.protocol.chain_info import ChainInfo
from gridledger.protocol.config import ChannelConfig
from gridledger.protocol.config_update import parse_envelope
from gridledger.protocol.fields import decoded, integer_of, list_of, object_of, value_of
from gridledger.protocol.headers import MAX_HEADERS, HeadersPage
from gridledger.protocol.proof import ProvedTransaction
from gridledger.protocol.search import TransactionFilter, TransactionsPage
from gridledger.protocol.transaction_status import Status
from gridledger.protocol.world_state import HistoryPage
from gridledger.transport.node_client import NodeClient, path_of

MAX_ITEMS = 1_000_000
"""Of a list in a peer's answer, whose bytes are bounded besides."""


async def read_chain_info(node: NodeClient, channel: str) -> ChainInfo:
    """How far the channel is on the peer."""
    return ChainInfo.from_dict(await node.get_json(path_of("channels", channel)))


async def read_config(node: NodeClient, channel: str) -> ChannelConfig:
    """The channel's present configuration."""
    return ChannelConfig.parse(decoded(await node.get(path_of("channels", channel, "config")), "the configuration"))


async def read_config_block(node: NodeClient, channel: str) -> bytes:
    """The channel's newest config block, which a node that joins the channel may be given."""
    return await node.get(path_of("channels", channel, "config"), params={"format": "block"})


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


async def read_opened_block(node: NodeClient, channel: str, number: int) -> dict[str, Any]:
    """A block as the peer tells it (:func:`~gridledger.protocol.opened_block.open_block`): with the code of each
    transaction, and the parts of each envelope as JSON values. Nothing of it is verified."""
    answer = object_of(await node.get_json(path_of("channels", channel, "blocks", str(number))), "an opened block")
    list_of(answer, "transactions", max_length=MAX_ENVELOPES)
    if integer_of(object_of(value_of(answer, "header"), "a header"), "number") != number:
        raise CorruptionError(f"the peer's answer is not block {number} of {channel}")
    return answer


async def read_block_by_hash(node: NodeClient, channel: str, block_hash: str) -> Block:
    """The block whose header has this hash; :class:`CorruptionError` for another one."""
    path = path_of("channels", channel, "blocks", "by-hash", block_hash)
    block = Block.from_bytes(await node.get(path, params={"format": "raw"}))
    if block.header.hash != block_hash.lower() or block.header.channel != channel or not block.data_hash_holds():
        raise CorruptionError(f"the peer's answer is not the block of {channel} with the hash {block_hash}")
    return block


async def read_headers(node: NodeClient, channel: str, start: int, *, limit: int = MAX_HEADERS) -> HeadersPage:
    """Headers of consecutive blocks from ``start`` on, each naming the one before it by its hash;
    :class:`CorruptionError` otherwise. None where the peer has no such block yet."""
    params = {"from": str(start), "limit": str(limit)}
    page = HeadersPage.from_dict(await node.get_json(path_of("channels", channel, "headers"), params=params))
    if not page.follows(channel, start) or len(page.items) > limit:
        raise CorruptionError(f"the peer's answer is not the headers of {channel} from block {start} on")
    return page


async def search_transactions(
    node: NodeClient, channel: str, wanted: TransactionFilter, *, limit: int, bookmark: str | None
) -> TransactionsPage:
    """A page of the transactions that fit; :class:`CorruptionError` where the peer tells of others."""
    page = await _page(node, channel, wanted.to_params(), limit=limit, bookmark=bookmark)
    if not all(wanted.fits(item) for item in page.items):
        raise CorruptionError("the peer tells of transactions that were not asked for")
    return page


async def find_transactions(
    node: NodeClient, channel: str, prefix: str, *, limit: int, bookmark: str | None
) -> TransactionsPage:
    """A page of the transactions whose ids begin with ``prefix``; :class:`CorruptionError` for others."""
    page = await _page(node, channel, {"prefix": prefix}, limit=limit, bookmark=bookmark)
    if not all(item.tx_id.startswith(prefix.lower()) for item in page.items):
        raise CorruptionError("the peer tells of transactions that were not asked for")
    return page


async def _page(
    node: NodeClient, channel: str, params: dict[str, str], *, limit: int, bookmark: str | None
) -> TransactionsPage:
    behind = {} if bookmark is None else {"bookmark": bookmark}
    asked = {**params, "limit": str(limit), **behind}
    page = TransactionsPage.from_dict(await node.get_json(path_of("channels", channel, "transactions"), params=asked))
    if len(page.items) > limit:
        raise CorruptionError(f"the peer's page has more than {limit} transactions")
    return page


async def read_transaction(node: NodeClient, channel: str, tx_id: str) -> ProvedTransaction:
    """A transaction of this id whose Merkle path leads to its block's header; :class:`CorruptionError` otherwise."""
    found = ProvedTransaction.from_dict(await node.get_json(path_of("channels", channel, "transactions", tx_id)))
    if found.tx_id != tx_id or found.header.channel != channel or not found.holds():
        raise CorruptionError(f"the peer's proof does not lead from transaction {tx_id} to block {found.block}")
    try:
        shown = parse_envelope(found.envelope).tx_id
    except GridLedgerError as error:
        raise CorruptionError(f"the peer's transaction {tx_id} cannot be read: {error.message}") from None
    if shown != tx_id:
        raise CorruptionError(f"the peer shows transaction {shown} in place of {tx_id}")
    return found


async def read_status(node: NodeClient, channel: str, tx_id: str, *, wait_s: float, timeout_s: float) -> Status:
    """A transaction's status. The peer waits up to ``wait_s`` for its commit."""
    path = path_of("channels", channel, "transactions", tx_id, "status")
    return Status.from_dict(await node.get_json(path, params={"wait_s": str(wait_s)}, timeout_s=timeout_s))


async def read_history_page(
    node: NodeClient, channel: str, chaincode: str, key: str, *, limit: int, bookmark: str | None
) -> HistoryPage:
    """Some of the committed writes of a key, the newest first."""
    params = {"key": key, "limit": str(limit), **({} if bookmark is None else {"bookmark": bookmark})}
    return HistoryPage.from_dict(await node.get_json(path_of("channels", channel, "history", chaincode), params=params))

"""Reading the chain through a peer, and checking what can be checked: hashes, Merkle proofs."""

from __future__ import annotations

from dataclasses import dataclass

from gridledger import jsontext
from gridledger.errors import CorruptionError
from gridledger.protocol import merkle
from gridledger.protocol.block import Block, BlockHeader
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.config import ChannelConfig
from gridledger.protocol.state import HistoryEntry
from gridledger.transport.node_client import NodeClient


@dataclass(frozen=True, slots=True)
class ChainInfo:
    """How far a channel is on one peer."""

    channel: str
    height: int
    commit_hash: str
    last_hash: str


@dataclass(frozen=True, slots=True)
class ProvedTransaction:
    """A transaction with its verdict. Its envelope was proved to be in the block that ``header`` names."""

    tx_id: str
    block: int
    index: int
    code: TxValidationCode
    envelope: bytes
    header: BlockHeader


async def read_chain_info(node: NodeClient, channel: str) -> ChainInfo:
    """Height and hashes."""
    answer = await node.get_json(f"/channels/{channel}")
    return ChainInfo(channel, answer["height"], answer["commit_hash"], answer["last_hash"])


async def read_config(node: NodeClient, channel: str) -> ChannelConfig:
    """The channel's present configuration."""
    return ChannelConfig.parse((await node.get(f"/channels/{channel}/config")).decode())


async def read_block(node: NodeClient, channel: str, number: int) -> Block:
    """A block whose data hash holds; :class:`CorruptionError` otherwise."""
    block = Block.from_bytes(await node.get(f"/channels/{channel}/blocks/{number}", params={"format": "raw"}))
    if block.header.number != number or block.header.channel != channel or not block.data_hash_holds():
        raise CorruptionError(f"the peer's answer is not block {number} of {channel}")
    return block


async def read_transaction(node: NodeClient, channel: str, tx_id: str) -> ProvedTransaction:
    """A transaction whose Merkle path leads to its block's header; :class:`CorruptionError` otherwise."""
    answer = jsontext.loads(await node.get(f"/channels/{channel}/transactions/{tx_id}"))
    envelope = answer["envelope"].encode()
    proof = answer["proof"]
    header = BlockHeader.parse(proof["header"])
    siblings = [bytes.fromhex(text) for text in proof["path"]]
    root = merkle.root_from_path(envelope, answer["index"], proof["count"], siblings)
    if root is None or root.hex() != header.data_hash or header.number != answer["block"]:
        raise CorruptionError(f"the peer's proof does not lead from transaction {tx_id} to block {answer['block']}")
    return ProvedTransaction(
        tx_id, answer["block"], answer["index"], TxValidationCode(answer["code"]), envelope, header
    )


async def read_history(node: NodeClient, channel: str, chaincode: str, key: str) -> list[HistoryEntry]:
    """A key's values, the newest first."""
    answer = await node.get_json(f"/channels/{channel}/history/{chaincode}", params={"key": key})
    return [HistoryEntry.from_dict(item) for item in answer["items"]]

"""What nodes tell of themselves: version, end of the certificate, and how far each channel is that the caller may read.

Members hear it, and observers of a channel that they read; a node's own admins hear of queues too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gridledger.client.profile import ConnectionProfile
from gridledger.errors import GridLedgerError, MalformedMessage
from gridledger.identity.signer import SigningIdentity
from gridledger.protocol.fields import integer_of, object_of, text_of, value_of
from gridledger.transport.node_client import NodeClient

TIMEOUT_S = 5.0
MAX_CHANNELS = 10_000
MAX_POOLS = 10_000


@dataclass(frozen=True, slots=True)
class ChannelAtNode:
    """A channel at a node. ``commit_hash`` is a peer's, ``last_hash`` (of the newest header) and ``term`` an orderer's;
    ``leader`` is None where the node knows of none now.

    To the node's own admins: ``queued`` envelopes wait here for the orderers, or at an orderer for their block;
    ``behind`` blocks wait at a peer for their commit, and its index has ``indexed`` blocks.
    """

    height: int
    config_sequence: int
    leader: str | None
    standing: str
    commit_hash: str | None = None
    last_hash: str | None = None
    term: int | None = None
    queued: int | None = None
    behind: int | None = None
    indexed: int | None = None

    @classmethod
    def from_dict(cls, value: Any) -> ChannelAtNode:
        """Read the JSON form; :class:`MalformedMessage` says what is wrong with it."""
        message = object_of(value, "a channel at a node")
        return cls(
            height=integer_of(message, "height"),
            config_sequence=integer_of(message, "config_sequence"),
            leader=_text(message, "leader"),
            standing=text_of(message, "standing"),
            commit_hash=_text(message, "commit_hash"),
            last_hash=_text(message, "last_hash"),
            **{name: _number(message, name) for name in ("term", "queued", "behind", "indexed")},
        )


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """What a node says of itself. Its own admins hear more of a peer: how many ``commit_waiters`` there are (callers),
    and what the pools of its chaincode hosts do, by chaincode and package (its id's first 12 digits)."""

    node: str
    mspid: str
    version: str
    certificate_not_after_us: int
    channels: Mapping[str, ChannelAtNode]
    commit_waiters: int | None = None
    chaincodes: Mapping[str, Mapping[str, int]] | None = None

    @classmethod
    def from_dict(cls, value: Any) -> NodeStatus:
        """Read the JSON form; :class:`MalformedMessage` says what is wrong with it."""
        message = object_of(value, "a node's status")
        channels = object_of(value_of(message, "channels"), "the channels of a node")
        if len(channels) > MAX_CHANNELS:
            raise MalformedMessage(f"a node tells of at most {MAX_CHANNELS} channels")
        return cls(
            node=text_of(message, "node"),
            mspid=text_of(message, "mspid"),
            version=text_of(message, "version"),
            certificate_not_after_us=integer_of(message, "certificate_not_after_us"),
            channels={name: ChannelAtNode.from_dict(there) for name, there in channels.items()},
            commit_waiters=_number(message, "commit_waiters"),
            chaincodes=_hosts(message),
        )


async def read_node_status(node: NodeClient, *, timeout_s: float = TIMEOUT_S) -> NodeStatus:
    """What a node tells its caller of itself."""
    return NodeStatus.from_dict(await node.get_json("/status", timeout_s=timeout_s))


async def read_node_statuses(
    profile: ConnectionProfile,
    identity: SigningIdentity,
    names: Iterable[str] | None = None,
    *,
    timeout_s: float = TIMEOUT_S,
) -> dict[str, NodeStatus | GridLedgerError]:
    """What each node of a network, or each of ``names``, tells one identity; the error where it tells nothing."""

    async def ask(name: str) -> NodeStatus | GridLedgerError:
        try:
            async with NodeClient.to(profile.way_to(name), identity) as node:
                return await read_node_status(node, timeout_s=timeout_s)
        except GridLedgerError as error:
            return error

    asked = list({**profile.orderers, **profile.peers} if names is None else names)
    return dict(zip(asked, await asyncio.gather(*map(ask, asked)), strict=True))


def _hosts(message: dict[str, Any]) -> dict[str, dict[str, int]] | None:
    if message.get("chaincodes") is None:
        return None
    pools = object_of(message["chaincodes"], "the chaincode hosts of a peer")
    if len(pools) > MAX_POOLS:
        raise MalformedMessage(f"a peer tells of at most {MAX_POOLS} pools of chaincode hosts")
    named = {name: object_of(pool, f"the hosts of {name}") for name, pool in pools.items()}
    return {name: {key: integer_of(pool, key) for key in pool} for name, pool in named.items()}


def _text(message: dict[str, Any], name: str) -> str | None:
    return None if message.get(name) is None else text_of(message, name)


def _number(message: dict[str, Any], name: str) -> int | None:
    return None if message.get(name) is None else integer_of(message, name)

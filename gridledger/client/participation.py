"""A node's channels, as its own admins change them: join, leave, list. An orderer and a peer have the same routes."""

from __future__ import annotations

from typing import Any

from gridledger import framing, jsontext
from gridledger.protocol import Block
from gridledger.transport.node_client import NodeClient, path_of

PATH = "/participation/v1/channels"
"""Under the path that Fabric's osnadmin uses."""

_JOIN_S = 60.0
"""Within it a node that joins has written the genesis block and begun the channel."""


async def join_channel(node: NodeClient, genesis: Block, config_block: bytes | None = None) -> dict[str, Any]:
    """Have a node join a channel; what it then tells of it, as in :func:`list_channels`.

    ``config_block`` is the channel's newest config block (its bytes), whose addresses, certificates and roots the node
    uses until its own chain is as new; for a node that has joined already it renews them. Raises ConflictError where
    the node has another channel of that name.
    """
    frames = [genesis.to_bytes()] if config_block is None else [genesis.to_bytes(), config_block]
    found: dict[str, Any] = jsontext.loads(await node.post(PATH, framing.pack(frames), timeout_s=_JOIN_S))
    return found


async def leave_channel(node: NodeClient, name: str, *, force: bool = False) -> None:
    """Have a node leave a channel and remove what it holds of it, for good.

    An orderer that the channel still has refuses unless ``force``. Raises NotFoundError where the node has no such
    channel.
    """
    await node.delete(PATH + path_of(name), params={"force": "true"} if force else None, timeout_s=_JOIN_S)


async def list_channels(node: NodeClient) -> list[dict[str, Any]]:
    """The channels that a node has joined, by name: each {"name", "url", "status", "consensusRelation", "height"}.

    ``status`` is ``active``, ``onboarding`` (catching up, or not taken in yet), ``removed`` (the channel's config has
    this node no more) or ``failed``; ``consensusRelation`` is ``consenter``, ``follower`` or, at a peer, ``other``.
    """
    found: list[dict[str, Any]] = (await node.get_json(PATH))["channels"]
    return found

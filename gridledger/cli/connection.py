"""How commands reach a network: as one of its users, through a peer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gridledger.errors import NotFoundError

if TYPE_CHECKING:
    from gridledger.client import Contract, Gateway
    from gridledger.client.profile import ConnectionProfile
    from gridledger.transport.node_client import NodeClient


@asynccontextmanager
async def gateway_to(directory: Path, user: str | None, channel: str | None = None) -> AsyncIterator[Gateway]:
    """A gateway of the network in ``directory``, to one of the channel's peers if a channel is given."""
    from gridledger.client import connect  # noqa: PLC0415
    from gridledger.client.profile import load_profile  # noqa: PLC0415

    profile = load_profile(directory)
    if channel is not None:
        profile = only_peers_of(profile, channel)
    async with await connect(profile, user=user) as gateway:
        yield gateway


@asynccontextmanager
async def contract_at(directory: Path, user: str | None, channel: str, chaincode: str) -> AsyncIterator[Contract]:
    """A chaincode on a channel."""
    async with gateway_to(directory, user, channel) as gateway:
        yield gateway.get_network(channel).get_contract(chaincode)


@asynccontextmanager
async def nodes_of(
    directory: Path, user: str | None, channel: str, names: Sequence[str]
) -> AsyncIterator[list[NodeClient]]:
    """Peers of a channel, each for itself; :class:`NotFoundError` where the channel has no such peer."""
    from gridledger.client.profile import load_profile  # noqa: PLC0415
    from gridledger.identity.signer import SigningIdentity  # noqa: PLC0415
    from gridledger.transport.node_client import NodeClient  # noqa: PLC0415

    profile = only_peers_of(load_profile(directory), channel)
    unknown = [name for name in names if name not in profile.peers]
    if unknown:
        raise NotFoundError(f"{channel} has no peer {unknown[0]!r}; it has: {', '.join(profile.peers)}")
    identity = SigningIdentity.load(profile.user_folder(user))
    async with AsyncExitStack() as stack:
        nodes = [NodeClient.to(profile.way_to(name), identity) for name in names]
        yield [await stack.enter_async_context(node) for node in nodes]


def only_peers_of(profile: ConnectionProfile, channel: str) -> ConnectionProfile:
    """The profile with no other peers than the channel's; :class:`NotFoundError` where it has no such channel."""
    entry = profile.channels.get(channel)
    if entry is None:
        raise NotFoundError(f"there is no channel {channel!r}; there are: {', '.join(profile.channels) or 'none'}")
    peers = {name: profile.peers[name] for name in entry.peers if name in profile.peers}
    if not peers:
        raise NotFoundError(f"the connection profile of {profile.name} names no peer of {channel}")
    return profile.model_copy(update={"peers": peers})

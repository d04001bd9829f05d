"""Peers that come to a network that runs, move to another port, join and leave channels, and go.

A peer is named in a channel's configuration when it has caught up, and not before: no transaction waits for one that is
not there yet. When it goes, the configuration comes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from gridledger.client.participation import join_channel, leave_channel, list_channels
from gridledger.client.queries import read_chain_info, read_config_block
from gridledger.errors import ConflictError, InputError, NotFoundError
from gridledger.network.bootstrap import described_node, furnish_node
from gridledger.network.changes.changing_network import ChangingNetwork
from gridledger.network.changes.enrolment import enroll_node
from gridledger.network.changes.leftovers import set_aside
from gridledger.network.changes.packages import install_packages
from gridledger.network.config_changes import present_config
from gridledger.network.schema import NodeSpec
from gridledger.protocol import Block
from gridledger.protocol.config import ChannelConfig, Node
from gridledger.protocol.config_policies import APPLICATION


async def add_peer(network: ChangingNetwork, spec: NodeSpec, channels: Sequence[str]) -> None:
    """Add a peer to an organisation, and have it join channels: it is enrolled, furnished and started, it catches up,
    and then the channels' configurations name it."""
    network.check_channels(channels)
    network.organisation(spec.organisation)
    known = next((item for item in network.config.peers if item.name == spec.name), None)
    if known is not None and (known.organisation, known.port) != (spec.organisation, spec.port):
        raise ConflictError(f"there is a peer {spec.name} already, of {known.organisation} at port {known.port}")
    others = [item for item in network.config.peers if item.name != spec.name]
    following = network.changed(peers=(*others, known or spec))
    if network.config.kind_of(spec.organisation) != APPLICATION:
        raise InputError(
            f"{spec.organisation} is of the kind {network.config.kind_of(spec.organisation)!r}, without peers"
        )
    if known is None:
        await enroll_node(network, spec, "peer")
        furnish_node(following, network.folder, spec, [], packages="packages")
        network.keep(following)
    await network.follow()
    for channel in channels:
        await join_peer(network, channel, spec.name)


async def join_peer(network: ChangingNetwork, channel: str, name: str) -> None:
    """Have a peer join a channel, catch up with it, and be named in its configuration."""
    spec = network.peer(name)
    network.check_channels([channel])
    config = await present_config(network.profile, channel)
    if config.organisations.get(network.config.mspid(spec.organisation)) is None:
        what_to_do = f"gridledger org add {spec.organisation} --channel {channel}"
        raise InputError(f"{spec.organisation} is no member of {channel} ({what_to_do})")
    async with network.node(name) as node:
        await network.until(partial(list_channels, node), f"that {name} answers")
        await install_packages(network, node, {item.package for item in config.chaincodes.values()})
        genesis = Block.from_bytes(network.folder.genesis(channel).read_bytes())
        newest = await network.from_a_peer(channel, partial(read_config_block, channel=channel), but=name)
        await join_channel(node, genesis, newest)
        network.say(f"{channel}: {name} has joined, and catches up")
        await _caught_up(network, channel, name)
    await network.change(channel, partial(_with_peer, await peer_entry(network, spec)), f"{name} is a peer")
    present = network.config.channels[channel]
    if name not in present.peers:
        network.keep(
            network.with_channel(
                channel,
                peers=(*present.peers, name),
                organisations=tuple(item for item in present.organisations if item != spec.organisation),
            )
        )


async def peer_entry(network: ChangingNetwork, spec: NodeSpec) -> Node:
    """A peer as another channel has it, with a renewed certificate too; else with the certificate in its folder."""
    for channel in network.config.channels_of(spec.name):
        present = (await present_config(network.profile, channel)).peers.get(spec.name)
        if present is not None:
            return present
    return described_node(network.config, network.folder, spec)


async def leave_peer(network: ChangingNetwork, channel: str, name: str) -> None:
    """Take a peer off a channel's configuration, and have it leave: what it holds of the channel is removed. Its
    organisation stays a member."""
    await _withdraw(network, channel, name)
    async with network.node(name) as node:
        try:
            await leave_channel(node, channel)
        except NotFoundError:
            network.say(f"{channel}: {name} has left already")
            return
    network.say(f"{channel}: {name} has left")


async def remove_peer(network: ChangingNetwork, name: str) -> None:
    """Take a peer off all channels, and stop it. Its folder is kept; its organisation stays a member."""
    if not network.folder.node(name).exists():
        network.peer(name)
    for channel in network.config.channels_of(name):
        await _withdraw(network, channel, name)
    network.keep(network.changed(peers=tuple(item for item in network.config.peers if item.name != name)))
    await network.follow()
    set_aside(network, name)


async def move_peer(network: ChangingNetwork, name: str, port: int) -> None:
    """Move a peer to another port: the channels' configurations first, then the peer is started anew there."""
    spec = network.peer(name)
    moved = spec.model_copy(update={"port": port})
    following = network.changed(peers=tuple(moved if item is spec else item for item in network.config.peers))
    url = following.url(moved)
    for channel in network.config.channels_of(name):
        await network.change(channel, partial(_with_address, name, url), f"{name} is at {url}")
    network.write_port(name, port)
    network.keep(following)
    await network.follow()


async def _withdraw(network: ChangingNetwork, channel: str, name: str) -> None:
    """Take a peer off a channel's configuration and description."""
    network.check_channels([channel])
    spec, present = network.peer(name), network.config.channels[channel]
    peers = tuple(item for item in present.peers if item != name)
    if not peers:
        raise InputError(f"{name} is the only peer of {channel}: a channel needs one")
    await network.change(channel, partial(_without_peer, name), f"{name} is no peer")
    others = {network.peer(peer).organisation for peer in peers}
    alone = () if spec.organisation in {*others, *present.organisations} else (spec.organisation,)
    network.keep(network.with_channel(channel, peers=peers, organisations=(*present.organisations, *alone)))


async def _caught_up(network: ChangingNetwork, channel: str, name: str) -> None:
    """Wait until a peer has all blocks that another one has now."""
    least = (await network.from_a_peer(channel, partial(read_chain_info, channel=channel), but=name)).height

    async def there() -> bool | None:
        async with network.node(name) as node:
            return True if (await read_chain_info(node, channel)).height >= least else None

    await network.until(there, f"that {name} has caught up with {channel}")


def _with_peer(node: Node, current: ChannelConfig) -> ChannelConfig:
    return (
        current if current.peers.get(node.name) == node else replace(current, peers={**current.peers, node.name: node})
    )


def _without_peer(name: str, current: ChannelConfig) -> ChannelConfig:
    """The configuration without a peer, which is no anchor any more either."""
    organisations = {
        mspid: replace(item, anchors=tuple(anchor for anchor in item.anchors if anchor != name))
        for mspid, item in current.organisations.items()
    }
    peers = {peer: node for peer, node in current.peers.items() if peer != name}
    return replace(current, peers=peers, organisations=organisations)


def _with_address(name: str, url: str, current: ChannelConfig) -> ChannelConfig:
    node = current.peers[name]
    return replace(current, peers={**current.peers, name: replace(node, url=url)})

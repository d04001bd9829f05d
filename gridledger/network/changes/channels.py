"""Channels that are made on a network that runs, and nodes that join and leave them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from gridledger.client.participation import join_channel, leave_channel
from gridledger.client.queries import read_config_block
from gridledger.errors import ConflictError, InputError, NotFoundError
from gridledger.files import write_atomically
from gridledger.network.changes.changing_network import ChangingNetwork
from gridledger.network.changes.packages import find_package, install_packages
from gridledger.network.changes.peers import join_peer, leave_peer, peer_entry
from gridledger.network.config_changes import present_config
from gridledger.network.schema import ChannelSpec
from gridledger.protocol import Block, ConfigUpdate
from gridledger.protocol.block import ZERO_HASH
from gridledger.protocol.config import ChaincodeDefinition, ChannelConfig
from gridledger.protocol.config_policies import OBSERVER, ORDERER
from gridledger.transport.node_client import path_of


async def create_channel(
    network: ChangingNetwork,
    name: str,
    *,
    peers: Sequence[str] = (),
    like: str | None = None,
    chaincodes: Sequence[str] | None = None,
) -> None:
    """Make a channel with these ``peers``; all orderers and the peers join it.

    It has the policies, bounds, readers and ``chaincodes`` (all where None) of the channel ``like`` as they now are,
    and its peers where none are given; without ``like`` the default policies and bounds, and no chaincode.
    """
    if name in network.config.channels:
        network.say(f"there is a channel {name} already")
        return
    file = network.folder.genesis(name)
    if not file.exists():
        first = await _first_config(network, name, like, peers, chaincodes)
        network.changed(channels={**network.config.channels, name: _described(network, like, first)})
        file.parent.mkdir(exist_ok=True)
        write_atomically(file, _genesis(first).to_bytes())
    genesis = Block.from_bytes(file.read_bytes())
    first = ConfigUpdate.parse(genesis.envelopes[0]).config
    if peers and sorted(first.peers) != sorted(peers):
        raise ConflictError(f"{name} was begun with the peers {', '.join(sorted(first.peers))}: go on with these")
    for orderer in first.orderers:
        async with network.node(orderer) as node:
            await join_channel(node, genesis)
    await network.until(partial(_leader, network, name, next(iter(first.orderers))), f"that {name} has a leader")
    network.say(f"{name}: {', '.join(first.orderers)} have joined")
    for peer in first.peers:
        async with network.node(peer) as node:
            await install_packages(network, node, {item.package for item in first.chaincodes.values()})
            await join_channel(node, genesis)
    network.say(f"{name}: {', '.join(first.peers)} have joined")
    network.keep(network.changed(channels={**network.config.channels, name: _described(network, like, first)}))


async def join(network: ChangingNetwork, channel: str, node: str) -> None:
    """Have a node join a channel. A peer is named in the configuration when it has caught up; an orderer must be named
    there already."""
    if any(item.name == node for item in network.config.peers):
        await join_peer(network, channel, node)
        return
    network.orderer(node)
    network.check_channels([channel])
    if node not in (await present_config(network.profile, channel)).orderers:
        raise InputError(f"{node} is no orderer of {channel}: gridledger orderer add makes it one of all channels")
    genesis = Block.from_bytes(network.folder.genesis(channel).read_bytes())

    block = await network.from_a_peer(channel, partial(read_config_block, channel=channel))
    async with network.node(node) as client:
        await join_channel(client, genesis, block)
    network.say(f"{channel}: {node} has joined")


async def leave(network: ChangingNetwork, channel: str, node: str) -> None:
    """Have a node leave a channel, and remove what it holds of it. A peer is taken off the configuration first; an
    orderer must be off it."""
    if any(item.name == node for item in network.config.peers):
        await leave_peer(network, channel, node)
        return
    network.orderer(node)
    async with network.node(node) as client:
        try:
            await leave_channel(client, channel)
        except NotFoundError:
            network.say(f"{channel}: {node} has left already")
            return
    network.say(f"{channel}: {node} has left")


def place_application(network: ChangingNetwork, application: str, channel: str, like: str) -> None:
    """Describe for an application what a new channel is to it, as ``like`` is: the organisations with a peer there and
    on its main channel act for its groups, and the first of them plans. Which groups run there is said later."""
    config = network.config
    described = config.applications.get(application)
    if described is None:
        raise NotFoundError(f"there is no application {application!r}: {', '.join(config.applications) or 'none'}")
    main = config.channels.get(described.get("main", ""))
    on_main = {config.peer(peer).organisation for peer in (main.peers if main else config.channels[channel].peers)}
    owners = dict.fromkeys(config.peer(peer).organisation for peer in config.channels[channel].peers)
    mspids = [config.mspid(owner) for owner in owners if owner in on_main]
    if not mspids:
        raise InputError(f"no organisation has a peer on {channel} and on the main channel of {application}")
    changed = dict(described)
    for member, value in (("planners", mspids[0]), ("aggregators", mspids)):
        if like in described.get(member, {}):
            changed[member] = {**described[member], channel: value}
    network.keep(network.changed(applications={**config.applications, application: changed}))


async def _first_config(
    network: ChangingNetwork, name: str, like: str | None, peers: Sequence[str], chaincodes: Sequence[str] | None
) -> ChannelConfig:
    """The first configuration of a channel, with the organisations' entries and orderers as another one has them."""
    if like is not None:
        network.check_channels([like])
    specs = [network.peer(peer) for peer in peers or (network.config.channels[like].peers if like else ())]
    if not specs:
        raise InputError(f"{name} needs peers: name them with --peer, or another channel with --like")
    owners = {network.config.mspid(spec.organisation) for spec in specs}
    source = await _channel_of(network, owners, like)
    organisations = {
        mspid: replace(item, anchors=())
        for mspid, item in source.organisations.items()
        if mspid in owners or item.kind == ORDERER or (like is not None and item.kind == OBSERVER)
    }
    first = ChannelConfig(
        channel=name,
        sequence=0,
        organisations=organisations,
        peers={spec.name: await peer_entry(network, spec) for spec in specs},
        orderers=source.orderers,
    )
    if like is None:
        return first
    return replace(
        first,
        policies=source.policies,
        acls=source.acls,
        capabilities=source.capabilities,
        batch=source.batch,
        limits=source.limits,
        forwarders=frozenset(item for item in source.forwarders if item.mspid in organisations),
        chaincodes={item.name: replace(item, sequence=1) for item in _chosen(network, source, chaincodes)},
    )


async def _channel_of(network: ChangingNetwork, owners: set[str], like: str | None) -> ChannelConfig:
    """The present configuration of ``like``, or of a channel that has all these organisations (MSP ids)."""
    for channel in [like] if like else list(network.config.channels):
        members = {network.config.mspid(item) for item in network.config.members_of(channel)}
        if owners <= members:
            return await present_config(network.profile, channel)
    raise InputError(f"{', '.join(sorted(owners))} are not all members of {like or 'one channel'}")


def _chosen(network: ChangingNetwork, source: ChannelConfig, names: Sequence[str] | None) -> list[ChaincodeDefinition]:
    """The chaincodes that the channel begins with, whose packages are there."""
    if unknown := [item for item in names or () if item not in source.chaincodes]:
        raise NotFoundError(f"{source.channel} has no chaincode {unknown[0]!r}; it has: {', '.join(source.chaincodes)}")
    chosen = [item for item in source.chaincodes.values() if names is None or item.name in names]
    for item in chosen:
        find_package(network.folder, item.package)
    return chosen


async def _leader(network: ChangingNetwork, channel: str, orderer: str) -> str | None:
    async with network.node(orderer) as node:
        told = await node.get_json(path_of("channels", channel))
    return told["leader"] or None


def _genesis(first: ChannelConfig) -> Block:
    first.check()
    envelope = ConfigUpdate.build(first).to_bytes()
    now_us = time.time_ns() // 1000
    return Block.build(
        channel=first.channel, number=0, previous_hash=ZERO_HASH, timestamp_us=now_us, envelopes=[envelope]
    )


def _described(network: ChangingNetwork, like: str | None, first: ChannelConfig) -> ChannelSpec:
    """The channel in the network's description: that of its likeness, with its own peers."""
    peers = tuple(first.peers)
    if like is None:
        return ChannelSpec(peers=peers)
    before = network.config.channels[like]
    owners = {network.peer(peer).organisation for peer in peers}
    return before.model_copy(
        update={
            "peers": peers,
            "organisations": (),
            "chaincodes": {item: spec for item, spec in before.chaincodes.items() if item in first.chaincodes},
            "forwarders": tuple(item for item in before.forwarders if item.partition("/")[0] in owners),
        }
    )

"""Orderers that come to a network that runs, take another's place, move to another port, and go.

The channels' configurations say who the orderers are, and Raft follows them by itself.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import replace
from functools import partial
from typing import Any

from gridledger import jsontext
from gridledger.client.queries import read_config_block
from gridledger.errors import ConflictError, InputError
from gridledger.files import write_atomically
from gridledger.incarnation import FILE, Incarnation, node_of
from gridledger.network.bootstrap import DATA, described_node, furnish_node
from gridledger.network.changes.changing_network import ChangingNetwork
from gridledger.network.changes.enrolment import enroll_node
from gridledger.network.changes.leftovers import set_aside
from gridledger.network.schema import NetworkConfig, NodeSpec
from gridledger.protocol.config import ChannelConfig, Node
from gridledger.protocol.config_policies import ORDERER
from gridledger.transport.node_client import path_of

_TRANSFER_S = 10.0


async def add_orderer(network: ChangingNetwork, spec: NodeSpec) -> None:
    """Add an orderer to all channels: it is enrolled and furnished, the channels' configurations name it, it is
    started, catches up and votes."""
    following = await _furnish(network, spec)
    await _enter(network, following, spec.name)
    await _followed(network, spec.name, votes=[spec.name])


async def replace_orderer(network: ChangingNetwork, old: str, new: str, port: int) -> None:
    """Have a new orderer take the place of another one: one update of each channel names it and takes the other off.
    When it votes everywhere the other one is stopped; its folder is kept."""
    owners = {item.name: item.organisation for item in network.config.orderers}
    organisation = owners.get(old) or owners.get(new) or network.orderer(old).organisation
    following = await _furnish(network, NodeSpec(name=new, organisation=organisation, port=port))
    await _enter(network, following, new, old=old)
    await _followed(network, new, votes=[new])
    await _end(network, old)


async def remove_orderer(network: ChangingNetwork, name: str) -> None:
    """Take an orderer off all channels, and stop it when it votes no more. Its folder is kept."""
    if not network.folder.node(name).exists():
        network.orderer(name)
    if all(item.name == name for item in network.config.orderers):
        raise InputError(f"{name} is the only orderer: a channel needs one")
    for channel in network.config.channels:
        await network.change(channel, partial(_without, name), f"{name} is no orderer", orderers=True)
    await _end(network, name)


async def move_orderer(network: ChangingNetwork, name: str, port: int) -> None:
    """Move an orderer to another port: what it leads is handed over, the channels' configurations give its new address,
    then it is started anew there, and votes."""
    spec = network.orderer(name)
    moved = spec.model_copy(update={"port": port})
    following = network.changed(orderers=tuple(moved if item is spec else item for item in network.config.orderers))
    url = following.url(moved)
    others = [item.name for item in network.config.orderers if item.name != name]
    for channel in network.config.channels:
        if others:
            await network.until(partial(_handed_over, network, channel, name, others), f"that {name} leads no more")
    for channel in network.config.channels:
        await network.change(channel, partial(_with_address, name, url), f"{name} is at {url}", orderers=True)
    network.write_port(name, port)
    network.keep(following)
    await network.follow()
    await _followed(network, name, votes=[name])


async def _furnish(network: ChangingNetwork, spec: NodeSpec) -> NetworkConfig:
    """Enrol a new orderer, and put into its folder what it joins by: the genesis blocks, the newest config blocks,
    which say where the others are now, and an incarnation of its own. The description with it."""
    network.organisation(spec.organisation)
    known = next((item for item in network.config.orderers if item.name == spec.name), None)
    if known is not None:
        if (known.organisation, known.port) != (spec.organisation, spec.port):
            raise ConflictError(
                f"there is an orderer {spec.name} already, of {known.organisation} at port {known.port}"
            )
        return network.config
    following = network.changed(orderers=(*network.config.orderers, spec))
    if (kind := following.kind_of(spec.organisation)) != ORDERER:
        raise InputError(f"{spec.organisation} is of the kind {kind!r}, which has no orderers")
    network.check_port(spec)
    await enroll_node(network, spec, "orderer")
    furnish_node(following, network.folder, spec, list(following.channels))
    home = network.folder.node(spec.name)
    for channel in following.channels:
        block = await network.from_a_peer(channel, partial(read_config_block, channel=channel))
        write_atomically(home / "channels" / f"{channel}.config", block)
    data = home / spec.settings.get("data", DATA)
    if not (data / FILE).exists():
        Incarnation(spec.name, secrets.token_hex(4), joins=True).write(data)
    return following


async def _enter(network: ChangingNetwork, following: NetworkConfig, name: str, old: str = "") -> None:
    """Have the channels' configurations name a new orderer, in place of ``old``, and start it.

    In this order: an orderer that no channel has is not healthy, and would keep the network from its next start.
    """
    spec = next(item for item in following.orderers if item.name == name)
    node = described_node(following, network.folder, spec)
    what = f"{name} is an orderer" + (f" in place of {old}" if old else "")
    for channel in network.config.channels:
        await network.change(channel, partial(_with, node, old), what, orderers=True)
    network.keep(following)
    await network.follow()


async def _end(network: ChangingNetwork, name: str) -> None:
    """Stop an orderer that no channel's configuration has any more, once Raft has followed."""
    network.keep(network.changed(orderers=tuple(item for item in network.config.orderers if item.name != name)))
    await _followed(network, network.config.orderers[-1].name, gone=[name])
    await network.follow()
    set_aside(network, name)


async def _followed(
    network: ChangingNetwork, asked: str, *, votes: Collection[str] = (), gone: Collection[str] = ()
) -> None:
    """Wait until an orderer tells of each channel that some vote there, and that others do no more."""
    what = " and ".join([*(f"{name} votes" for name in votes), *(f"{name} votes no more" for name in gone)])

    async def look(channel: str) -> bool | None:
        voters = {node_of(raft_id) for raft_id in (await _state(network, channel, asked))["voters"]}
        return True if voters.issuperset(votes) and voters.isdisjoint(gone) else None

    for channel in network.config.channels:
        await network.until(partial(look, channel), f"that on {channel} {what}")
        network.say(f"{channel}: {what}")


async def _handed_over(network: ChangingNetwork, channel: str, name: str, others: list[str]) -> bool | None:
    """Have an orderer hand a channel over that it leads; True once it leads it no more."""
    state = await _state(network, channel, name)
    if state["leader"] != name:
        return True
    voters = {node_of(raft_id) for raft_id in state["voters"]}
    chosen = next((other for other in others if other in voters), None)
    if chosen is None:
        return True
    async with network.node(name) as node:
        body = jsontext.dumps({"channel": channel, "to": chosen})
        await node.post("/admin/transfer-leader", body, timeout_s=_TRANSFER_S)
    return None


async def _state(network: ChangingNetwork, channel: str, name: str) -> dict[str, Any]:
    """What an orderer tells its admin of a channel."""
    async with network.node(name) as node:
        found: dict[str, Any] = await node.get_json(path_of("channels", channel))
    return found


def _with(node: Node, old: str, current: ChannelConfig) -> ChannelConfig:
    """The configuration with an orderer, and without ``old``."""
    staying = {name: item for name, item in current.orderers.items() if name != old}
    return replace(current, orderers={**staying, node.name: node})


def _without(name: str, current: ChannelConfig) -> ChannelConfig:
    return replace(current, orderers={other: item for other, item in current.orderers.items() if other != name})


def _with_address(name: str, url: str, current: ChannelConfig) -> ChannelConfig:
    return replace(current, orderers={**current.orderers, name: replace(current.orderers[name], url=url)})

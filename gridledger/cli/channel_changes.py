"""Commands that make channels on a network that runs, and have nodes join and leave them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gridledger.cli.changing import Timeout, carry_out
from gridledger.cli.options import DEFAULT_DIR, Channel, Folder, Json, complete_channel

if TYPE_CHECKING:
    from gridledger.network.changes.changing_network import ChangingNetwork

Node = Annotated[str, typer.Argument(metavar="NODE", help="A peer or an orderer of the network.")]


def add_to(group: typer.Typer) -> None:
    """Add these commands to those about channels."""
    for command in (create, join, leave):
        group.command()(command)


def create(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="The new channel's name.")],
    *,
    peers: Annotated[
        list[str] | None,
        typer.Option("--peer", metavar="PEER", help="A peer of it. May be repeated.", show_default="those of --like"),
    ] = None,
    like: Annotated[
        str | None,
        typer.Option(
            "--like",
            metavar="CHANNEL",
            help="Whose policies, bounds, readers and chaincodes it gets, as they now are.",
            show_default="the default policies and bounds, no chaincode",
            autocompletion=complete_channel,
        ),
    ] = None,
    chaincodes: Annotated[
        list[str] | None,
        typer.Option(
            "--chaincode",
            metavar="CHAINCODE",
            help="Of the chaincodes of --like only this one. May be repeated.",
            show_default="all of them",
        ),
    ] = None,
    application: Annotated[
        str | None,
        typer.Option(
            "--application",
            metavar="NAME",
            help="Describe it to this application, such as dvs, as the channel of --like is.",
        ),
    ] = None,
    directory: Folder = DEFAULT_DIR,
    timeout_s: Timeout = 120.0,
    as_json: Json = False,
) -> int:
    """Make a channel on a network that runs. All orderers and the named peers join it, as their own admins.

    \b
    Examples:
      gridledger channel create shard4 --like shard1 --peer peer1 --peer peer2 --application dvs
      gridledger channel create trade --peer peer3 --peer peer5
    """

    async def work(network: ChangingNetwork) -> None:
        from gridledger.errors import InputError  # noqa: PLC0415
        from gridledger.network.changes.channels import create_channel, place_application  # noqa: PLC0415

        if like is None and (application or chaincodes):
            raise InputError("--chaincode and --application go with --like: they are those of another channel")
        await create_channel(network, channel, peers=peers or (), like=like, chaincodes=chaincodes)
        if application and like:
            place_application(network, application, channel, like)

    return carry_out(work, f"there is a channel {channel}", directory, timeout_s=timeout_s, as_json=as_json)


def join(
    channel: Channel,
    node: Node,
    *,
    directory: Folder = DEFAULT_DIR,
    timeout_s: Timeout = 120.0,
    as_json: Json = False,
) -> int:
    """Have a node join a channel, as its own admin.

    A peer gets the channel's chaincodes and catches up; then the channel's configuration names it. An orderer must be
    one of the channel.

    \b
    Example:
      gridledger channel join shard1 peer3
    """

    async def work(network: ChangingNetwork) -> None:
        from gridledger.network.changes.channels import join as joining  # noqa: PLC0415

        await joining(network, channel, node)

    return carry_out(work, f"{node} is on {channel}", directory, timeout_s=timeout_s, as_json=as_json)


def leave(
    channel: Channel,
    node: Node,
    *,
    directory: Folder = DEFAULT_DIR,
    timeout_s: Timeout = 120.0,
    as_json: Json = False,
) -> int:
    """Have a node leave a channel, and remove what it holds of it.

    A peer is taken off the channel's configuration first. An orderer that the channel still has refuses.

    \b
    Example:
      gridledger channel leave shard1 peer3
    """

    async def work(network: ChangingNetwork) -> None:
        from gridledger.network.changes.channels import leave as leaving  # noqa: PLC0415

        await leaving(network, channel, node)

    return carry_out(work, f"{node} has left {channel}", directory, timeout_s=timeout_s, as_json=as_json)

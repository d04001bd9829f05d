"""Commands that add peers to a network that runs, move them, and remove them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gridledger.cli.changing import NewPort, Timeout, carry_out
from gridledger.cli.options import DEFAULT_DIR, Folder, Json

if TYPE_CHECKING:
    from gridledger.network.changes.changing_network import ChangingNetwork

_PANEL = "Network"

Peer = Annotated[str, typer.Argument(metavar="PEER", help="The peer's name, such as peer7.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    group = typer.Typer(name="peer", no_args_is_help=True, help="Add, move and remove peers.")
    for name, command in (("add", add), ("move", move), ("remove", remove)):
        group.command(name)(command)
    app.add_typer(group, rich_help_panel=_PANEL)


def add(
    peer: Peer,
    *,
    organisation: Annotated[str, typer.Option("--organisation", metavar="ORG", help="Whose it is.")],
    port: NewPort,
    channels: Annotated[
        list[str] | None,
        typer.Option("--channel", metavar="CHANNEL", help="A channel that it joins. May be repeated."),
    ] = None,
    directory: Folder = DEFAULT_DIR,
    timeout_s: Timeout = 120.0,
    as_json: Json = False,
) -> int:
    """Add a peer to an organisation that has its CA here, and have it join channels.

    It is enrolled, started, given the channels' chaincodes, and catches up; then the channels' configurations name it,
    signed by its organisation's admin. Cut short, it goes on when it is run again.

    \b
    Example:
      gridledger peer add peer7 --organisation Org7 --port 7157 --channel shard1
    """

    async def work(network: ChangingNetwork) -> None:
        from gridledger.network.changes.peers import add_peer  # noqa: PLC0415
        from gridledger.network.schema import NodeSpec  # noqa: PLC0415

        await add_peer(network, NodeSpec(name=peer, organisation=organisation, port=port), channels or ())

    return carry_out(work, f"{peer} takes part", directory, timeout_s=timeout_s, as_json=as_json)


def move(
    peer: Peer,
    *,
    port: NewPort,
    directory: Folder = DEFAULT_DIR,
    timeout_s: Timeout = 120.0,
    as_json: Json = False,
) -> int:
    """Move a peer to another port: the channels' configurations first, then it is started anew there.

    \b
    Example:
      gridledger peer move peer2 --port 7252
    """

    async def work(network: ChangingNetwork) -> None:
        from gridledger.network.changes.peers import move_peer  # noqa: PLC0415

        await move_peer(network, peer, port)

    return carry_out(work, f"{peer} is at port {port}", directory, timeout_s=timeout_s, as_json=as_json)


def remove(peer: Peer, *, directory: Folder = DEFAULT_DIR, timeout_s: Timeout = 120.0, as_json: Json = False) -> int:
    """Take a peer off its channels, and stop it. Its folder is kept; its organisation stays a member.

    \b
    Example:
      gridledger peer remove peer7
    """

    async def work(network: ChangingNetwork) -> None:
        from gridledger.network.changes.peers import remove_peer  # noqa: PLC0415

        await remove_peer(network, peer)

    return carry_out(work, f"{peer} is removed", directory, timeout_s=timeout_s, as_json=as_json)

"""Commands that make an organisation a member of channels, change its entry, end its membership."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gridledger.cli.changing import Timeout, carry_out
from gridledger.cli.config_verbs import Output, change
from gridledger.cli.options import DEFAULT_DIR, Folder, Json, network_folder
from gridledger.cli.output import note
from gridledger.errors import InputError

if TYPE_CHECKING:
    from gridledger.network.changes.changing_network import ChangingNetwork
    from gridledger.protocol.config import Organisation as Entry

_PANEL = "Network"

Organisation = Annotated[str, typer.Argument(metavar="ORG", help="The organisation's name, such as Org7.")]
OnChannels = Annotated[
    list[str] | None,
    typer.Option("--channel", metavar="CHANNEL", help="On this channel. May be repeated."),
]
Roots = Annotated[
    Path | None,
    typer.Option("--msp", metavar="FILE", help="Its root certificates (PEM), where its CA is elsewhere."),
]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    group = typer.Typer(name="org", no_args_is_help=True, help="Add, change and remove organisations.")
    for name, command in (("add", add), ("update", update), ("remove", remove)):
        group.command(name)(command)
    app.add_typer(group, rich_help_panel=_PANEL)


def add(
    organisation: Organisation,
    *,
    channels: OnChannels = None,
    mspid: Annotated[
        str | None, typer.Option("--mspid", metavar="MSPID", help="Its MSP id.", show_default="ORG and 'MSP'")
    ] = None,
    kind: Annotated[
        Literal["application", "orderer", "observer"],
        typer.Option("--kind", help="What it counts as: observers read, and count among nobody."),
    ] = "application",
    msp: Roots = None,
    output: Output = None,
    directory: Folder = DEFAULT_DIR,
    timeout_s: Timeout = 120.0,
    as_json: Json = False,
) -> int:
    """Make an organisation a member of channels that run.

    The CA service hosts its CA, and its admin is enrolled; with --msp its CA is elsewhere, and nothing is. The admins
    whose keys are in the folder sign, as many as it needs, and are named. Cut short, it goes on when it is run again;
    so it does when others have signed and submitted what --output wrote.

    \b
    Examples:
      gridledger org add Org7 --channel shard1
      gridledger org add Auditor --kind observer --channel mainchain
    """
    from gridledger.network.changes.organisations import (  # noqa: PLC0415
        add_organisation,
        begin_organisation,
        with_entry,
    )
    from gridledger.network.changes.roots import read_roots_file  # noqa: PLC0415
    from gridledger.network.schema import OrganisationSpec  # noqa: PLC0415

    entries: list[Entry] = []

    async def work(network: ChangingNetwork) -> None:
        roots = "" if msp is None else read_roots_file(msp)
        name = mspid or f"{organisation}MSP"
        spec = OrganisationSpec(name=organisation, mspid=name, kind=kind, elsewhere=bool(msp))
        if output is None:
            await add_organisation(network, spec, channels or (), roots=roots)
        else:
            entries.append(await begin_organisation(network, spec, roots=roots))

    if output is not None:
        channel = _only_one(channels)
        carry_out(work, "", directory, timeout_s=timeout_s, as_json=False, quiet=True)
        return change(
            channel, lambda current: with_entry(entries[0], current), output, None, directory, as_json=as_json
        )
    return carry_out(work, f"{organisation} takes part", directory, timeout_s=timeout_s, as_json=as_json)


def update(
    organisation: Organisation,
    *,
    channels: OnChannels = None,
    msp: Annotated[
        Path | None,
        typer.Option("--msp", metavar="FILE", help="Its root certificates (PEM): all that hold from now on."),
    ] = None,
    anchors: Annotated[
        list[str] | None,
        typer.Option("--anchor", metavar="PEER", help="A peer of it that others find it by. May be repeated."),
    ] = None,
    output: Output = None,
    directory: Folder = DEFAULT_DIR,
    timeout_s: Timeout = 120.0,
    as_json: Json = False,
) -> int:
    """Change an organisation's own entry: its roots, where its CA is renewed; its anchors. Its own admin signs.

    Without --channel on all channels of which it is a member.

    \b
    Examples:
      gridledger org update Org7 --msp both-roots.pem
      gridledger org update Org7 --anchor peer7 --channel shard1
    """
    from gridledger.network.changes.organisations import update_organisation, with_own_entry  # noqa: PLC0415
    from gridledger.network.changes.roots import read_roots_file  # noqa: PLC0415

    roots = "" if msp is None else read_roots_file(msp)
    if output is not None:
        edit = partial(with_own_entry, _mspid(directory, organisation), roots, anchors)
        return change(_only_one(channels), edit, output, None, directory, as_json=as_json)

    async def work(network: ChangingNetwork) -> None:
        await update_organisation(network, organisation, channels or (), roots=roots, anchors=anchors)

    return carry_out(work, f"the entry of {organisation} is changed", directory, timeout_s=timeout_s, as_json=as_json)


def remove(
    organisation: Organisation,
    *,
    channels: OnChannels = None,
    output: Output = None,
    directory: Folder = DEFAULT_DIR,
    timeout_s: Timeout = 120.0,
    as_json: Json = False,
) -> int:
    """End an organisation's membership of channels, with its peers.

    Without --channel of all channels: its peers are stopped, and their folders are kept beside the others'. It comes
    back by 'org add', with the roots that it had.

    \b
    Example:
      gridledger org remove Org7
    """
    from gridledger.network.changes.organisations import remove_organisation, without  # noqa: PLC0415

    if output is not None:
        edit = partial(without, _mspid(directory, organisation))
        return change(_only_one(channels), edit, output, None, directory, as_json=as_json)

    async def work(network: ChangingNetwork) -> None:
        await remove_organisation(network, organisation, channels or ())

    return carry_out(work, f"{organisation} is removed", directory, timeout_s=timeout_s, as_json=as_json)


def _only_one(channels: list[str] | None) -> str:
    if channels is None or len(channels) != 1:
        raise InputError("--output goes with one --channel: an update is for one channel")
    return channels[0]


def _mspid(directory: Path, organisation: str) -> str:
    """The MSP id of an organisation of the network in a folder."""
    from gridledger.network.changes.changing_network import ChangingNetwork  # noqa: PLC0415

    return ChangingNetwork(network_folder(directory), note).organisation(organisation).mspid

"""Commands for those who run a network's processes by themselves: bootstrap and compose."""

from __future__ import annotations

import sys
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer

from gridledger.cli.options import DEFAULT_DIR, Config, Folder, Json, network_folder
from gridledger.cli.output import say, say_json
from gridledger.cli.project import project
from gridledger.errors import InputError
from gridledger.extras import require_server

_PANEL = "Network"


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (bootstrap, compose):
        app.command(rich_help_panel=_PANEL)(command)


def bootstrap(
    config: Config = None,
    *,
    directory: Folder = DEFAULT_DIR,
    prepare: Annotated[
        bool, typer.Option("--prepare", help="Only what the CA service needs for its first start.")
    ] = False,
    names_as_hosts: Annotated[
        bool, typer.Option("--names-as-hosts", help="Nodes are reached by name, as containers are.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Make identities through a running CA, genesis blocks and settings.

    Where the network is made already it is left as it is, whatever has been changed in it since.

    \b
    Examples:
      gridledger bootstrap network-config/three-shards.yaml --prepare
      gridledger bootstrap network-config/three-shards.yaml
    """
    import asyncio  # noqa: PLC0415

    require_server("gridledger bootstrap")
    from gridledger.network import bootstrap as making  # noqa: PLC0415
    from gridledger.network.descriptions import made_for, to_run  # noqa: PLC0415
    from gridledger.network.schema import load_network_config  # noqa: PLC0415

    folder = network_folder(directory)
    description = made_for(folder) if config is None else load_network_config(config)
    if names_as_hosts:
        description = description.with_names_as_hosts()
    # The CA service may run already, also when an earlier attempt failed half-way: keep what it works on.
    made = making.prepare(description, folder, anew=False)
    if not made:
        making.check_complete(to_run(description, folder), folder, ca=prepare)
        text = f"the network in {directory} is complete"
    elif prepare:
        text = f"the CA service can be started: python -m services.ca --config {folder.ca / 'config.json'}"
    else:
        asyncio.run(making.bootstrap(description, folder, project()))
        text = f"made {description.name} in {directory}"
    if as_json:
        say_json({"network": description.name, "folder": str(folder.root), "made": made, "ca_only": prepare})
    else:
        say(text)
    return 0


def compose(
    config: Config = None,
    *,
    override: Annotated[
        Path | None, typer.Option("--override", metavar="CONFIG", help="Only what differs from this one.")
    ] = None,
    directory: Folder = DEFAULT_DIR,
    as_json: Json = False,
) -> int:
    """Write the compose file of a network to standard output.

    \b
    Examples:
      gridledger compose network-config/three-shards.yaml > docker/compose.yaml
      gridledger compose --dir out/network
    """
    from gridledger.network.compose import compose_file, override_file  # noqa: PLC0415
    from gridledger.network.descriptions import network_now  # noqa: PLC0415
    from gridledger.network.schema import load_network_config  # noqa: PLC0415

    if config is None:
        if override is not None:
            raise InputError("--override goes with a description")
        text = compose_file(network_now(network_folder(directory)), None)
    elif override is None:
        text = compose_file(load_network_config(config), PurePosixPath(config))
    else:
        description, path = load_network_config(config), PurePosixPath(config)
        text = override_file(description, path, load_network_config(override), PurePosixPath(override))
    if as_json:
        import yaml  # noqa: PLC0415

        say_json(yaml.safe_load(text))
    else:
        sys.stdout.write(text)
    return 0

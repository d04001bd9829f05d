"""Commands about chaincode: pack it, deploy it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gridledger.cli.options import DEFAULT_DIR, Json, Profile
from gridledger.cli.output import say, say_json

_ChaincodeFolder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The chaincode's folder.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    group = typer.Typer(name="chaincode", no_args_is_help=True, help="Pack, deploy and look at chaincode.")
    for command in (deploy, pack):
        group.command()(command)
    app.add_typer(group, rich_help_panel="Chaincode")


def deploy(
    folder: _ChaincodeFolder,
    *,
    channel: Annotated[str, typer.Option("--channel", help="The channel.")],
    name: Annotated[
        str | None, typer.Option("--name", help="Its name on the channel.", show_default="the folder's")
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(
            "--policy", help="Endorsement policy, such as 'OutOf(2, all)'.", show_default="a majority of the peers"
        ),
    ] = None,
    label: Annotated[str | None, typer.Option("--label", help="The version that people call it by.")] = None,
    directory: Profile = DEFAULT_DIR,
    as_json: Json = False,
) -> int:
    """Put a chaincode on a channel of a running network.

    \b
    Examples:
      gridledger chaincode deploy hello --channel shard1
      gridledger chaincode deploy hello --channel shard1 --policy 'OutOf(1, all)' --label 1.1
    """
    import asyncio  # noqa: PLC0415

    from gridledger.client.profile import load_profile  # noqa: PLC0415
    from gridledger.network.deploy import deploy_chaincode  # noqa: PLC0415

    profile = load_profile(directory)
    definition = asyncio.run(
        deploy_chaincode(profile, folder, channel, name=name, policy=policy, version=label),
    )
    if as_json:
        say_json({"channel": channel, "name": definition.name, **definition.to_dict()})
    else:
        say(
            f"{definition.name} is on {channel}: sequence {definition.sequence}, policy {definition.policy}, "
            f"package {definition.package[:12]}"
        )
    return 0


def pack(
    folder: _ChaincodeFolder,
    *,
    output: Annotated[Path, typer.Option("--output", metavar="FILE", help="The package's file.")],
    as_json: Json = False,
) -> int:
    """Write a chaincode's package to a file, and print its id.

    \b
    Example:
      gridledger chaincode pack hello --output hello.tar.gz
    """
    from gridledger.contract import packaging  # noqa: PLC0415

    package = packaging.pack(folder)
    output.write_bytes(package)
    package_id = packaging.package_id(package)
    if as_json:
        say_json({"package": package_id, "file": str(output), "bytes": len(package)})
    else:
        say(package_id)
    return 0

"""Commands about chaincode: check it, pack it, deploy it, and see what a channel has."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gridledger.cli.options import DEFAULT_DIR, Chaincode, Channel, Json, Profile, User
from gridledger.cli.output import note, say, say_fields, say_json, say_table
from gridledger.errors import NotFoundError

if TYPE_CHECKING:
    from gridledger.protocol.config import ChaincodeDefinition, ChannelConfig

_ChaincodeFolder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The chaincode's folder.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    group = typer.Typer(name="chaincode", no_args_is_help=True, help="Pack, deploy and look at chaincode.")
    for command in (check, pack, deploy):
        group.command()(command)
    group.command("list")(list_chaincodes)
    group.command()(info)
    app.add_typer(group, rich_help_panel="Chaincode")


def check(folder: _ChaincodeFolder, *, as_json: Json = False) -> int:
    """Import a chaincode, list its functions, and warn of what may differ from peer to peer.

    Warnings leave the exit code 0; a chaincode that cannot be imported makes it 1.

    \b
    Example:
      gridledger chaincode check hello
    """
    from gridledger.contract.determinism import check_package  # noqa: PLC0415
    from gridledger.contract.loader import load  # noqa: PLC0415
    from gridledger.contract.metadata import build_metadata  # noqa: PLC0415

    sys.dont_write_bytecode = True  # as `simulate`: the folder is the author's
    metadata = build_metadata(load(folder).contracts)
    found = check_package(folder)
    if as_json:
        say_json({"metadata": metadata, "warnings": [warning._asdict() for warning in found]})
        return 0
    _show_functions(metadata)
    for warning in found:
        note(f"warning: {warning}")
    return 0


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
    from gridledger.contract.determinism import check_package  # noqa: PLC0415
    from gridledger.network.deploy import deploy_chaincode  # noqa: PLC0415

    for warning in check_package(folder):
        note(f"warning: {warning}")
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


def list_chaincodes(
    channel: Channel, *, user: User = None, directory: Profile = DEFAULT_DIR, as_json: Json = False
) -> int:
    """List the chaincodes of a channel.

    \b
    Example:
      gridledger chaincode list shard1
    """
    import asyncio  # noqa: PLC0415

    from gridledger.cli.connection import gateway_to  # noqa: PLC0415

    async def work() -> ChannelConfig:
        async with gateway_to(directory, user, channel) as gateway:
            return await gateway.get_network(channel).get_config()

    found = asyncio.run(work()).chaincodes
    if as_json:
        say_json({"chaincodes": {name: definition.to_dict() for name, definition in found.items()}})
    else:
        say_table(
            ("chaincode", "version", "sequence", "policy", "package"),
            [(item.name, item.version, item.sequence, item.policy, item.package) for item in found.values()],
        )
    return 0


def info(
    channel: Channel,
    chaincode: Chaincode,
    *,
    user: User = None,
    directory: Profile = DEFAULT_DIR,
    as_json: Json = False,
) -> int:
    """Show a chaincode's definition on a channel, and its functions with the types of their parameters.

    \b
    Example:
      gridledger chaincode info shard1 kv
    """
    import asyncio  # noqa: PLC0415

    from gridledger.cli.connection import gateway_to  # noqa: PLC0415
    from gridledger.cli.metadata import read_metadata  # noqa: PLC0415

    async def work() -> tuple[ChaincodeDefinition, Any]:
        async with gateway_to(directory, user, channel) as gateway:
            network = gateway.get_network(channel)
            found = (await network.get_config()).chaincodes
            if chaincode not in found:
                raise NotFoundError(f"{channel} has no chaincode {chaincode!r}; it has: {', '.join(found) or 'none'}")
            return found[chaincode], await read_metadata(network.get_contract(chaincode))

    definition, metadata = asyncio.run(work())
    if as_json:
        say_json({"name": chaincode, "channel": channel, **definition.to_dict(), "metadata": metadata})
        return 0
    say_fields({"chaincode": f"{chaincode} on {channel}", **definition.to_dict()})
    say("")
    _show_functions(metadata)
    return 0


def _show_functions(metadata: Any) -> None:
    from gridledger.cli.metadata import functions_of  # noqa: PLC0415

    functions = functions_of(metadata)
    if not functions:
        say("it tells nothing of its functions")
        return
    say_table(
        ("function", "parameters", "returns", "is", "what it does"),
        [
            (
                *(item.name, ", ".join(map(str, item.parameters)), item.returns),
                *("evaluated" if item.readonly else "submitted", item.description),
            )
            for item in functions.values()
        ],
    )

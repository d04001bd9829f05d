"""Commands on single processes of a network that runs, and the one that removes what a network has made."""

from __future__ import annotations

from typing import Annotated

import typer

from gridledger.cli.options import DEFAULT_DIR, Folder, Json, network_folder
from gridledger.cli.output import say, say_json

_PANEL = "Network"

Node = Annotated[str, typer.Argument(metavar="NODE", help="A node's name, such as peer1, or 'ca'.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (start, stop, reset):
        app.command(rich_help_panel=_PANEL)(command)


def start(node: Node, *, directory: Folder = DEFAULT_DIR, as_json: Json = False) -> int:
    """Start a node that was stopped or has ended.

    Returns when the node is healthy.

    \b
    Examples:
      gridledger start peer1
    """
    return _command("start", node, directory, as_json=as_json)


def stop(node: Node, *, directory: Folder = DEFAULT_DIR, as_json: Json = False) -> int:
    """Stop one node of a network that runs; the others go on.

    The node stays stopped until 'gridledger start NODE', or until the network is started again.

    \b
    Examples:
      gridledger stop peer1
    """
    return _command("stop", node, directory, as_json=as_json)


def reset(
    *,
    directory: Folder = DEFAULT_DIR,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> int:
    """Remove all that a stopped network has made: ledgers, keys, certificates, logs.

    What others have put into the folder stays.

    \b
    Examples:
      gridledger reset --yes && gridledger up network-config/no-shard.yaml
    """
    from gridledger.network.reset import check_resettable  # noqa: PLC0415
    from gridledger.network.reset import reset as remove  # noqa: PLC0415

    folder = network_folder(directory)
    check_resettable(folder)
    if not yes:
        typer.confirm(f"Remove the ledgers, keys and logs of the network in {folder.root}?", abort=True, err=True)
    left = remove(folder)
    if as_json:
        say_json({"folder": str(folder.root), "left": [str(path) for path in left]})
    else:
        kept = f"; left there: {', '.join(path.name for path in left)}" if left else ""
        say(f"removed what the network in {directory} had made{kept}")
    return 0


def _command(do: str, node: str, directory: Folder, *, as_json: bool) -> int:
    from gridledger.network.control import ask  # noqa: PLC0415

    said = ask(network_folder(directory), do, node)
    if as_json:
        say_json({"node": node, "did": do})
    else:
        say(said)
    return 0

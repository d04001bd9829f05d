"""Commands on orderers: add, replace, move, remove one; let one in again that lost its disk; go on with a survivor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gridledger.cli.changing import NewPort, Timeout, carry_out
from gridledger.cli.options import DEFAULT_DIR, Folder, Json, network_folder
from gridledger.cli.output import say, say_json
from gridledger.errors import ConflictError, NotFoundError

if TYPE_CHECKING:
    from gridledger.network.changes.changing_network import ChangingNetwork

_PANEL = "Network"

Orderer = Annotated[str, typer.Argument(metavar="NODE", help="An orderer's name, such as orderer1.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    group = typer.Typer(
        name="orderer", no_args_is_help=True, help="Add, replace, move, remove an orderer; let one in again."
    )
    for name, command in (("add", add), ("replace", replace), ("move", move), ("remove", remove)):
        group.command(name)(command)
    group.command("readmit")(readmit)
    group.command("recover")(recover)
    app.add_typer(group, rich_help_panel=_PANEL)


def add(
    node: Orderer,
    *,
    organisation: Annotated[
        str | None,
        typer.Option("--organisation", metavar="ORG", help="Whose it is.", show_default="the first orderer's"),
    ] = None,
    port: NewPort,
    directory: Folder = DEFAULT_DIR,
    timeout_s: Timeout = 300.0,
    as_json: Json = False,
) -> int:
    """Add an orderer to all channels.

    It is enrolled and started, the channels' configurations name it, signed by the admins of the orderers'
    organisations, it catches up and votes. Cut short, it goes on when it is run again.

    \b
    Example:
      gridledger orderer add orderer4 --port 7080
    """

    async def work(network: ChangingNetwork) -> None:
        from gridledger.network.changes.orderers import add_orderer  # noqa: PLC0415
        from gridledger.network.schema import NodeSpec  # noqa: PLC0415

        owner = organisation or network.config.orderers[0].organisation
        await add_orderer(network, NodeSpec(name=node, organisation=owner, port=port))

    return carry_out(work, f"{node} takes part", directory, timeout_s=timeout_s, as_json=as_json)


def replace(
    old: Annotated[str, typer.Argument(metavar="OLD", help="The orderer that goes.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The name of the one that takes its place.")],
    *,
    port: NewPort,
    directory: Folder = DEFAULT_DIR,
    timeout_s: Timeout = 300.0,
    as_json: Json = False,
) -> int:
    """Replace an orderer by a new one of the same organisation, the leader too. The old one may be lost for good.

    One update of each channel names the new one and takes the old one off. Cut short, it goes on when it is run again.

    \b
    Example:
      gridledger orderer replace orderer1 orderer4 --port 7080
    """

    async def work(network: ChangingNetwork) -> None:
        from gridledger.network.changes.orderers import replace_orderer  # noqa: PLC0415

        await replace_orderer(network, old, new, port)

    return carry_out(work, f"{new} has taken the place of {old}", directory, timeout_s=timeout_s, as_json=as_json)


def move(
    node: Orderer,
    *,
    port: NewPort,
    directory: Folder = DEFAULT_DIR,
    timeout_s: Timeout = 300.0,
    as_json: Json = False,
) -> int:
    """Move an orderer to another port.

    What it leads is handed over, the channels' configurations give its new address, and it is started anew there.

    \b
    Example:
      gridledger orderer move orderer1 --port 7250
    """

    async def work(network: ChangingNetwork) -> None:
        from gridledger.network.changes.orderers import move_orderer  # noqa: PLC0415

        await move_orderer(network, node, port)

    return carry_out(work, f"{node} is at port {port}", directory, timeout_s=timeout_s, as_json=as_json)


def remove(node: Orderer, *, directory: Folder = DEFAULT_DIR, timeout_s: Timeout = 300.0, as_json: Json = False) -> int:
    """Take an orderer off all channels, and stop it when it votes no more. Its folder is kept.

    \b
    Example:
      gridledger orderer remove orderer4
    """

    async def work(network: ChangingNetwork) -> None:
        from gridledger.network.changes.orderers import remove_orderer  # noqa: PLC0415

        await remove_orderer(network, node)

    return carry_out(work, f"{node} is removed", directory, timeout_s=timeout_s, as_json=as_json)


def readmit(
    node: Orderer,
    *,
    directory: Folder = DEFAULT_DIR,
    timeout_s: Annotated[float, typer.Option("--timeout", help="Seconds until it is given up.")] = 600.0,
    as_json: Json = False,
) -> int:
    """Let an orderer in again that lost its log, or whose blocks are damaged.

    It must be stopped. Its old incarnation is removed from Raft, and it joins as a new one: as a learner, and as a
    voter once it has caught up. What its data folder held is kept beside it. Cut short at any step it goes on when it
    is run again. A majority of the orderers must be up.

    \b
    Example:
      gridledger orderer readmit orderer2
    """
    import asyncio  # noqa: PLC0415

    from gridledger.network.control import ask  # noqa: PLC0415
    from gridledger.network.lock import is_running  # noqa: PLC0415
    from gridledger.network.readmission import Readmission  # noqa: PLC0415

    folder = network_folder(directory)
    steps: list[str] = []
    tell = steps.append if as_json else say

    async def start() -> None:
        if not is_running(folder):
            tell(f"start {node} now, if it does not run yet; this goes on when it has caught up")
            return
        try:
            await asyncio.to_thread(ask, folder, "start", node)
        except ConflictError:
            return  # it runs already

    asyncio.run(Readmission(folder, node, start=start, say=tell, timeout_s=timeout_s).run())
    if as_json:
        say_json({"node": node, "steps": steps})
    else:
        say(f"{node} takes part again")
    return 0


def recover(
    node: Orderer,
    *,
    directory: Folder = DEFAULT_DIR,
    force: Annotated[bool, typer.Option("--force", help="Do it. Without it nothing is changed.")] = False,
    as_json: Json = False,
) -> int:
    """Go on with one orderer where a majority lost its log for good.

    All orderers must be stopped. The survivor becomes the only one that takes part; the others are let in again by
    'gridledger orderer readmit'. What was acknowledged and is in no log of the survivor's is lost: choose the one with
    the most. Without --force it says what would be kept.

    \b
    Example:
      gridledger orderer recover orderer3 --force
    """
    from gridledger.cli.project import run_service  # noqa: PLC0415

    settings = network_folder(directory).node(node) / "config.json"
    if not settings.exists():
        raise NotFoundError(f"there is no orderer {node!r} in {directory}")
    arguments = ["--config", str(settings), *(["--force"] if force else []), *(["--json"] if as_json else [])]
    return run_service("services.orderer.recovery", arguments, extra=None)

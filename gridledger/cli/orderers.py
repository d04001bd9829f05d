"""Commands for orderers that lost their disk: let one in again, go on with one survivor."""

from __future__ import annotations

from typing import Annotated

import typer

from gridledger.cli.options import DEFAULT_DIR, Folder, Json, network_folder
from gridledger.cli.output import say, say_json
from gridledger.errors import ConflictError, NotFoundError

_PANEL = "Network"

Orderer = Annotated[str, typer.Argument(metavar="NODE", help="An orderer's name, such as orderer1.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    group = typer.Typer(name="orderer", no_args_is_help=True, help="Let an orderer in again; go on with a survivor.")
    group.command("readmit")(readmit)
    group.command("recover")(recover)
    app.add_typer(group, rich_help_panel=_PANEL)


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

"""How commands that change a network are carried out: on its folder, a line for each step."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gridledger.cli.options import network_folder
from gridledger.cli.output import note, say, say_json

if TYPE_CHECKING:
    from gridledger.network.changes.changing_network import ChangingNetwork

Timeout = Annotated[float, typer.Option("--timeout", help="Seconds until what is waited for is given up.")]
NewPort = Annotated[int, typer.Option("--port", metavar="PORT", min=1, max=65535, help="Where it listens.")]


def carry_out(
    work: Callable[[ChangingNetwork], Awaitable[None]],
    done: str,
    directory: Path,
    *,
    timeout_s: float,
    as_json: bool,
    quiet: bool = False,
) -> int:
    """Change the network in a folder; ``done`` is what is said at the end. With ``as_json`` one document has all. Where
    ``quiet`` the steps are notes, and the result is still to come."""
    import asyncio  # noqa: PLC0415

    from gridledger.network.changes.changing_network import ChangingNetwork, check_network  # noqa: PLC0415
    from gridledger.network.lock import changing  # noqa: PLC0415

    steps: list[str] = []
    folder = network_folder(directory)
    check_network(folder)

    async def run() -> None:
        await work(network)

    with changing(folder):
        tell = note if quiet else steps.append if as_json else say
        network = ChangingNetwork(folder, tell, timeout_s=timeout_s)
        asyncio.run(run())
    if quiet:
        return 0
    if as_json:
        say_json({"network": network.config.name, "folder": str(folder.root), "steps": steps, "done": done})
    else:
        say(done)
    return 0

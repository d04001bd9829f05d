"""Commands about the voltage-stability application: on which channel a group runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gridledger.cli.options import DEFAULT_DIR, Channel, Folder, Json, User, network_folder
from gridledger.cli.output import say, say_json
from gridledger.errors import NotFoundError

if TYPE_CHECKING:
    from gridledger.network.dvs_groups import GroupPlace

_PANEL = "Network"


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    group = typer.Typer(name="dvs", no_args_is_help=True, help="Say where groups of the grid run.")
    group.command("move-group")(move_group)
    app.add_typer(group, rich_help_panel=_PANEL)


def move_group(
    group: Annotated[str, typer.Argument(metavar="GROUP", help="A single group's id, such as 2.")],
    channel: Channel,
    *,
    planner: Annotated[
        str | None,
        typer.Option(
            "--planner",
            metavar="MSP",
            help="Whose planner's records count on a channel without groups.",
            show_default="the first peer's",
        ),
    ] = None,
    aggregators: Annotated[
        str,
        typer.Option(
            "--aggregators",
            metavar="MSP,MSP",
            help="Whose aggregators may act on a channel without groups.",
            show_default="all that are on the main channel too",
        ),
    ] = "",
    user: User = None,
    directory: Folder = DEFAULT_DIR,
    as_json: Json = False,
) -> int:
    """Let a group of the grid run on another channel.

    Changes the network's description and its connection profiles. A feeder that runs follows within a second: it moves
    the group, with what is left of its reactive power, while the frames of the others go on.

    \b
    Examples:
      gridledger dvs move-group 2 shard4
      gridledger dvs move-group 2 shard4 --planner Org7MSP --aggregators Org7MSP,Org3MSP
    """
    import asyncio  # noqa: PLC0415

    from gridledger.network.descriptions import network_now  # noqa: PLC0415
    from gridledger.network.dvs_groups import place_group, write_applications  # noqa: PLC0415
    from gridledger.network.lock import changing  # noqa: PLC0415

    folder = network_folder(directory)
    network_now(folder)  # that there is one
    named = [mspid.strip() for mspid in aggregators.split(",") if mspid.strip()]
    with changing(folder):
        config = network_now(folder)
        changed, place = place_group(config, group, channel, planner, named)
        owner = config.peer(config.channels[channel].peers[0]).organisation
        asyncio.run(_check_chaincode(folder.root, place, user or f"{owner}/admin"))
        write_applications(folder, changed)
    if as_json:
        say_json(
            {
                "group": group,
                "channel": channel,
                "before": place.before,
                "planner": place.planner,
                "aggregators": list(place.aggregators),
            }
        )
    elif place.before == channel:
        say(f"group {group} runs on {channel} already")
    else:
        say(f"group {group} runs on {channel} from now on, not on {place.before}")
    return 0


async def _check_chaincode(directory: Path, place: GroupPlace, user: str) -> None:
    """Raise NotFoundError where the channel's peers do not have the application's chaincode."""
    from gridledger.cli.connection import gateway_to  # noqa: PLC0415

    async with gateway_to(directory, user, place.channel) as gateway:
        found = (await gateway.get_network(place.channel).get_config()).chaincodes
    if place.chaincode not in found:
        raise NotFoundError(
            f"{place.channel} has no chaincode {place.chaincode!r}: deploy it there first (gridledger chaincode deploy)"
        )

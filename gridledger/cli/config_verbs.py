"""Commands that change one thing of a channel's configuration: a policy, an ACL, limits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gridledger.cli.channel_updates import outcome, tell_behind, tell_update
from gridledger.cli.options import DEFAULT_DIR, Channel, Json, Profile
from gridledger.cli.output import note, say, say_json

if TYPE_CHECKING:
    from gridledger.protocol.config import ChannelConfig

_PANEL = "Ledger"

Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        metavar="FILE",
        help="Write the update into a file for others to sign, and submit nothing.",
        show_default="submit it",
    ),
]
Signer = Annotated[
    str | None,
    typer.Option(
        "--user",
        metavar="ORG/NAME",
        help="Who asks and signs, alone.",
        show_default="all admins that must sign and whose keys are in the folder",
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    for name, what, command in (
        ("policy", "Change a policy of a channel.", set_policy),
        ("acl", "Change which policy admits to what on a channel.", set_acl),
        ("limits", "Change a channel's bounds.", set_limits),
    ):
        group = group_of(name, what)
        group.command("set")(command)
        app.add_typer(group, rich_help_panel=_PANEL)


def group_of(name: str, what: str) -> typer.Typer:
    """A group of commands, though it have one only: without a callback that would stand for the group."""
    group = typer.Typer(name=name, no_args_is_help=True, help=what)
    group.callback()(_no_options)
    return group


def _no_options() -> None:
    """The group has none."""


def set_policy(
    channel: Channel,
    path: Annotated[str, typer.Argument(metavar="PATH", help="The policy's path.")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The policy.")],
    *,
    output: Output = None,
    user: Signer = None,
    directory: Profile = DEFAULT_DIR,
    as_json: Json = False,
) -> int:
    """Set a policy of a channel, of one of its groups, or of one of its organisations.

    \b
    Examples:
      gridledger policy set shard1 /Channel/Application/Admins "MAJORITY Admins"
      gridledger policy set shard1 /Channel/Application/Org1MSP/Readers "'Org1MSP.member'"
    """
    from gridledger.network.config_edits import with_policy  # noqa: PLC0415

    return change(channel, lambda current: with_policy(current, path, text), output, user, directory, as_json=as_json)


def set_acl(
    channel: Channel,
    resource: Annotated[str, typer.Argument(metavar="RESOURCE", help="What is asked for, such as event/Block.")],
    path: Annotated[str, typer.Argument(metavar="PATH", help="The path of the policy that is to admit to it.")],
    *,
    output: Output = None,
    user: Signer = None,
    directory: Profile = DEFAULT_DIR,
    as_json: Json = False,
) -> int:
    """Set which policy admits to a resource. The resource's default policy takes its entry away.

    \b
    Example:
      gridledger acl set shard1 event/Block /Channel/Application/Readers
    """
    from gridledger.network.config_edits import with_acl  # noqa: PLC0415

    return change(channel, lambda current: with_acl(current, resource, path), output, user, directory, as_json=as_json)


def set_limits(
    channel: Channel,
    values: Annotated[list[str], typer.Argument(metavar="NAME=VALUE ...", help="Bounds of 'limits' and 'batch'.")],
    *,
    output: Output = None,
    user: Signer = None,
    directory: Profile = DEFAULT_DIR,
    as_json: Json = False,
) -> int:
    """Set bounds on a channel's transactions, updates and blocks; 'gridledger channel info' shows them.

    \b
    Example:
      gridledger limits set shard1 max_message_count=1000 batch_timeout_ms=500
    """
    from gridledger.network.config_edits import read_limits, with_limits  # noqa: PLC0415

    bounds = read_limits(values)
    return change(channel, lambda current: with_limits(current, bounds), output, user, directory, as_json=as_json)


def change(
    channel: str,
    edit: Callable[[ChannelConfig], ChannelConfig],
    output: Path | None,
    user: str | None,
    directory: Path,
    *,
    as_json: bool,
) -> int:
    """Change a channel's configuration, or write the update that does into ``output``; say what became of it."""
    import asyncio  # noqa: PLC0415

    from gridledger.client.profile import load_profile  # noqa: PLC0415
    from gridledger.network.config_changes import change_config, draft_update  # noqa: PLC0415
    from gridledger.network.update_files import write_update  # noqa: PLC0415

    profile = load_profile(directory)
    if output is not None:
        draft = asyncio.run(draft_update(profile, channel, edit, user=user))
        if draft.signed is None:
            note(f"{channel} has that already: nothing is written")
            return 0
        write_update(output, draft.signed.update)
        tell_update(output, draft.current, draft.signed.update, as_json=as_json)
        return 0
    changed = asyncio.run(change_config(profile, channel, edit, user=user))
    if as_json:
        say_json(outcome(changed))
        return 0
    if not changed.changed:
        say(f"{channel} has that already: configuration {changed.config.sequence} stays")
        return 0
    say(f"{channel} has configuration {changed.config.sequence}, signed by {', '.join(changed.signers)}")
    tell_behind(changed)
    return 0

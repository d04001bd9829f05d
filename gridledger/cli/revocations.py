"""The command that makes revocations known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gridledger.cli.channel_updates import outcome, tell_behind
from gridledger.cli.config_verbs import Output, change, group_of
from gridledger.cli.options import DEFAULT_DIR, Json, Profile
from gridledger.cli.output import note, say, say_json
from gridledger.command_line import EXIT_FAILED
from gridledger.errors import InputError

if TYPE_CHECKING:
    from gridledger.network.revoking import Published


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    group = group_of("crl", "Make an organisation's revocations known.")
    group.command()(publish)
    app.add_typer(group, rich_help_panel="Identities")


def publish(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Revocation lists (PEM).")] = None,
    *,
    organisation: Annotated[str, typer.Option("--organisation", metavar="ORG", help="Whose lists, such as Org1.")],
    from_ca: Annotated[
        bool, typer.Option("--from-ca", help="Take the newest list from the organisation's CA.")
    ] = False,
    channel: Annotated[
        list[str] | None,
        typer.Option("--channel", metavar="CHANNEL", help="A channel; may be repeated.", show_default="all of its own"),
    ] = None,
    output: Output = None,
    user: Annotated[
        str | None,
        typer.Option(
            "--user", metavar="ORG/NAME", help="Who brings and signs.", show_default="the organisation's admin"
        ),
    ] = None,
    directory: Profile = DEFAULT_DIR,
    as_json: Json = False,
) -> int:
    """Bring an organisation's revocation list to its own nodes, and into its entry on each of its channels.

    At the nodes it holds at once: who is revoked is no admin there any more. With --output nothing is brought; the
    update of the one channel that --channel names is written. The exit code is 1 where a node or a channel does not
    have the list; run it again.

    \b
    Examples:
      gridledger crl publish --from-ca --organisation Org1
      gridledger crl publish org1.crl --organisation Org1 --user Org1/boss
    """
    import asyncio  # noqa: PLC0415

    from gridledger.client.ca import CAClient  # noqa: PLC0415
    from gridledger.client.profile import load_profile  # noqa: PLC0415
    from gridledger.identity.signer import SigningIdentity  # noqa: PLC0415
    from gridledger.network.revoking import entry_with_lists, publish_lists  # noqa: PLC0415

    if (file is None) != from_ca:
        raise InputError("give either the file of a revocation list or --from-ca")
    profile = load_profile(directory)
    if file is None:
        pem = asyncio.run(CAClient(profile.ca.url, organisation, profile.ca.tls_root).crl())
    else:
        pem = _read(file)
    if output is not None:
        if not channel or len(channel) != 1:
            raise InputError("an update is of one channel: name it with --channel")
        mspid = SigningIdentity.load(profile.user_folder(user or f"{organisation}/admin")).mspid
        return change(channel[0], entry_with_lists(mspid, pem), output, user, directory, as_json=as_json)
    published = asyncio.run(publish_lists(profile, organisation, pem, channels=channel or (), user=user))
    _tell(published, as_json=as_json)
    return EXIT_FAILED if published.failed else 0


def _read(file: Path) -> str:
    from gridledger.identity.revocation import MAX_LIST_BYTES  # noqa: PLC0415

    with file.open("rb") as opened:
        content = opened.read(MAX_LIST_BYTES + 1)
    if len(content) > MAX_LIST_BYTES or not content.isascii():
        raise InputError(f"{file} is no PEM text of at most {MAX_LIST_BYTES} bytes")
    return content.decode("ascii")


def _tell(published: Published, *, as_json: bool) -> None:
    if as_json:
        failed = {name: error.to_dict() for name, error in published.failed.items()}
        channels = {name: outcome(changed) for name, changed in published.channels.items()}
        say_json({"nodes": published.nodes, "channels": channels, "failed": failed})
        return
    for name in published.nodes:
        say(f"{name} has the list")
    for name, changed in published.channels.items():
        if changed.changed:
            say(
                f"{name} has it from configuration {changed.config.sequence} on, signed by {', '.join(changed.signers)}"
            )
        else:
            say(f"{name} has it already")
        tell_behind(changed)
    for name, error in published.failed.items():
        note(f"{name} does not have it: {error.message}")

"""Commands about identities."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from gridledger.cli.options import DEFAULT_DIR, Json, Profile
from gridledger.cli.output import say, say_json
from gridledger.errors import SettingsError

_PANEL = "Identities"


class Role(StrEnum):
    """What an identity may be."""

    CLIENT = "client"
    ADMIN = "admin"
    PEER = "peer"
    ORDERER = "orderer"


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command(rich_help_panel=_PANEL)(enroll)


def enroll(
    organisation: Annotated[str, typer.Argument(help="The organisation's name, such as Org1.")],
    user: Annotated[str, typer.Argument(help="The identity's name.")],
    *,
    role: Annotated[Role, typer.Option("--role", help="What the identity is.")] = Role.CLIENT,
    attribute: Annotated[
        list[str] | None,
        typer.Option("--attribute", metavar="NAME=VALUE", help="An attribute of the certificate; may be repeated."),
    ] = None,
    directory: Profile = DEFAULT_DIR,
    as_json: Json = False,
) -> int:
    """Register an identity with the CA of a running network, enrol it, and print its folder.

    \b
    Examples:
      gridledger enroll Org1 alice
      gridledger enroll Org1 agg1 --attribute grid.role=aggregator --attribute grid.group=1
    """
    import asyncio  # noqa: PLC0415

    from gridledger.client.profile import load_profile  # noqa: PLC0415
    from gridledger.network.users import enroll_user  # noqa: PLC0415

    attributes = dict(_name_and_value(text) for text in attribute or ())
    profile = load_profile(directory)
    identity = asyncio.run(enroll_user(profile, organisation, user, role.value, attributes))
    folder = profile.user(organisation, user)
    if as_json:
        say_json({"name": identity.name, "organisation": organisation, "mspid": identity.mspid, "folder": str(folder)})
    else:
        say(str(folder))
    return 0


def _name_and_value(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise SettingsError(f"--attribute takes NAME=VALUE, not {text!r}")
    return name, value

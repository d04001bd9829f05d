"""Commands about identities: enrol one, show those that the network's folder holds."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from gridledger.cli.options import DEFAULT_DIR, Json, Profile
from gridledger.cli.output import say, say_fields, say_json, say_table, time_text
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
    group = typer.Typer(name="identity", no_args_is_help=True, help="List the users of the network's folder, show one.")
    group.command("list")(list_identities)
    group.command()(show)
    app.add_typer(group, rich_help_panel=_PANEL)


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


def list_identities(*, directory: Profile = DEFAULT_DIR, as_json: Json = False) -> int:
    """List the users whose identity is in the network's folder. The first one is whom commands use by default.

    \b
    Example:
      gridledger identity list
    """
    from gridledger.client.profile import load_profile  # noqa: PLC0415

    profile = load_profile(directory)
    users = [_described(user, profile.user_folder(user)) for user in profile.users()]
    if as_json:
        say_json({"identities": users})
    else:
        say_table(
            ("user", "MSP", "role", "valid until"),
            [(item["user"], item["mspid"], item["role"], time_text(item["not_after"])) for item in users],
        )
    return 0


def show(
    user: Annotated[
        str | None,
        typer.Argument(metavar="ORG/NAME", help="Such as Org1/alice.", show_default="the network's first user"),
    ] = None,
    *,
    directory: Profile = DEFAULT_DIR,
    as_json: Json = False,
) -> int:
    """Show an identity: its MSP, role, attributes and certificate.

    \b
    Example:
      gridledger identity show Org1/alice
    """
    from gridledger.client.profile import load_profile  # noqa: PLC0415

    profile = load_profile(directory)
    folder = profile.user_folder(user)
    found = _described(f"{folder.parents[1].name}/{folder.name}", folder)
    if as_json:
        say_json(found)
        return 0
    attributes = found.pop("attributes")
    found["valid"] = f"{time_text(found.pop('not_before'))} to {time_text(found.pop('not_after'))}"
    say_fields({**found, **{f"attribute {name}": value for name, value in attributes.items()}})
    return 0


def _described(user: str, folder: Path) -> dict[str, Any]:
    from gridledger.identity.msp import ROLES  # noqa: PLC0415
    from gridledger.identity.signer import SigningIdentity  # noqa: PLC0415

    identity = SigningIdentity.load(folder)
    certificate = identity.certificate
    return {
        "user": user,
        "name": identity.name,
        "mspid": identity.mspid,
        "role": " ".join(sorted(certificate.organisational_units & ROLES)),
        "attributes": dict(certificate.attributes),
        "serial": f"{certificate.serial:x}",
        "fingerprint": identity.fingerprint,
        "not_before": certificate.not_before_us,
        "not_after": certificate.not_after_us,
        "folder": str(folder),
    }


def _name_and_value(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise SettingsError(f"--attribute takes NAME=VALUE, not {text!r}")
    return name, value

"""Options that several commands have, and what they stand for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from gridledger.errors import SettingsError

if TYPE_CHECKING:
    from gridledger.network.folder import NetworkFolder

# As gridledger.client.profile has them, which help need not import.
PROFILE_VARIABLE: Final = "GRIDLEDGER_PROFILE"
DEFAULT_DIR: Final = Path("out/network")


def complete_channel(ctx: typer.Context, incomplete: str) -> list[str]:
    """The network's channels that begin so, for the shell."""
    channels = _profile_of(ctx)[1].get("channels")
    return sorted(name for name in channels if name.startswith(incomplete)) if isinstance(channels, dict) else []


def complete_user(ctx: typer.Context, incomplete: str) -> list[str]:
    """The users in the network's folder that begin so, for the shell."""
    folder, profile = _profile_of(ctx)
    homes = (folder / str(profile.get("organisations", "organisations"))).glob("*/users/*")
    return sorted(user for user in (f"{home.parts[-3]}/{home.name}" for home in homes) if user.startswith(incomplete))


def _profile_of(ctx: typer.Context) -> tuple[Path, dict[str, Any]]:
    """The profile's folder and the profile, which is not checked: the shell waits for an answer."""
    import json  # noqa: PLC0415

    place = Path(ctx.params.get("directory") or os.environ.get(PROFILE_VARIABLE) or DEFAULT_DIR)
    folder, file = (place, place / "connection.json") if place.is_dir() else (place.parent, place)
    try:
        profile = json.loads(file.read_bytes())
    except (OSError, ValueError):
        profile = None
    return folder, profile if isinstance(profile, dict) else {}


Config = Annotated[
    Path | None,
    typer.Argument(
        metavar="[CONFIG]",
        help="The network's description, network-config/....yaml.",
        show_default="what the folder holds",
    ),
]

Folder = Annotated[
    Path,
    typer.Option("--dir", metavar="FOLDER", envvar=PROFILE_VARIABLE, help="The network's folder."),
]

Profile = Annotated[
    Path,
    typer.Option(
        "--dir",
        metavar="FOLDER",
        envvar=PROFILE_VARIABLE,
        help="The network's folder, or the file of its connection profile.",
    ),
]

User = Annotated[
    str | None,
    typer.Option(
        "--user",
        metavar="ORG/NAME",
        help="As whom, such as Org1/alice.",
        show_default="the network's first user",
        autocompletion=complete_user,
    ),
]

Channel = Annotated[str, typer.Argument(metavar="CHANNEL", help="The channel.", autocompletion=complete_channel)]

Chaincode = Annotated[str, typer.Argument(metavar="CHAINCODE", help="The chaincode's name on the channel.")]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, for programs.")]


def network_folder(path: Path) -> NetworkFolder:
    """The folder that a command works on; :class:`SettingsError` where ``path`` is a file."""
    from gridledger.network.folder import NetworkFolder  # noqa: PLC0415

    if path.is_file():
        raise SettingsError(f"{path} is a file; this command needs the network's folder: give it with --dir")
    return NetworkFolder(path.resolve())

"""Options that several commands have, and what they stand for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gridledger.errors import SettingsError

if TYPE_CHECKING:
    from gridledger.network.folder import NetworkFolder

# As gridledger.client.profile has them, which help need not import.
PROFILE_VARIABLE: Final = "GRIDLEDGER_PROFILE"
DEFAULT_DIR: Final = Path("out/network")

Config = Annotated[Path, typer.Argument(metavar="CONFIG", help="The network's description, network-config/....yaml.")]

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

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, for programs.")]


def network_folder(path: Path) -> NetworkFolder:
    """The folder that a command works on; :class:`SettingsError` where ``path`` is a file."""
    from gridledger.network.folder import NetworkFolder  # noqa: PLC0415

    if path.is_file():
        raise SettingsError(f"{path} is a file; this command needs the network's folder: give it with --dir")
    return NetworkFolder(path.resolve())

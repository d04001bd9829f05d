"""Removing what a network has made: ledgers, keys, logs. What others have put into its folder stays."""

from __future__ import annotations

import shutil
from pathlib import Path

from gridledger.errors import ConflictError, NotFoundError
from gridledger.network.folder import NetworkFolder
from gridledger.network.lock import is_running, locked


def check_resettable(folder: NetworkFolder) -> None:
    """:class:`NotFoundError` where it is no network's folder, :class:`ConflictError` while the network runs."""
    if not folder.config.is_file():
        raise NotFoundError(f"{folder.root} is not the folder of a network: it has no {folder.config.name}")
    if is_running(folder):
        raise ConflictError(f"the network in {folder.root} is running; stop it first (gridledger down)")


def reset(folder: NetworkFolder) -> list[Path]:
    """Remove all that the network has made; what else lies in its folder. Raises as :func:`check_resettable` does.

    A reset that was interrupted can be repeated: the description, by which the folder is known, is removed last.
    """
    check_resettable(folder)
    with locked(folder):
        for path in folder.everything_made():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    left = sorted(folder.root.iterdir())
    if not left and not folder.root.is_symlink():
        folder.root.rmdir()
    return left

"""The two descriptions in a network's folder: the one that it was made for, and the network as it now is.

``gridledger up CONFIG`` compares CONFIG with the former and runs the latter, which each change of the network rewrites.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from gridledger import jsontext
from gridledger.errors import GridLedgerError, SettingsError
from gridledger.files import write_atomically
from gridledger.network.folder import NetworkFolder
from gridledger.network.schema import NetworkConfig


def network_now(folder: NetworkFolder) -> NetworkConfig:
    """The network as it now is; :class:`SettingsError` where the folder holds none."""
    return _read(folder.config)


def made_for(folder: NetworkFolder) -> NetworkConfig:
    """The description that the folder was made for; :class:`SettingsError` where it holds none."""
    return _read(folder.description)


def write_network(folder: NetworkFolder, config: NetworkConfig) -> None:
    """Keep the network as it now is."""
    write_atomically(folder.config, _text(config))


def write_both(folder: NetworkFolder, config: NetworkConfig) -> None:
    """Begin a folder: the network is what it is made for."""
    write_atomically(folder.description, _text(config))
    write_network(folder, config)


def to_run(config: NetworkConfig, folder: NetworkFolder) -> NetworkConfig:
    """The network that is run where ``config`` is asked for: as it now is in a folder that is complete.

    What may differ from one start to the next, ``on_exit`` and companions, is that of ``config``. Raises
    :class:`SettingsError` where the folder was made for another network.
    """
    if not folder.connection.exists():
        return config
    try:
        before = made_for(folder)
    except SettingsError:
        before = None
    if before is None or _lasting(before) != _lasting(config):
        raise SettingsError(
            f"{folder.root} holds a network of another description; take it down and remove the folder to begin "
            "anew, choose another with --dir, or run what it holds: gridledger up without a description"
        )
    present = network_now(folder)
    changed = present.model_copy(update={"on_exit": config.on_exit, "companions": config.companions})
    return NetworkConfig.model_validate(changed.model_dump(mode="json"))


def note_start(config: NetworkConfig, folder: NetworkFolder) -> None:
    """Keep what of ``config`` may differ from one start to the next. Raises as :func:`to_run` does."""
    present = to_run(config, folder)
    if made_for(folder) != config:
        write_atomically(folder.description, _text(config))
    if network_now(folder) != present:
        write_network(folder, present)


def _lasting(config: NetworkConfig) -> NetworkConfig:
    """The description without what may differ from one start to the next."""
    return config.model_copy(update={"on_exit": "leave", "companions": ()})


def _text(config: NetworkConfig) -> bytes:
    return jsontext.dumps(config.model_dump(mode="json"))


def _read(path: Path) -> NetworkConfig:
    try:
        return NetworkConfig.model_validate(jsontext.loads(path.read_bytes()))
    except OSError:
        raise SettingsError(
            f"{path.parent} holds no network: there is no {path.name}; give a description (gridledger up CONFIG)"
        ) from None
    except (GridLedgerError, ValidationError) as error:
        raise SettingsError(f"the description {path} cannot be used: {error}") from None

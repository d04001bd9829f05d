"""The connection profile: what a client needs to know of a network, in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gridledger import jsontext
from gridledger.errors import GridLedgerError, SettingsError
from gridledger.settings import SettingsPart


class NodeEntry(SettingsPart):
    """A node: where it is reached and whose it is."""

    url: str
    organisation: str
    mspid: str


class ChannelEntry(SettingsPart):
    """A channel's peers, by name."""

    peers: tuple[str, ...]


class CAEntry(SettingsPart):
    """The CA service, the root of its TLS certificate (a path), and the organisations it hosts."""

    url: str
    tls_root: Path
    organisations: tuple[str, ...]


class ConnectionProfile(SettingsPart):
    """Nodes, channels, CA and applications of a network. Paths are absolute once loaded."""

    name: str
    channels: dict[str, ChannelEntry]
    peers: dict[str, NodeEntry]
    orderers: dict[str, NodeEntry]
    ca: CAEntry
    roots: Path
    organisations: Path
    applications: dict[str, dict[str, Any]]

    def peer_of(self, channel: str, index: int = 0) -> NodeEntry:
        """The ``index``-th peer of a channel, round and round."""
        names = self.channels[channel].peers
        return self.peers[names[index % len(names)]]

    def user(self, organisation: str, name: str) -> Path:
        """The folder of a user's identity."""
        return self.organisations / organisation / "users" / name


def load_connection(path: Path) -> ConnectionProfile:
    """Read a connection profile (or the one in a network's folder); :class:`SettingsError` where that cannot be."""
    file = path / "connection.json" if path.is_dir() else path
    try:
        profile = ConnectionProfile.model_validate(jsontext.loads(file.read_bytes()))
    except OSError:
        raise SettingsError(f"there is no connection profile {file}: start the network first (gridledger up)") from None
    except (GridLedgerError, ValidationError) as error:
        raise SettingsError(f"the connection profile {file} cannot be used: {error}") from None
    folder = file.resolve().parent
    ca = profile.ca.model_copy(update={"tls_root": folder / profile.ca.tls_root})
    paths = {"roots": folder / profile.roots, "organisations": folder / profile.organisations, "ca": ca}
    return profile.model_copy(update=paths)

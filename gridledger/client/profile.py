"""The connection profile: what a client needs to know of a network, in one file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from gridledger import jsontext
from gridledger.errors import GridLedgerError, NotFoundError, SettingsError
from gridledger.settings import SettingsPart
from gridledger.transport.pins import Dialled, Pin

PROFILE_VARIABLE = "GRIDLEDGER_PROFILE"
"""The environment's name for the profile, or a network's folder, that is used where a program names none."""

DEFAULT_PROFILE = Path("out/network")
REGISTRAR = "registrar"
"""The identity with which an organisation registers others. It is no user of the ledger."""


class NodeEntry(SettingsPart):
    """A node: where it is reached and whose it is.

    ``certificates``: the fingerprints of the certificates that it may show; without any, one of its organisation for
    its role will do.
    """

    url: str
    organisation: str
    mspid: str
    certificates: tuple[str, ...] = ()


class ChannelEntry(SettingsPart):
    """A channel's peers, by name."""

    peers: tuple[str, ...]


class CAEntry(SettingsPart):
    """The CA service, the root of its TLS certificate (a path), and the organisations it hosts."""

    url: str
    tls_root: Path
    organisations: tuple[str, ...]


class ConnectionProfile(SettingsPart):
    """Nodes, channels, CA and applications of a network. Paths are absolute once loaded.

    ``default_user`` is the user of a program that names none, as ``Org1/alice``. ``organisation_roots`` are each
    organisation's own root certificates (PEM) by MSP id: a node is taken for one of its organisation by these alone,
    and by the bundle ``roots`` where the profile, made by an earlier version, has none of its organisation.
    """

    name: str
    channels: dict[str, ChannelEntry]
    peers: dict[str, NodeEntry]
    orderers: dict[str, NodeEntry]
    ca: CAEntry
    roots: Path
    organisation_roots: dict[str, str] = Field(default_factory=dict)
    organisations: Path
    applications: dict[str, dict[str, Any]]
    default_user: str | None = None

    def peer_of(self, channel: str, index: int = 0) -> NodeEntry:
        """The ``index``-th peer of a channel, round and round."""
        names = self.channels[channel].peers
        return self.peers[names[index % len(names)]]

    def way_to(self, name: str) -> Dialled:
        """How a peer or an orderer is reached, and what its certificate must be; KeyError where there is none such.

        Raises :class:`SettingsError` where a file of roots cannot be read.
        """
        entry, role = (self.peers[name], "peer") if name in self.peers else (self.orderers[name], "orderer")
        own = self.organisation_roots.get(entry.mspid)
        pin = Pin(name, frozenset(entry.certificates)) if entry.certificates else Pin(name, role=role)
        mspid = entry.mspid if own or entry.certificates else ""
        return Dialled(entry.url, own or read_roots(self.roots), pin, mspid)

    def user(self, organisation: str, name: str) -> Path:
        """The folder of a user's identity."""
        return self.organisations / organisation / "users" / name

    def users(self) -> list[str]:
        """The users whose identity is in the network's folder, as ``Org1/alice``: by organisation, then by name."""
        found = []
        for organisation in self._organisation_names():
            homes = self.organisations / organisation / "users"
            names = sorted(home.name for home in homes.glob("*") if (home / "cert.pem").is_file())
            found += [f"{organisation}/{name}" for name in names if name != REGISTRAR]
        return found

    def user_folder(self, user: str | None = None) -> Path:
        """The folder of ``user`` (as ``Org1/alice``), or of the network's first user.

        The first user is ``default_user``, or an admin of the first organisation that has a peer. Raises
        :class:`NotFoundError`, which lists the users that there are.
        """
        known = self.users()
        wanted = user or self.default_user or self._first_of(known)
        if wanted is None:
            raise NotFoundError(f"there are no users in {self.organisations}: enroll one (gridledger enroll)")
        if wanted not in known:
            raise NotFoundError(f"there is no user {wanted!r}; there are: {', '.join(known) or 'none'}")
        organisation, _, name = wanted.partition("/")
        return self.user(organisation, name)

    def peers_for(self, mspid: str) -> list[str]:
        """The names of all peers, those of the organisation ``mspid`` first."""
        return sorted(self.peers, key=lambda name: self.peers[name].mspid != mspid)

    def _organisation_names(self) -> list[str]:
        """Those with a peer first, each in the profile's order."""
        owners = {peer.organisation for peer in self.peers.values()}
        return sorted(self.ca.organisations, key=lambda name: name not in owners)

    def _first_of(self, known: list[str]) -> str | None:
        for organisation in self._organisation_names():
            own = [user for user in known if user.startswith(f"{organisation}/")]
            if own:
                admin = f"{organisation}/admin"
                return admin if admin in own else own[0]
        return None


def profile_path(given: str | Path | None = None) -> Path:
    """Where the profile is: as ``given``, or as the environment's GRIDLEDGER_PROFILE says, or out/network."""
    return Path(given or os.environ.get(PROFILE_VARIABLE) or DEFAULT_PROFILE)


def load_profile(path: str | Path | None = None) -> ConnectionProfile:
    """Read a connection profile, or the one in a network's folder. Without a path: see :func:`profile_path`.

    Raises :class:`SettingsError` where that cannot be.
    """
    place = profile_path(path)
    file = place / "connection.json" if place.is_dir() else place
    try:
        profile = ConnectionProfile.model_validate(jsontext.loads(file.read_bytes()))
    except OSError:
        named = f", which {PROFILE_VARIABLE} names" if os.environ.get(PROFILE_VARIABLE) == str(place) else ""
        raise SettingsError(
            f"there is no connection profile {file}{named}: start the network first (gridledger up)"
        ) from None
    except (GridLedgerError, ValidationError) as error:
        raise SettingsError(f"the connection profile {file} cannot be used: {error}") from None
    folder = file.resolve().parent
    ca = profile.ca.model_copy(update={"tls_root": folder / profile.ca.tls_root})
    paths = {"roots": folder / profile.roots, "organisations": folder / profile.organisations, "ca": ca}
    return profile.model_copy(update=paths)


def read_roots(roots: str | Path) -> str:
    """Root certificates as PEM, from a text or a file; :class:`SettingsError` where the file cannot be read."""
    if isinstance(roots, str) and roots.lstrip().startswith("-----BEGIN"):
        return roots
    try:
        return Path(roots).read_text(encoding="ascii")
    except OSError as error:
        raise SettingsError(f"cannot read the root certificates {roots}: {error.strerror}") from None

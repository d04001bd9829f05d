"""The runtime folder of a network: which file lies where. Everything that a network makes lies below it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class NetworkFolder:
    """Paths below the folder of one network (``out/network`` by default)."""

    root: Path

    @property
    def config(self) -> Path:
        """The network as it now is: a network config (JSON), which each change of the network rewrites."""
        return self.root / "network.json"

    @property
    def description(self) -> Path:
        """The network config that the folder was made for (JSON)."""
        return self.root / "description.json"

    @property
    def format(self) -> Path:
        """The number of the folder's format (JSON)."""
        return self.root / "format.json"

    @property
    def connection(self) -> Path:
        """The connection profile. Written last: a folder that has one is complete."""
        return self.root / "connection.json"

    @property
    def host_connection(self) -> Path:
        """The connection profile for the machine that publishes the ports of nodes which have hosts of their own."""
        return self.root / "connection-host.json"

    @property
    def roots(self) -> Path:
        """Root certificates of all organisations, a PEM bundle."""
        return self.root / "roots.pem"

    @property
    def channels(self) -> Path:
        """Folder of the genesis blocks."""
        return self.root / "channels"

    @property
    def packages(self) -> Path:
        """Folder of the chaincode packages of the genesis blocks."""
        return self.root / "packages"

    @property
    def logs(self) -> Path:
        """Folder of the processes' logs."""
        return self.root / "logs"

    @property
    def supervisor_lock(self) -> Path:
        """Held locked by the supervisor while it runs; holds its process id."""
        return self.root / "supervisor.lock"

    @property
    def changes_lock(self) -> Path:
        """Held locked by a command that changes the network."""
        return self.root / "changes.lock"

    @property
    def control_socket(self) -> Path:
        """Where the supervisor takes commands while it runs."""
        return self.root / "control.sock"

    @property
    def ca(self) -> Path:
        """The CA service's folder."""
        return self.root / "ca"

    @property
    def enrolment(self) -> Path:
        """What the CA service and those who enrol first share: the registrars' secrets, the root of the CA's TLS."""
        return self.root / "enrolment"

    @property
    def ca_tls_root(self) -> Path:
        """The root of the CA service's own TLS certificate, written by the service."""
        return self.enrolment / "tls-root.pem"

    @property
    def tls_root(self) -> Path:
        """The same, for clients."""
        return self.root / "tls-root.pem"

    def everything_made(self) -> list[Path]:
        """All that a network makes in its folder: the connection profile first, the network's description last."""
        profiles = (
            self.connection,
            self.host_connection,
            self.roots,
            self.tls_root,
            self.format,
            self.description,
        )
        parts = ("nodes", "organisations", "companions")
        folders = (
            self.ca,
            self.enrolment,
            self.channels,
            self.packages,
            self.logs,
            *(self.root / part for part in parts),
        )
        return [*profiles, *folders, self.control_socket, self.changes_lock, self.supervisor_lock, self.config]

    def node(self, name: str) -> Path:
        """An orderer's or peer's folder. It holds all that the node needs, so that it can be carried elsewhere."""
        return self.root / "nodes" / name

    def companion(self, name: str) -> Path:
        """A companion's folder: its settings, identities, data."""
        return self.root / "companions" / name

    def organisation(self, name: str) -> Path:
        """What belongs to an organisation: its root, its users."""
        return self.root / "organisations" / name

    def user(self, organisation: str, name: str) -> Path:
        """An enrolled user's identity: certificate, key, MSP id."""
        return self.organisation(organisation) / "users" / name

    def registrar_secret(self, organisation: str) -> Path:
        """The secret with which an organisation's first registrar enrols."""
        return self.enrolment / f"{organisation}.secret"

    def genesis(self, channel: str) -> Path:
        """A channel's genesis block."""
        return self.channels / f"{channel}.genesis"

    def package(self, package_id: str) -> Path:
        """A chaincode package."""
        return self.packages / f"{package_id}.tar.gz"

"""Enrolling those who come to a network that runs: an organisation's registrar and admin, a node.

The secret of a registration is kept in a file until its holder is enrolled, so that an attempt that was cut short goes
on where it ended.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from gridledger import jsontext
from gridledger.client.ca import CAClient
from gridledger.client.profile import REGISTRAR
from gridledger.errors import ConflictError
from gridledger.files import write_atomically
from gridledger.identity.signer import SigningIdentity
from gridledger.network.bootstrap import ADMIN, SECRET_BYTES
from gridledger.network.changes.changing_network import ChangingNetwork
from gridledger.network.schema import NodeSpec

_SECRET_FILE = "enrolment.json"  # noqa: S105 - a file's name
_MAX_ENROLLMENTS = 3
"""One that was cut short after the CA had answered can be done again."""


async def enroll_organisation(network: ChangingNetwork, organisation: str) -> None:
    """Wait until the CA service hosts an organisation, and enrol its registrar and its admin; its root is kept
    where none is known yet."""
    folder, client = network.folder, network.ca(organisation)
    root = await network.until(client.root, f"that the CA service hosts {organisation}")
    home = folder.user(organisation, REGISTRAR)
    if not (home / "cert.pem").exists():
        secret = folder.registrar_secret(organisation).read_text(encoding="ascii").strip()
        await client.enroll(REGISTRAR, secret, directory=home)
    await _enroll(client, SigningIdentity.load(home), ADMIN, "admin", home=folder.user(organisation, ADMIN))
    if not network.root_of(organisation):
        network.keep_root(organisation, root)


async def enroll_node(network: ChangingNetwork, node: NodeSpec, role: str) -> None:
    """Enrol a peer or an orderer with its organisation's CA."""
    client = network.ca(node.organisation)
    registrar = SigningIdentity.load(network.folder.user(node.organisation, REGISTRAR))
    home = network.folder.node(node.name) / "msp"
    await _enroll(client, registrar, node.name, role, home=home, hosts=network.config.names_of(node))


def write_registrar_secret(network: ChangingNetwork, organisation: str) -> None:
    """The secret with which an organisation's first registrar enrols, for the CA service; once."""
    file = network.folder.registrar_secret(organisation)
    if not file.exists():
        write_atomically(file, f"{secrets.token_urlsafe(SECRET_BYTES)}\n".encode(), mode=0o600)


async def _enroll(
    client: CAClient, registrar: SigningIdentity, name: str, role: str, *, home: Path, hosts: tuple[str, ...] = ()
) -> None:
    if (home / "cert.pem").exists():
        return
    waiting = home / _SECRET_FILE
    if not waiting.exists():
        # A name that is used up, by a node that was removed, comes back with another id.
        is_new = await client.registered(registrar, name) is None
        entry = {"id": name if is_new else f"{name}-{secrets.token_hex(3)}", "secret": secrets.token_urlsafe(24)}
        _make_private(home)
        write_atomically(waiting, jsontext.dumps(entry), mode=0o600)
    entry = jsontext.loads(waiting.read_bytes())
    try:
        await client.register(
            registrar, entry["id"], role, hosts=hosts, secret=entry["secret"], max_enrollments=_MAX_ENROLLMENTS
        )
    except ConflictError as error:
        if error.code != "IDENTITY_EXISTS":
            raise
    await client.enroll(entry["id"], entry["secret"], directory=home)
    waiting.unlink()


def _make_private(home: Path) -> None:
    home.mkdir(parents=True, exist_ok=True, mode=0o700)

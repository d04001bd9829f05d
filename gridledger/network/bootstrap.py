"""Making a network: identities through its CA service, packages, genesis blocks, settings files, connection profile.

Done once per folder. The connection profile is written last: a folder without one was left half-made, holds no ledger,
and is made anew.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gridledger import jsontext
from gridledger.client.ca import CAClient
from gridledger.client.profile import REGISTRAR
from gridledger.contract import packaging
from gridledger.errors import SettingsError
from gridledger.files import write_atomically
from gridledger.formats import NETWORK_FOLDER
from gridledger.identity import local_msp
from gridledger.identity.signer import SigningIdentity
from gridledger.incarnation import Incarnation
from gridledger.network.companions import furnish
from gridledger.network.descriptions import note_start, write_both
from gridledger.network.folder import NetworkFolder
from gridledger.network.schema import CASpec, NetworkConfig, NodeSpec
from gridledger.protocol import (
    Block,
    ChaincodeDefinition,
    ChannelConfig,
    ConfigUpdate,
    Node,
    Organisation,
)
from gridledger.protocol.block import ZERO_HASH
from gridledger.protocol.config import Forwarder
from gridledger.sealed import seal, unseal

ADMIN = "admin"
SECRET_BYTES = 24
DATA = "data"


def prepare(config: NetworkConfig, folder: NetworkFolder, *, anew: bool = True) -> bool:
    """Make the folder ready for the CA service to start; False where the network in it is complete already.

    Where it was left half-made it is begun ``anew``, unless the CA service may be running on what is there: then that
    is kept. Raises :class:`SettingsError` where the folder belongs to a network of another description.
    """
    if folder.connection.exists():
        check_format(folder)
        note_start(config, folder)
        _mend_ca_paths(folder)
        return False
    secret_files = [folder.registrar_secret(organisation.name) for organisation in config.organisations]
    if not anew and all(path.exists() for path in secret_files):
        return True
    parts = [folder.ca, folder.enrolment, *(folder.root / name for name in ("nodes", "organisations", "companions"))]
    for leftover in (*parts, folder.channels, folder.packages):
        shutil.rmtree(leftover, ignore_errors=True)
    for part in (folder.ca, folder.enrolment, folder.channels, folder.packages, folder.logs):
        part.mkdir(parents=True, exist_ok=True)
    write_atomically(folder.format, seal(NETWORK_FOLDER, {}))
    write_both(folder, config)
    write_json(folder.ca / "config.json", ca_settings(config, folder))
    for path in secret_files:
        write_atomically(path, f"{secrets.token_urlsafe(SECRET_BYTES)}\n".encode(), mode=0o600)
    return True


def check_format(folder: NetworkFolder) -> None:
    """Raise OtherFormat where another version has made the folder, and so what its nodes hold."""
    if not folder.format.exists():
        NETWORK_FOLDER.check(1, folder.root)
    unseal(NETWORK_FOLDER, folder.format.read_bytes(), folder.format, "restore it from a backup of the folder")


def _mend_ca_paths(folder: NetworkFolder) -> None:
    """Make paths into ``enrolment`` relative in the CA's settings: folders of version 0.1 had absolute ones."""
    path = folder.ca / "config.json"
    if not path.exists():
        return
    settings = jsontext.loads(path.read_bytes())
    before = jsontext.dumps(settings)
    secrets_of = [(one, "registrar_secret_file") for one in settings["organisations"]]
    for part, member in ((settings, "tls_root"), *secrets_of):
        place = Path(part.get(member) or "")
        if place.is_absolute() and place.parent.name == folder.enrolment.name:
            part[member] = enrolment_path(folder, place)
    if jsontext.dumps(settings) != before:
        write_json(path, settings)


def enrolment_path(folder: NetworkFolder, file: Path) -> str:
    """A file of ``enrolment`` as the CA's settings name it: from the folder of the settings on."""
    return f"../{folder.enrolment.name}/{file.name}"


def check_complete(config: NetworkConfig, folder: NetworkFolder, *, ca: bool) -> None:
    """:class:`SettingsError` where a network that was made has lost the CA's part of its folder, or its nodes'.

    The parts may lie on volumes of their own, of which somebody can remove some and keep others.
    """
    nodes = {node.name: folder.node(node.name) for node in (*config.orderers, *config.peers)}
    homes = {"ca": folder.ca} if ca else nodes
    if lost := [name for name, home in homes.items() if not (home / "config.json").exists()]:
        raise SettingsError(
            f"the network in {folder.root} was made, but what belongs to {', '.join(lost)} is gone; bring it back from "
            "a backup, or remove the rest too and begin anew (containers: docker compose down -v --remove-orphans)"
        )


async def bootstrap(config: NetworkConfig, folder: NetworkFolder, project: Path) -> None:
    """Make everything that the nodes need, with the CA service running. ``project``: where chaincode paths start."""
    roots = await _enroll_all(config, folder)
    write_atomically(folder.roots, "".join(roots.values()).encode("ascii"))
    packages = _pack_chaincodes(config, folder, project)
    now_us = time.time_ns() // 1000
    for name in config.channels:
        first = channel_config(config, folder, name, roots=roots, packages=packages)
        envelope = ConfigUpdate.build(first).to_bytes()
        block = Block.build(channel=name, number=0, previous_hash=ZERO_HASH, timestamp_us=now_us, envelopes=[envelope])
        write_atomically(folder.genesis(name), block.to_bytes())
    for orderer in config.orderers:
        furnish_node(config, folder, orderer, list(config.channels))
        data = folder.node(orderer.name) / orderer.settings.get("data", DATA)
        Incarnation(orderer.name, secrets.token_hex(4)).write(data)
    for peer in config.peers:
        channels = config.channels_of(peer.name)
        used = {packages[spec.path] for name in channels for spec in config.channels[name].chaincodes.values()}
        for package_id in used:
            copy_into(folder.package(package_id), folder.node(peer.name) / "packages")
        furnish_node(config, folder, peer, channels, packages="packages")
    copy_into(folder.ca_tls_root, folder.root)
    profile, published = (connection_profile(config, roots, published=outside) for outside in (False, True))
    await furnish(config, folder, config.companions, jsontext.dumps(profile))
    if published != profile:
        write_json(folder.host_connection, published)
    write_json(folder.connection, profile)


def channel_config(
    config: NetworkConfig,
    folder: NetworkFolder,
    name: str,
    *,
    roots: Mapping[str, str],
    packages: Mapping[Path, str],
) -> ChannelConfig:
    """A channel's first configuration, with the organisations of its description, each of its kind."""
    channel = config.channels[name]
    peers = [config.peer(peer) for peer in channel.peers]
    mspids = {owner: config.mspid(owner) for owner in config.members_of(name)}
    parted = [forwarder.partition("/") for forwarder in channel.forwarders]
    first = ChannelConfig(
        channel=name,
        sequence=0,
        organisations={
            mspid: Organisation(mspid, (roots[owner],), kind=config.kind_of(owner)) for owner, mspid in mspids.items()
        },
        peers={node.name: described_node(config, folder, node) for node in peers},
        orderers={node.name: described_node(config, folder, node) for node in config.orderers},
        policies=channel.all_policies,
        acls=channel.acls,
        forwarders=frozenset(Forwarder(mspids[owner], user) for owner, _, user in parted),
        chaincodes={
            chaincode: ChaincodeDefinition(chaincode, 1, spec.version, packages[spec.path], spec.policy)
            for chaincode, spec in channel.chaincodes.items()
        },
        batch=channel.batch,
        limits=channel.limits,
    )
    first.check()
    return first


def connection_profile(config: NetworkConfig, roots: Mapping[str, str], *, published: bool = False) -> dict[str, Any]:
    """The connection profile, with paths that start at its folder. ``roots``: the organisations' by name.

    ``published``: for the machine that publishes the nodes' ports at the network's ``host``.
    """

    def url(place: NodeSpec | CASpec) -> str:
        return config.url(place.model_copy(update={"host": None}) if published else place)

    def entry(node: NodeSpec) -> dict[str, str]:
        return {
            "url": url(node),
            "organisation": node.organisation,
            "mspid": config.mspid(node.organisation),
        }

    return {
        "name": config.name,
        "channels": {name: {"peers": list(channel.peers)} for name, channel in config.channels.items()},
        "peers": {node.name: entry(node) for node in config.peers},
        "orderers": {node.name: entry(node) for node in config.orderers},
        "ca": {
            "url": url(config.ca),
            "tls_root": "tls-root.pem",
            "organisations": [item.name for item in config.organisations if not item.elsewhere],
        },
        "roots": "roots.pem",
        "organisation_roots": {item.mspid: roots[item.name] for item in config.organisations if item.name in roots},
        "organisations": "organisations",
        "applications": config.applications,
    }


async def _enroll_all(config: NetworkConfig, folder: NetworkFolder) -> dict[str, str]:
    """Enrol registrars, admins and nodes of all organisations; the organisations' roots by name."""
    roots: dict[str, str] = {}

    async def organisation(name: str) -> None:
        client = CAClient(config.url(config.ca), name, folder.ca_tls_root)
        secret = folder.registrar_secret(name).read_text(encoding="ascii").strip()
        registrar = await client.enroll(REGISTRAR, secret, directory=folder.user(name, REGISTRAR))
        roots[name] = await client.root()
        write_atomically(folder.organisation(name) / "root.pem", roots[name].encode("ascii"))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_enroll(client, registrar, ADMIN, "admin", home=folder.user(name, ADMIN)))
            for role, nodes in (("orderer", config.orderers), ("peer", config.peers)):
                for node in nodes:
                    if node.organisation == name:
                        home, hosts = folder.node(node.name) / "msp", config.names_of(node)
                        tasks.create_task(_enroll(client, registrar, node.name, role, home=home, hosts=hosts))

    async with asyncio.TaskGroup() as tasks:
        for item in config.organisations:
            tasks.create_task(organisation(item.name))
    return {item.name: roots[item.name] for item in config.organisations}


async def _enroll(
    client: CAClient, registrar: SigningIdentity, name: str, role: str, *, home: Path, hosts: tuple[str, ...] = ()
) -> None:
    if (home / "cert.pem").exists():
        return  # an earlier attempt came this far
    secret = await client.register(registrar, name, role, hosts=hosts)
    await client.enroll(name, secret, directory=home)


def _pack_chaincodes(config: NetworkConfig, folder: NetworkFolder, project: Path) -> dict[Path, str]:
    """Pack each chaincode that a channel begins with; package ids by path."""
    ids: dict[Path, str] = {}
    for channel in config.channels.values():
        for spec in channel.chaincodes.values():
            if spec.path not in ids:
                package = packaging.pack(project / spec.path)
                ids[spec.path] = packaging.package_id(package)
                write_atomically(folder.package(ids[spec.path]), package)
    return ids


def described_node(config: NetworkConfig, folder: NetworkFolder, node: NodeSpec) -> Node:
    """A node as channels' configurations have it, with the certificate in its folder."""
    identity = SigningIdentity.load(folder.node(node.name) / "msp")
    return Node(node.name, identity.mspid, config.url(node), identity.certificate)


def furnish_node(
    config: NetworkConfig, folder: NetworkFolder, node: NodeSpec, channels: list[str], **places: str
) -> None:
    """Put into a node's folder what it needs beside its identity."""
    home = folder.node(node.name)
    copy_into(folder.roots, home)
    root = folder.organisation(node.organisation) / "root.pem"
    shutil.copyfile(root, home / "msp" / local_msp.ROOTS)
    for name in channels:
        copy_into(folder.genesis(name), home / "channels")
    settings = {
        "name": node.name,
        "mspid": config.mspid(node.organisation),
        "identity": "msp",
        "host": config.listen or config.host,
        "port": node.port,
        "data": DATA,
        "genesis": "channels",
        "roots": "roots.pem",
        "channels": channels,
        **places,
        **node.settings,
    }
    write_json(home / "config.json", settings)


def ca_settings(config: NetworkConfig, folder: NetworkFolder) -> dict[str, Any]:
    """The CA service's settings."""
    organisations = [
        {
            "name": item.name,
            "mspid": item.mspid,
            "registrar_secret_file": enrolment_path(folder, folder.registrar_secret(item.name)),
        }
        for item in config.organisations
        if not item.elsewhere
    ]
    return {
        "host": config.listen or config.host,
        "port": config.ca.port,
        "tls_hosts": list(config.names_of(config.ca)),
        "tls_root": enrolment_path(folder, folder.ca_tls_root),
        "data": "data",
        "organisations": organisations,
        **config.ca.settings,
    }


def copy_into(file: Path, folder: Path) -> None:
    """Copy a file into a folder, which is made where it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, folder / file.name)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file that appears whole or not at all, even when we are killed meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, jsontext.dumps(value))

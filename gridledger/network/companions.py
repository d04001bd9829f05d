"""Companions of a network: processes with identities beside its nodes, such as the REST bridge.

A companion's folder ``companions/<name>`` holds all that it needs: ``config.json``, ``identities/<organisation>`` (or
the name of each identity that is described), ``data``, and copies of the connection profile and of what that names. It
is made with the network, or when the companion is first named at a start.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gridledger import jsontext
from gridledger.client.ca import CAClient
from gridledger.client.profile import REGISTRAR
from gridledger.errors import NotFoundError, SettingsError
from gridledger.extras import require_extra
from gridledger.files import write_atomically
from gridledger.identity.signer import SigningIdentity
from gridledger.network.folder import NetworkFolder
from gridledger.network.schema import CompanionIdentity, CompanionSpec, NetworkConfig

_TOKEN_BYTES = 32


def chosen(config: NetworkConfig, names: Sequence[str]) -> list[CompanionSpec]:
    """The companions to start for these names of companions and applications, those that one needs before it.

    Raises :class:`NotFoundError` for a name that is not described, :class:`SettingsError` for a job, and MissingExtra
    where what one needs is not installed.
    """
    known = {spec.name: spec for spec in config.companions}
    applications = {name: config.services_of(name) for spec in known.values() if (name := spec.application)}
    found: dict[str, CompanionSpec] = {}

    def take(name: str) -> None:
        spec = known.get(name)
        if spec is None:
            there = ", ".join((*known, *applications)) or "none"
            raise NotFoundError(
                f"there is no companion {name!r} in the description of {config.name}; there are: {there}"
            )
        if spec.port is None:
            raise SettingsError(f"the companion {name} is a job, which runs on demand: gridledger {spec.kind or name}")
        for needed in spec.needs:
            if needed not in found:
                take(needed)
        found[name] = spec

    for name in names:
        for each in [spec.name for spec in applications[name]] if name in applications else [name]:
            take(each)
    for spec in found.values():
        if spec.extra is not None:
            require_extra(spec.extra, f"the companion {spec.name}")
    return list(found.values())


async def furnish(
    config: NetworkConfig, folder: NetworkFolder, companions: Sequence[CompanionSpec], profile: bytes
) -> None:
    """Enrol companions that are not yet, with the CA service running, and write their settings.

    ``profile`` is the network's connection profile, whose other files are there already.
    """
    for spec in companions:
        await asyncio.gather(*(_enroll(config, folder, spec, identity) for identity in spec.all_identities))
        home = folder.companion(spec.name)
        home.mkdir(parents=True, exist_ok=True)
        if spec.has_identity:
            write_atomically(home / folder.connection.name, profile)
            for file in (folder.roots, folder.tls_root):
                shutil.copyfile(file, home / file.name)
        settings = settings_of(config, spec)
        if "tls" in settings and spec.kind == "rest":
            _ensure_token(home / "tokens" / "default")
        write_atomically(home / "config.json", jsontext.dumps(settings))


async def _enroll(
    config: NetworkConfig, folder: NetworkFolder, spec: CompanionSpec, identity: CompanionIdentity
) -> None:
    home = folder.companion(spec.name) / "identities" / identity.name
    if (home / "cert.pem").exists():
        return
    client = CAClient(config.url(config.ca), identity.organisation, folder.ca_tls_root)
    registrar = SigningIdentity.load(folder.user(identity.organisation, REGISTRAR))
    # The id is new each time: an attempt that was cut short has used up the one before.
    known_as = f"{identity.name if spec.identities else spec.name}-{secrets.token_hex(3)}"
    hosts = config.names_of(spec)
    secret = await client.register(registrar, known_as, "client", dict(identity.attributes), hosts=hosts)
    await client.enroll(known_as, secret, directory=home)


def settings_of(config: NetworkConfig, spec: CompanionSpec) -> dict[str, Any]:
    """A companion's settings file: what follows from the network, then its own settings."""
    identities = {identity.name: f"identities/{identity.name}" for identity in spec.all_identities}
    settings: dict[str, Any] = {"name": spec.name}
    if spec.has_identity:
        settings.update(connection="connection.json", identities=identities)
        if spec.application is not None:
            settings["companions"] = {one.name: config.url(one) for one in config.services_of(spec.application)}
    if spec.port is not None:
        settings.update(host=config.listen or config.host, port=spec.port, data="data", **spec.ports)
        if identities and config.serves_tls(spec):
            own = next(iter(identities.values()))
            settings["tls"] = {"cert": f"{own}/cert.pem", "key": f"{own}/key.pem"}
            settings["hostnames"] = list(config.names_of(spec))
    return {**settings, **spec.settings}


def _ensure_token(file: Path) -> None:
    """A token for a first client of a bridge that other machines reach, which makes none by itself."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomically(file, f"{secrets.token_urlsafe(_TOKEN_BYTES)}\n".encode(), mode=0o600)

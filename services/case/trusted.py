"""The folder of what a verifier trusts: ``MSPID.pem``, root certificates of an organisation, and ``genesis.json``; and
which chaincodes he means, in ``roles.json``.

``genesis.json`` is {"channel", "genesis"}: the anchoring channel, and the header hash of its block 0. ``roles.json`` is
{"anchoring": ROLE, "devices": ROLE or null, "sections": [ROLE, ...]}, a ROLE {"channel", "chaincode", "packages"}: the
SHA-256 of the chaincode's packages that are to be believed, none where they are not known. The folder comes from a
member whom the verifier trusts, never from a package. One without ``roles.json`` says nothing of chaincodes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gridledger import jsontext
from gridledger.errors import GridLedgerError, InputError
from gridledger.evidence.package import Roles
from gridledger.evidence.roles import KnownRoles, roles_of
from gridledger.identity.certificate import Certificate
from gridledger.protocol.config_rules import MSPID, NAME, SHA256, matching
from gridledger.protocol.fields import exactly, list_of

GENESIS: Final = "genesis.json"
ROLES: Final = "roles.json"
MAX_FILE_BYTES: Final = 1024 * 1024
MAX_ORGANISATIONS: Final = 1000
MAX_SECTIONS: Final = 1000
MAX_PACKAGES: Final = 1000
_SUFFIX: Final = ".pem"
_END: Final = "-----END CERTIFICATE-----"


@dataclass(frozen=True, slots=True)
class Trusted:
    """Root certificates (PEM) by MSP id; the anchoring channel and the header hash of its block 0; the chaincodes."""

    roots: Mapping[str, Sequence[str]]
    channel: str
    genesis: str
    roles: KnownRoles | None = None


def read_trusted(folder: Path) -> Trusted:
    """Read the folder; :class:`InputError` says which file is wrong."""
    files = sorted(folder.glob(f"*{_SUFFIX}"))
    if not files:
        raise InputError(f"{folder} has no roots: it wants MSPID.pem for each organisation, and {GENESIS}")
    if len(files) > MAX_ORGANISATIONS:
        raise InputError(f"{folder} has more than {MAX_ORGANISATIONS} organisations")
    roots = {matching(MSPID, file.stem, f"the name of {file}"): _certificates(file) for file in files}
    file = folder / GENESIS
    try:
        told = exactly(jsontext.loads(_read(file)), frozenset(("channel", "genesis")), GENESIS)
        channel, genesis = matching(NAME, told["channel"], "'channel'"), matching(SHA256, told["genesis"], "'genesis'")
        file = folder / ROLES
        known = _roles(jsontext.loads(_read(file))) if file.exists() else None
    except InputError as error:
        raise InputError(f"{file}: {error.message.removeprefix(f'{file}: ')}") from None
    if known is not None and known.roles.anchoring[0] != channel:
        raise InputError(f"{file}: anchors are on {known.roles.anchoring[0]}, and {GENESIS} is of {channel}")
    return Trusted(roots, channel, genesis, known)


def files_of(trusted: Trusted) -> dict[str, bytes]:
    """The folder's files by name."""
    roots = {f"{mspid}{_SUFFIX}": "".join(pems).encode() for mspid, pems in sorted(trusted.roots.items())}
    files = {**roots, GENESIS: jsontext.dumps({"channel": trusted.channel, "genesis": trusted.genesis}) + b"\n"}
    return files if trusted.roles is None else {**files, ROLES: jsontext.dumps(_told(trusted.roles)) + b"\n"}


def _told(known: KnownRoles) -> dict[str, Any]:
    told: dict[str, list[dict[str, Any]]] = {}
    for role, channel, chaincode in roles_of(known.roles):
        packages = sorted(known.packages.get((channel, chaincode), ()))
        told.setdefault(role, []).append({"channel": channel, "chaincode": chaincode, "packages": packages})
    devices = told.get("devices")
    return {
        "anchoring": told["anchoring"][0],
        "devices": None if devices is None else devices[0],
        "sections": told.get("section", []),
    }


def _roles(value: Any) -> KnownRoles:
    message = exactly(value, frozenset(("anchoring", "devices", "sections")), "roles")
    packages: dict[tuple[str, str], frozenset[str]] = {}
    anchoring = _role(message["anchoring"], packages)
    devices = None if message["devices"] is None else _role(message["devices"], packages)
    sections = [_role(item, packages) for item in list_of(message, "sections", max_length=MAX_SECTIONS)]
    if len(dict(sections)) != len(sections):
        raise InputError("a channel is a section once")
    return KnownRoles(Roles(anchoring, devices, dict(sections)), packages)


def _role(value: Any, packages: dict[tuple[str, str], frozenset[str]]) -> tuple[str, str]:
    message = exactly(value, frozenset(("channel", "chaincode", "packages")), "a role")
    role = matching(NAME, message["channel"], "'channel'"), matching(NAME, message["chaincode"], "'chaincode'")
    told = list_of(message, "packages", max_length=MAX_PACKAGES)
    packages[role] = frozenset(matching(SHA256, item, "one of 'packages'") for item in told)
    return role


def _certificates(file: Path) -> list[str]:
    """The certificates in a file, as PEM texts."""
    try:
        text = _read(file).decode("ascii")
        found = [f"{part.strip()}\n{_END}\n" for part in text.split(_END) if part.strip()]
        if not found or not re.search(rf"{_END}\s*\Z", text):
            raise InputError("it has no certificates in PEM")
        for pem in found:
            Certificate.from_pem(pem)
    except UnicodeDecodeError:
        raise InputError(f"{file}: it has no certificates in PEM") from None
    except GridLedgerError as error:
        raise InputError(f"{file}: {error.message.removeprefix(f'{file}: ')}") from None
    return found


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise InputError(f"{file}: {error.strerror or error}") from None
    if len(data) > MAX_FILE_BYTES:
        raise InputError(f"{file}: it has more than {MAX_FILE_BYTES} bytes")
    return data

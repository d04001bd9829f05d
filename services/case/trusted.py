"""The folder of what a verifier trusts: ``MSPID.pem``, root certificates of an organisation, and ``genesis.json``.

``genesis.json`` is {"channel", "genesis"}: the anchoring channel, and the header hash of its block 0. It comes from a
member whom the verifier trusts, never from a package.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gridledger import jsontext
from gridledger.errors import GridLedgerError, InputError
from gridledger.identity.certificate import Certificate
from gridledger.protocol.config_rules import MSPID, NAME, SHA256, matching
from gridledger.protocol.fields import exactly

GENESIS: Final = "genesis.json"
MAX_FILE_BYTES: Final = 1024 * 1024
MAX_ORGANISATIONS: Final = 1000
_SUFFIX: Final = ".pem"
_END: Final = "-----END CERTIFICATE-----"


@dataclass(frozen=True, slots=True)
class Trusted:
    """Root certificates (PEM) by MSP id; the anchoring channel and the header hash of its block 0."""

    roots: Mapping[str, Sequence[str]]
    channel: str
    genesis: str


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
        channel = matching(NAME, told["channel"], "'channel'")
        return Trusted(roots, channel, matching(SHA256, told["genesis"], "'genesis'"))
    except InputError as error:
        raise InputError(f"{file}: {error.message.removeprefix(f'{file}: ')}") from None


def files_of(trusted: Trusted) -> dict[str, bytes]:
    """The folder's files by name."""
    roots = {f"{mspid}{_SUFFIX}": "".join(pems).encode() for mspid, pems in sorted(trusted.roots.items())}
    return {**roots, GENESIS: jsontext.dumps({"channel": trusted.channel, "genesis": trusted.genesis}) + b"\n"}


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

"""Files of configurations and updates, which people edit, sign and send to one another.

A configuration's file is its JSON (docs/protocol.md), indented; nodes' certificates are PEM in it, as roots are, and
may be either when it is read. An update's file is the envelope as it is submitted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gridledger import jsontext
from gridledger.errors import ConflictError, GridLedgerError, InputError, LimitError, MalformedMessage
from gridledger.files import write_atomically
from gridledger.identity.certificate import Certificate, pem_of
from gridledger.identity.signer import SigningIdentity
from gridledger.protocol.config import ChannelConfig
from gridledger.protocol.config_authority import changes
from gridledger.protocol.config_update import ConfigUpdate, check_unsigned
from gridledger.protocol.fields import from_base64, to_base64

MAX_FILE_BYTES = 8 * 1024 * 1024
"""Of a configuration's or an update's file: a configuration has at most 1 MiB, an update quotes it."""

_CERTIFICATES = ("certificate", "certificates", "creator")
_SECTIONS = ("peers", "orderers", "departing_orderers")
_COMPUTED = ("removed_organisations", "removed_chaincodes", "departing_orderers")
_MAY_BE_EMPTY = ("acls", "forwarders")


def readable(value: Any) -> Any:
    """A JSON value of a configuration or a block with its certificates as PEM."""
    if isinstance(value, dict):
        return {name: _pem(item) if name in _CERTIFICATES else readable(item) for name, item in value.items()}
    return [readable(item) for item in value] if isinstance(value, list) else value


def _pem(value: Any) -> Any:
    if isinstance(value, list):
        return [_pem(item) for item in value]
    try:
        return pem_of(Certificate.from_der(from_base64(value, "a certificate")).der)
    except GridLedgerError:
        return readable(value)


def text_of_json(value: Any) -> str:
    """An indented JSON text, for people."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def read_config_file(path: Path) -> ChannelConfig:
    """A configuration from a file as ``gridledger channel fetch config`` writes it, checked whole."""
    return _config(_object(path), path)


def compute_update(current: ChannelConfig, modified: Path, time_us: int) -> ConfigUpdate:
    """The unsigned update, made at ``time_us``, that makes the configuration in a file of the present one.

    The file's sequence is that of ``current``, of which it was made, or the next one already. The members that follow
    from the others are set here, whatever the file has. Raises :class:`InputError` where the file changes nothing or
    was made of another configuration, and what is wrong with it.
    """
    plain = _object(modified)
    if plain.get("sequence") not in (current.sequence, current.sequence + 1):
        raise InputError(
            f"{modified} was made of configuration {plain.get('sequence')!r:.40}, and the other one is "
            f"{current.sequence}: fetch the present configuration and edit that, or name the one that was edited with "
            "--from"
        )
    for name in _COMPUTED:
        plain.pop(name, None)
    following = current.followed_by(_config(plain, modified))
    following.check()
    if not changes(current.plain, following.plain):
        raise InputError(f"{modified} differs in nothing from configuration {current.sequence}")
    update = ConfigUpdate.build(following, time_us=time_us)
    check_unsigned(current, update, time_us)
    return update


def read_update(path: Path) -> ConfigUpdate:
    """An update from its file; its configuration is read too, so that nobody signs what no node can read."""
    with _named(path):
        update = ConfigUpdate.parse(_read(path))
        _ = update.config
    return update


def write_update(path: Path, update: ConfigUpdate) -> None:
    """Write an update's file, in one step."""
    write_atomically(path, update.to_bytes() + b"\n")


def add_signature(update: ConfigUpdate, signer: SigningIdentity) -> ConfigUpdate:
    """The update with one more signature; :class:`ConflictError` where this member has signed, with whichever
    certificate."""
    mine = signer.certificate
    if any((item.subject_der, item.issuer_der) == (mine.subject_der, mine.issuer_der) for item in update.holders):
        raise ConflictError(
            f"{signer.name!r} of {signer.mspid} has signed this update: a second signature counts for nothing"
        )
    return update.signed_by(signer)


def _object(path: Path) -> dict[str, Any]:
    with _named(path):
        value = jsontext.loads(_read(path))
        if not isinstance(value, dict):
            raise InputError("a configuration is a JSON object")
    return value


def _config(plain: dict[str, Any], path: Path) -> ChannelConfig:
    with _named(path):
        for name in _MAY_BE_EMPTY:
            if plain.get(name) in ({}, []):
                del plain[name]
        for node in _nodes(plain):
            for name in _CERTIFICATES:
                if name in node:
                    node[name] = _base64(node[name])
        return ChannelConfig.parse(jsontext.dumps(plain).decode())


def _nodes(plain: dict[str, Any]) -> Iterator[dict[str, Any]]:
    sections: Iterable[Any] = (plain.get(name) for name in _SECTIONS)
    for section in sections:
        if isinstance(section, dict):
            yield from (node for node in section.values() if isinstance(node, dict))


def _base64(value: Any) -> Any:
    if isinstance(value, list):
        return [_base64(item) for item in value]
    if isinstance(value, str) and value.lstrip().startswith("-----BEGIN"):
        return to_base64(Certificate.from_pem(value).der)
    return value


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        found = file.read(MAX_FILE_BYTES + 1)
    if len(found) > MAX_FILE_BYTES:
        raise LimitError(f"it has more than {MAX_FILE_BYTES} bytes")
    return found


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Say in an error which file it is about."""
    try:
        yield
    except GridLedgerError as error:
        raise MalformedMessage(f"{path}: {error.message}", code=error.code, status=error.status) from None

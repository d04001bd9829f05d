"""A folder of shares: a file a share, and ``manifest.json``, by which each share is checked.

Data beyond 16 MiB are cut into parts, each split by itself; a share is its parts' shares one after the other. The
profile ``sealed`` binds part i to profile, t, ids, length and i.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from gridledger import jsontext
from gridledger.errors import InputError
from gridledger.files import write_atomically
from gridledger.sharing.commitment import root
from gridledger.sharing.errors import SharingError, TooFewShares
from gridledger.sharing.profiles import (
    MAX_OBJECT_BYTES,
    Cut,
    check_ids,
    join,
    needed,
    part_lengths,
    share_bytes,
    split,
    split_plain,
)
from services.vault.commands.draw import Draw
from services.vault.commands.json_input import (
    check_members,
    hex_bytes,
    read_bytes,
    whole_number,
    whole_numbers,
)

MANIFEST: Final = "manifest.json"
FORMAT: Final = 1
_MAX_MANIFEST_BYTES: Final = 1024 * 1024
_PRIVATE: Final = 0o600


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is needed to check and to join shares."""

    profile: str
    t: int
    ids: list[int]
    length: int
    parts: list[tuple[int, str]]
    """(length, SHA-256 of the ciphertext in hex) of each part."""
    roots: dict[int, bytes]
    """The commitment of each share by id."""

    @property
    def share_bytes(self) -> int:
        return sum(share_bytes(self.profile, length, self.t) for length, _ in self.parts)

    def to_dict(self) -> dict[str, Any]:
        """The file's form."""
        return {
            "format": FORMAT,
            "profile": self.profile,
            "t": self.t,
            "ids": [str(x) for x in self.ids],
            "length": self.length,
            "parts": [{"length": length, "cipher_sha256": digest} for length, digest in self.parts],
            "shares": {str(x): {"file": file_name(x), "root": self.roots[x].hex()} for x in self.ids},
        }


def file_name(own_id: int) -> str:
    """The file of an id's share."""
    return f"{own_id}.share"


def part_head(profile: str, t: int, ids: Sequence[int], length: int, part: int) -> bytes:
    """The associated data of a part."""
    named = {"profile": profile, "t": t, "ids": [str(x) for x in ids], "length": length, "part": part}
    return jsontext.dumps(named)


def write_shares(
    source: Path, folder: Path, profile: str, t: int, ids: Sequence[int], *, draw: Draw | None = None
) -> int:
    """Split a file into a new or empty folder; the size of a share in bytes.

    Raises :class:`SharingError` for what cannot be split so, :class:`InputError` where a file cannot be read or
    written.
    """
    check_ids(profile, t, ids)
    data = read_bytes(source, MAX_OBJECT_BYTES)
    lengths = part_lengths(len(data))
    cuts: list[Cut] = []
    at = 0
    for part, length in enumerate(lengths):
        head = part_head(profile, t, ids, len(data), part)
        cuts.append(_cut(profile, data[at : at + length], t, ids, head=head, draw=draw))
        at += length
    if draw is not None:
        draw.check_all_used()
    shares = {x: b"".join([cut.shares[x] for cut in cuts]) for x in ids}
    parts = [(length, cut.cipher_sha256) for length, cut in zip(lengths, cuts, strict=True)]
    manifest = Manifest(profile, t, list(ids), len(data), parts, {x: root(share) for x, share in shares.items()})
    _write(folder, shares, manifest)
    return manifest.share_bytes


def _cut(profile: str, data: bytes, t: int, ids: Sequence[int], *, head: bytes, draw: Draw | None) -> Cut:
    if draw is not None:
        return Cut(split_plain(profile, data, t, ids, draw), sha256(data).hexdigest())
    return split(profile, data, t, ids, head=head, randbytes=os.urandom)


def _write(folder: Path, shares: Mapping[int, bytes], manifest: Manifest) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise InputError(f"{folder}: it is not empty; name a new folder, where no share of another split is")
        for x, share in shares.items():
            write_atomically(folder / file_name(x), share, mode=_PRIVATE)
        text = json.dumps(manifest.to_dict(), indent=2) + "\n"
        write_atomically(folder / MANIFEST, text.encode())
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror or error}") from None


def read_shares(folder: Path) -> tuple[bytes, list[str]]:
    """The data of a folder's shares, and what is wrong with those that were left out.

    Raises :class:`TooFewShares`, which names them, :class:`ShareBroken`, and :class:`SharingError` for a manifest that
    cannot be used.
    """
    manifest = read_manifest(folder)
    shares: dict[int, bytes] = {}
    complaints: list[str] = []
    absent: list[int] = []
    for x in manifest.ids:
        path = folder / file_name(x)
        if not path.exists():
            absent.append(x)
            continue
        share = read_bytes(path, manifest.share_bytes)
        if len(share) == manifest.share_bytes and root(share) == manifest.roots[x]:
            shares[x] = share
        else:
            complaints.append(f"{path} is not what was split: its commitment is another one")
    need = needed(manifest.profile, manifest.t)
    if len(shares) < need:
        raise TooFewShares("shares", _too_few(need, manifest, shares, absent, complaints))
    return _joined(manifest, shares), complaints


def _too_few(
    need: int, manifest: Manifest, shares: Mapping[int, bytes], absent: list[int], complaints: list[str]
) -> str:
    found = ", ".join(map(str, shares)) or "none"
    told = f"needs {need} of {len(manifest.ids)}, {len(shares)} are good: {found}"
    if absent:
        told += f"; not there: {', '.join(map(str, absent))}"
    return "; ".join([told, *complaints])


def _joined(manifest: Manifest, shares: Mapping[int, bytes]) -> bytes:
    joined: list[bytes] = []
    at = 0
    for part, (length, digest) in enumerate(manifest.parts):
        size = share_bytes(manifest.profile, length, manifest.t)
        joined.append(
            join(
                manifest.profile,
                {x: share[at : at + size] for x, share in shares.items()},
                manifest.t,
                manifest.ids,
                head=part_head(manifest.profile, manifest.t, manifest.ids, manifest.length, part),
                length=length,
                cipher_sha256=digest,
            )
        )
        at += size
    return b"".join(joined)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder, checked; :class:`SharingError` names what is wrong in it."""
    text = read_bytes(folder / MANIFEST, _MAX_MANIFEST_BYTES)
    if len(text) > _MAX_MANIFEST_BYTES:
        raise InputError(f"{folder / MANIFEST}: it is longer than {_MAX_MANIFEST_BYTES} bytes")
    given = jsontext.loads(text)
    if not isinstance(given, dict):
        raise SharingError(MANIFEST, "it is no JSON object")
    check_members(given, ("format", "profile", "t", "ids", "length", "parts", "shares"))
    if given["format"] != FORMAT:
        raise SharingError("format", f"{given['format']!r:.40} is not {FORMAT}, which this version reads")
    profile, t, ids = str(given["profile"]), whole_number(given["t"], "t"), whole_numbers(given["ids"], "ids")
    check_ids(profile, t, ids)
    length = whole_number(given["length"], "length")
    parts = _read_parts(given["parts"], length)
    return Manifest(profile, t, ids, length, parts, _read_roots(given["shares"], ids))


def _read_parts(given: Any, length: int) -> list[tuple[int, str]]:
    lengths = part_lengths(length)
    if not isinstance(given, list) or len(given) != len(lengths):
        raise SharingError("parts", f"a list of {len(lengths)} is wanted for {length} bytes")
    parts: list[tuple[int, str]] = []
    for index, (part, wanted) in enumerate(zip(given, lengths, strict=True)):
        where = f"parts[{index}]"
        if not isinstance(part, dict):
            raise SharingError(where, "an object is wanted")
        check_members(part, ("length", "cipher_sha256"))
        if part["length"] != wanted:
            raise SharingError(f"{where}.length", f"it is not {wanted}")
        parts.append((wanted, _digest(part["cipher_sha256"], f"{where}.cipher_sha256").hex()))
    return parts


def _read_roots(given: Any, ids: Sequence[int]) -> dict[int, bytes]:
    if not isinstance(given, dict) or set(given) != {str(x) for x in ids}:
        raise SharingError("shares", "an object with one member for each of ids is wanted")
    roots: dict[int, bytes] = {}
    for x in ids:
        share = given[str(x)]
        if not isinstance(share, dict):
            raise SharingError(f"shares.{x}", "an object is wanted")
        check_members(share, ("file", "root"))
        if share["file"] != file_name(x):
            raise SharingError(f"shares.{x}.file", f"it is not {file_name(x)}")
        roots[x] = _digest(share["root"], f"shares.{x}.root")
    return roots


def _digest(value: Any, field: str) -> bytes:
    digest = hex_bytes(value, field)
    if len(digest) != 32:  # noqa: PLR2004 - SHA-256
        raise SharingError(field, "64 hex digits are wanted")
    return digest

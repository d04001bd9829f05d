"""From data to shares and what the ledger keeps of them, and back. Pure, and slow: call it in a thread.

An object of up to 64 MiB is cut into parts of at most 16 MiB, each split by itself. A holder's share is its parts'
shares one after the other; its commitments are over the whole.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Any, Final

from gridledger import jsontext
from gridledger.errors import InputError
from gridledger.sharing import commitment, profiles, sealed
from gridledger.sharing.errors import SharingError
from gridledger.sharing.profiles import Cut
from services.vault.records import Manifest
from services.vault.transport import PrivateKey, PublicKey
from services.vault.wire import Place

AUDITS: Final = 64
"""Audits that a dealer prepares for each share."""
HEADS: Final = "heads"
"""The cluster of layer 1."""

SECRET_BYTES: Final = 32
_HASH_BYTES: Final = 32
_MAX_SEALED_SECRET: Final = 135_000
_AUDIT: Final = "audit"
_BASE: Final = "base"
_HEAD: Final = ("channel", "object", "version", "cycle", "layer", "cluster", "profile", "t", "ids", "length")


@dataclass(frozen=True, slots=True)
class Plan:
    """How a version of an object is to be shared: ``holders`` are (name, id), in the manifest's order."""

    channel: str
    object: str
    version: int
    cycle: int
    cluster: str
    profile: str
    t: int
    holders: tuple[tuple[str, int], ...]

    @property
    def ids(self) -> list[int]:
        """The holders' ids."""
        return [x for _, x in self.holders]

    @property
    def layer(self) -> int:
        """1 over the heads of all clusters, 2 within one."""
        return 1 if self.cluster == HEADS else 2

    def head(self, length: int) -> dict[str, Any]:
        """What the shares are bound to."""
        return {
            "channel": self.channel,
            "object": self.object,
            "version": self.version,
            "cycle": self.cycle,
            "layer": self.layer,
            "cluster": self.cluster,
            "profile": self.profile,
            "t": self.t,
            "ids": [str(x) for x in self.ids],
            "length": length,
        }


@dataclass(frozen=True, slots=True)
class CutObject:
    """Shares by holder, and the members of the manifest that follow from them."""

    shares: dict[str, bytes]
    manifest: dict[str, Any]


def cut_object(
    plan: Plan,
    data: bytes,
    base_key: PublicKey,
    *,
    audits: int = AUDITS,
    randbytes: Callable[[int], bytes] = os.urandom,
) -> CutObject:
    """Split ``data``, commit to the shares, and prepare ``audits`` audits of each, whose secret is sealed to the base.

    Raises :class:`~gridledger.sharing.errors.SharingError`, which names the field.
    """
    head = plan.head(len(data))
    lengths = profiles.part_lengths(len(data))
    cuts, at = [], 0
    for part, length in enumerate(lengths):
        cuts.append(_split(plan, data[at : at + length], part_head(head, part), randbytes))
        at += length
    shares = {name: b"".join([cut.shares[x] for cut in cuts]) for name, x in plan.holders}
    secret = randbytes(SECRET_BYTES)
    committed = list(_pool().map(lambda name: _commit(name, shares[name], secret, audits), shares))
    entries = [
        {
            "holder": name,
            "id": str(x),
            "bytes": len(shares[name]),
            "root": root,
            "key_sha256": key_sha256(plan.profile, [cut.shares[x] for cut in cuts]),
            "audit_root": commitment.audit_root(commitments).hex(),
        }
        for (name, x), (root, commitments) in zip(plan.holders, committed, strict=True)
    ]
    told = AuditSecret(secret, {name: found for (name, _), (_, found) in zip(plan.holders, committed, strict=True)})
    manifest = {
        "object": plan.object,
        "cycle": plan.cycle,
        "profile": plan.profile,
        "t": plan.t,
        "n": len(plan.holders),
        "length": len(data),
        "head": head,
        "parts": [
            {"length": length, "cipher_sha256": cut.cipher_sha256} for length, cut in zip(lengths, cuts, strict=True)
        ],
        "shares": entries,
        "audits": audits,
        "audit_secret": told.seal(base_key, plan),
    }
    return CutObject(shares, manifest)


def join_object(manifest: Manifest, shares: Mapping[str, bytes]) -> bytes:
    """The data of at least t shares, by holder, whose roots were checked.

    Raises :class:`~gridledger.sharing.errors.SharingError`: as the roots hold, the dealer is at fault.
    """
    head = _checked_head(manifest)
    joined, parts = [], _by_part(manifest, shares)
    for number, part in enumerate(manifest.parts):
        joined.append(
            profiles.join(
                manifest.profile,
                parts[number],
                manifest.t,
                manifest.ids,
                head=part_head(head, number),
                length=part.length,
                cipher_sha256=part.cipher_sha256,
            )
        )
    return b"".join(joined)


def false_shares(manifest: Manifest, data: bytes, shares: Mapping[str, bytes]) -> list[str]:
    """The holders to whose shares the dealer committed although ``data`` has others; none of an honest dealer's."""
    again = _split_again(manifest, data, shares)

    def differs(name: str) -> bool:
        share = manifest.shares[name]
        mine = [cut[share.id] for cut in again]
        if commitment.root(b"".join(mine)).hex() != share.root:
            return True
        return key_sha256(manifest.profile, mine) != share.key_sha256

    names = list(manifest.shares)
    return [name for name, wrong in zip(names, _pool().map(differs, names), strict=True) if wrong]


def share_of(manifest: Manifest, data: bytes, shares: Mapping[str, bytes], holder: str) -> bytes:
    """The share of ``holder``, computed of the data and of the shares that they were joined from.

    Raises :class:`~gridledger.sharing.errors.SharingError` where the dealer committed to another.
    """
    wanted = manifest.shares[holder]
    share = b"".join(part[wanted.id] for part in _split_again(manifest, data, shares))
    if commitment.root(share).hex() != wanted.root:
        raise SharingError("shares", f"the dealer gave {holder} another share than these data have")
    return share


def part_head(head: Mapping[str, Any], part: int) -> bytes:
    """The associated data of a part."""
    return jsontext.dumps({**{name: head[name] for name in _HEAD}, "part": part})


def key_sha256(profile: str, parts: Sequence[bytes]) -> str | None:
    """The SHA-256 of a share's key shares, in hex; None for profiles without them."""
    if profile != "sealed":
        return None
    return sha256(b"".join(map(sealed.key_share_bytes, parts))).hexdigest()


@dataclass(frozen=True, slots=True)
class AuditSecret:
    """What the base gets from a dealer: from ``secret`` follow the nonces; ``commitments`` are by holder."""

    secret: bytes
    commitments: Mapping[str, Sequence[bytes]]

    def nonce(self, holder: str, number: int) -> bytes:
        """The nonce of a holder's audit."""
        return commitment.audit_nonce(self.secret, holder, number)

    def seal(self, key: PublicKey, plan: Plan) -> str:
        """For the base alone, base64."""
        told = self.secret + b"".join(b"".join(self.commitments[name]) for name, _ in plan.holders)
        message = key.seal(told, _secret_info(plan.channel, plan.object, plan.version, plan.cycle))
        if len(message) > _MAX_SEALED_SECRET:
            most = (_MAX_SEALED_SECRET - 2048) // _HASH_BYTES // len(plan.holders)
            raise SharingError("audits", f"{len(plan.holders)} holders can have at most {most} audits each")
        return base64.b64encode(message).decode("ascii")

    @classmethod
    def open(cls, key: PrivateKey, text: str, channel: str, manifest: Manifest, audits: int) -> AuditSecret:
        """As the base reads a manifest's; :class:`InputError` where the dealer sealed something else."""
        info = _secret_info(channel, manifest.object, manifest.version, manifest.cycle)
        told = key.open(base64.b64decode(text), info)
        size = audits * _HASH_BYTES
        if len(told) != SECRET_BYTES + size * len(manifest.shares):
            raise InputError(
                f"the audit secret of {manifest.object} has {len(told)} bytes: its dealer told the base no audits"
            )
        commitments = {}
        for place, name in enumerate(manifest.shares):
            start = SECRET_BYTES + place * size
            commitments[name] = [told[at : at + _HASH_BYTES] for at in range(start, start + size, _HASH_BYTES)]
        return cls(told[:SECRET_BYTES], commitments)


def _secret_info(channel: str, name: str, version: int, cycle: int) -> bytes:
    return Place(channel, name, version, _BASE, cycle).info(_AUDIT)


def _split(plan: Plan, data: bytes, head: bytes, randbytes: Callable[[int], bytes]) -> Cut:
    return profiles.split(plan.profile, data, plan.t, plan.ids, head=head, randbytes=randbytes)


def _commit(holder: str, share: bytes, secret: bytes, audits: int) -> tuple[str, list[bytes]]:
    commitments = [
        commitment.audit_commitment(commitment.audit_nonce(secret, holder, number), share) for number in range(audits)
    ]
    return commitment.root(share).hex(), commitments


def _split_again(manifest: Manifest, data: bytes, shares: Mapping[str, bytes]) -> list[dict[int, bytes]]:
    """All shares again, part by part, by id."""
    head, parts, at = _checked_head(manifest), _by_part(manifest, shares), 0
    again: list[dict[int, bytes]] = []
    for number, part in enumerate(manifest.parts):
        again.append(
            profiles.resplit(
                manifest.profile,
                data[at : at + part.length],
                parts[number],
                manifest.t,
                manifest.ids,
                head=part_head(head, number),
            )
        )
        at += part.length
    return again


def _checked_head(manifest: Manifest) -> dict[str, Any]:
    missing = [name for name in _HEAD if name not in manifest.head]
    if missing:
        raise SharingError("head", f"{', '.join(missing)} is missing in the manifest of {manifest.object}")
    return {name: manifest.head[name] for name in _HEAD}


def _by_part(manifest: Manifest, shares: Mapping[str, bytes]) -> list[dict[int, bytes]]:
    """The shares of each part by id; only :func:`profiles.needed` of them, as no more are used."""
    used = dict(list(shares.items())[: profiles.needed(manifest.profile, manifest.t)])
    sizes = [profiles.share_bytes(manifest.profile, part.length, manifest.t) for part in manifest.parts]
    for name, share in used.items():
        if len(share) != sum(sizes):
            raise SharingError("shares", f"the share of {name} has {len(share)} bytes, not {sum(sizes)}")
    parts, at = [], 0
    for size in sizes:
        parts.append({manifest.shares[name].id: share[at : at + size] for name, share in used.items()})
        at += size
    return parts


@cache
def _pool() -> ThreadPoolExecutor:
    """SHA-256 of more than some KiB lets other threads run."""
    return ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1), thread_name_prefix="vault-hash")

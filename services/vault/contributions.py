"""The arithmetic of a repair: what t holders tell a further one, so that it learns its own share and nothing else.

Every profile but ``copies`` shares elements of GF(2^521 - 1), the values of polynomials of degree t - 1 at the holders'
ids. Holder j tells ``weight_j * value_j`` plus masks, one for each other contributor: both derive it from the X25519
secret that their keys have in common and from all that the repair is about, and one adds what the other subtracts. The
sum over all t is the lost value; any fewer are uniform. Of a repair about anything else the masks are others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import shake_256
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gridledger.errors import ConflictError
from gridledger.sharing import field, profiles, sealed
from services.vault.errors import ShareDamaged
from services.vault.records import Manifest
from services.vault.transport import PrivateKey, PublicKey

CONTRIBUTED_PROFILES: Final = ("sealed", "shamir")
"""The profiles whose shares are repaired so. ``article`` is for study: its dealer repairs, by reading."""

_WIDE_BYTES: Final = 82
"""Bytes from which a mask is reduced: 128 bits more than an element has, so that it is uniform but for 2^-128."""
_BLOCK: Final = 1024
"""Masks that are drawn at once."""
_LABEL: Final = b"gridledger vault repair mask"


def parts_of(manifest: Manifest, share: bytes) -> list[bytes]:
    """A holder's share, part by part; :class:`ShareDamaged` where its size is not the manifest's."""
    sizes = [profiles.share_bytes(manifest.profile, part.length, manifest.t) for part in manifest.parts]
    if sum(sizes) != len(share):
        raise ShareDamaged(f"the share has {len(share)} bytes, and should have {sum(sizes)}")
    starts = [sum(sizes[:number]) for number in range(len(sizes))]
    return [share[start : start + size] for start, size in zip(starts, sizes, strict=True)]


def elements_of(manifest: Manifest, share: bytes) -> list[int]:
    """What a repair rebuilds by contributions: the parts' key shares of ``sealed``, all elements of ``shamir``."""
    parts = parts_of(manifest, share)
    if manifest.profile == "sealed":
        return [sealed.key_share(part) for part in parts]
    _check_profile(manifest)
    return [element for part in parts for element in field.from_bytes(part)]


def count_elements(manifest: Manifest) -> int:
    """How many of them a share has."""
    _check_profile(manifest)
    if manifest.profile == "sealed":
        return len(manifest.parts)
    sizes = [profiles.share_bytes(manifest.profile, part.length, manifest.t) for part in manifest.parts]
    return sum(sizes) // field.ELEMENT_BYTES


def fragments_of(manifest: Manifest, share: bytes) -> list[bytes]:
    """The parts' fragments of a share of the profile ``sealed``."""
    return [sealed.fragment(part) for part in parts_of(manifest, share)]


def fragment_sizes(manifest: Manifest) -> list[int]:
    """The sizes of the parts' fragments."""
    return [sealed.HEADER_BYTES + sealed.payload_bytes(part.length, manifest.t) for part in manifest.parts]


def put_together(manifest: Manifest, own_id: int, elements: Sequence[int], fragments: bytes) -> bytes:
    """The share of ``own_id`` from its elements, and in the profile ``sealed`` the parts' fragments as one text.

    Raises :class:`ConflictError` where the fragments have not the size that they must have.
    """
    if manifest.profile != "sealed":
        _check_profile(manifest)
        return field.to_bytes(elements)
    sizes = fragment_sizes(manifest)
    if sum(sizes) != len(fragments):
        raise ConflictError(f"the fragments have {len(fragments)} bytes, and should have {sum(sizes)}")
    share, at = bytearray(), 0
    for element, size in zip(elements, sizes, strict=True):
        share += sealed.assemble(own_id, element, fragments[at : at + size])
        at += size
    return bytes(share)


def contribution(
    elements: Sequence[int],
    own_id: int,
    target_id: int,
    *,
    key: PrivateKey,
    others: Mapping[int, PublicKey],
    context: bytes,
) -> bytes:
    """What the holder ``own_id`` tells ``target_id``: its weighted elements behind its masks, each 66 bytes.

    ``others`` are the keys of the other contributors by id; ``context`` names all that the repair is about, alike for
    all of them. Raises :class:`KemKeyBad` where another's key cannot be used.
    """
    ids = sorted((own_id, *others))
    weight = field.weights(ids, at=target_id)[ids.index(own_id)]
    told = [weight * element for element in elements]
    for other_id, other in others.items():
        sign = 1 if own_id < other_id else -1
        secret = key.agree(other)
        pair = b"|".join((_LABEL, context, b"%d" % min(own_id, other_id), b"%d" % max(own_id, other_id)))
        for place, mask in enumerate(_masks(secret, pair, len(told))):
            told[place] += sign * mask
    return field.to_bytes(element % field.P521 for element in told)


def add_up(contributions: Sequence[Sequence[int]]) -> list[int]:
    """The target's elements: the contributions' sums, place by place."""
    return [sum(place) % field.P521 for place in zip(*contributions, strict=True)]


def _masks(secret: bytes, pair: bytes, count: int) -> list[int]:
    seed = HKDF(SHA256(), 32, None, pair).derive(secret)
    found: list[int] = []
    for block in range(0, count, _BLOCK):
        size = min(_BLOCK, count - block)
        stream = shake_256(seed + block.to_bytes(8, "big")).digest(size * _WIDE_BYTES)
        found += [
            int.from_bytes(stream[at : at + _WIDE_BYTES], "big") % field.P521
            for at in range(0, len(stream), _WIDE_BYTES)
        ]
    return found


def _check_profile(manifest: Manifest) -> None:
    if manifest.profile not in CONTRIBUTED_PROFILES:
        raise ConflictError(
            f"shares of the profile {manifest.profile} are not repaired by contributions: their dealer repairs them, "
            "by reading the object"
        )

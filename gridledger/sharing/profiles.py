"""Splitting data into shares and joining them, by profile: what services and commands call.

| profile | secrecy below t shares | bytes of a share |
|---|---|---|
| ``sealed`` | computational (AES-256) | (D + 16) / t + 156 |
| ``article`` | none to speak of: k shares tell k - 1 of t - 1 parts | 66/64 D / (t - 1) |
| ``shamir`` | perfect | 66/64 D |
| ``copies`` | none | D |

No profile verifies shares by itself: whoever has commitments (:mod:`gridledger.sharing.commitment`) checks them first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from gridledger.sharing import field, recursive, sealed, shamir
from gridledger.sharing.errors import ShareBroken, SharingError, TooFewShares

PROFILES: Final = ("sealed", "article", "shamir", "copies")
MAX_PART_BYTES: Final = 16 * 1024 * 1024
"""Of data that are split at once; larger objects are cut into parts, each with shares of its own."""
MAX_PARTS: Final = 4
MAX_OBJECT_BYTES: Final = MAX_PARTS * MAX_PART_BYTES


@dataclass(frozen=True, slots=True)
class Cut:
    """What data were split into: shares by id, and the SHA-256, in hex, of the ciphertext with its tag.

    For profiles without cipher it is the SHA-256 of the data.
    """

    shares: dict[int, bytes]
    cipher_sha256: str


def part_lengths(length: int) -> list[int]:
    """The lengths of the parts of an object; one part of 0 bytes for an empty one.

    Raises :class:`SharingError` for one that is too large.
    """
    if length > MAX_OBJECT_BYTES:
        raise SharingError("length", f"{length} bytes are more than {MAX_OBJECT_BYTES}")
    whole, rest = divmod(length, MAX_PART_BYTES)
    return [MAX_PART_BYTES] * whole + ([rest] if rest or not whole else [])


def needed(profile: str, t: int) -> int:
    """How many shares join: t, and one of ``copies``."""
    _check_profile(profile)
    return 1 if profile == "copies" else t


def check_ids(profile: str, t: int, ids: Sequence[int]) -> None:
    """Raise :class:`SharingError` where a profile cannot be used with these ids and this threshold."""
    _check_profile(profile)
    check = {"sealed": sealed.check_ids, "article": recursive.check_ids}.get(profile, field.check_ids)
    check(t, ids)


def share_bytes(profile: str, length: int, t: int) -> int:
    """The exact size of one share of data of ``length`` bytes."""
    _check_profile(profile)
    if profile == "sealed":
        return sealed.share_bytes(length, t)
    if profile == "article":
        return recursive.share_bytes(length, t)
    return shamir.share_bytes(length) if profile == "shamir" else length


def split(
    profile: str, data: bytes, t: int, ids: Sequence[int], *, head: bytes, randbytes: Callable[[int], bytes]
) -> Cut:
    """Split data of at most ``MAX_PART_BYTES``.

    ``ids`` are the holders' in the manifest's order, ``head`` the associated data that ``sealed`` binds to,
    ``randbytes`` the source of randomness (``os.urandom``). Raises :class:`SharingError`, which names the field, and
    :class:`~gridledger.extras.MissingExtra`.
    """
    check_ids(profile, t, ids)
    if len(data) > MAX_PART_BYTES:
        raise SharingError("data", f"{len(data)} bytes are more than {MAX_PART_BYTES} of one part")
    if profile == "sealed":
        shares, cipher_sha256 = sealed.split(data, t, ids, head=head, randbytes=randbytes)
        return Cut(shares, cipher_sha256)
    return Cut(split_plain(profile, data, t, ids, lambda: field.random_element(randbytes)), sha256(data).hexdigest())


def split_plain(profile: str, data: bytes, t: int, ids: Sequence[int], draw: Callable[[], int]) -> dict[int, bytes]:
    """Split by a profile other than ``sealed``; ``draw()`` gives the random elements of the field, one at a call."""
    if profile == "article":
        return recursive.split(data, t, ids, draw)
    if profile == "shamir":
        return shamir.split(data, t, ids, draw)
    if profile == "copies":
        return dict.fromkeys(ids, bytes(data))
    raise SharingError("profile", f"{profile!r} takes no random numbers from outside")


def join(
    profile: str,
    shares: Mapping[int, bytes],
    t: int,
    ids: Sequence[int],
    *,
    head: bytes,
    length: int,
    cipher_sha256: str,
) -> bytes:
    """The data of any :func:`needed` shares, by id; of more the first are taken. Check their commitments before.

    Raises :class:`TooFewShares`, :class:`ShareBroken` where they do not join to what was split, :class:`SharingError`.
    """
    _check_shares(profile, shares, t, ids, length)
    if profile == "sealed":
        return sealed.join(shares, t, ids, head=head, length=length, cipher=cipher_sha256)
    data = join_plain(profile, shares, t, ids)
    if len(data) != length or sha256(data).hexdigest() != cipher_sha256:
        raise ShareBroken("cipher_sha256", "the shares join to other data: a share was changed")
    return data


def join_plain(profile: str, shares: Mapping[int, bytes], t: int, ids: Sequence[int]) -> bytes:
    """Join by a profile other than ``sealed``, where nothing is known by which the data could be checked."""
    _check_shares(profile, shares, t, ids, None)
    if profile == "article":
        return recursive.join(shares, t)
    if profile == "shamir":
        return shamir.join(shares, t)
    if profile == "copies":
        return bytes(next(iter(shares.values())))
    raise SharingError("profile", f"{profile!r} joins only with its head")


def resplit(
    profile: str, data: bytes, shares: Mapping[int, bytes], t: int, ids: Sequence[int], *, head: bytes
) -> dict[int, bytes]:
    """All shares again, by id, from :func:`needed` good ones and the data that they joined to.

    The key or the polynomials are the same, so a reader can compare all roots with the manifest: a dealer who gave some
    holders other shares is found.
    """
    _check_shares(profile, shares, t, ids, len(data))
    if profile == "sealed":
        return sealed.resplit(data, shares, t, ids, head=head)
    return dict.fromkeys(ids, bytes(data)) if profile == "copies" else shamir.extend(shares, t, ids)


def _check_profile(profile: str) -> None:
    if profile not in PROFILES:
        raise SharingError("profile", f"{profile!r:.40} is none of {', '.join(PROFILES)}")


def _check_shares(profile: str, shares: Mapping[int, bytes], t: int, ids: Sequence[int], length: int | None) -> None:
    check_ids(profile, t, ids)
    for x in shares:
        if x not in ids:
            raise SharingError("shares", f"{x} is none of the ids")
    need = needed(profile, t)
    if len(shares) < need:
        raise TooFewShares("shares", f"needs {need} of {len(ids)}, {len(shares)} are there")
    if length is None and len({len(share) for share in shares.values()}) > 1:
        raise ShareBroken("shares", "they differ in length")
    if length is None:
        return
    size = share_bytes(profile, length, t)
    for x, share in shares.items():
        if len(share) != size:
            raise ShareBroken("shares", f"the share of {x} has {len(share)} bytes, not {size}")

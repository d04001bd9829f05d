"""The profile ``sealed`` (Krawczyk, CRYPTO 1993): encrypt, cut the ciphertext by an erasure code, share the key.

Pinned: AES-256-GCM under a key that is used once, nonce of 12 zero bytes, the object's head as associated data; the
ciphertext with its tag by pyeclib's ``isa_l_rs_cauchy`` with k = t and m = n - t; the key by Shamir over GF(2^521 - 1)
at the holder's id. Share = "S1" || id (8 bytes) || key share (66 bytes) || fragment.

A fragment is pyeclib's, 80 bytes of header and a t-th of the ciphertext. The header names the libraries' versions; here
it is always that of pyeclib 1.8.0, so that every version makes the same bytes. pyeclib decodes a changed byte to wrong
data without a word: **check each share's commitment first**. GCM refuses what slips through.

Needs the extra ``vault`` where fragments are made or joined.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gridledger.extras import require_extra
from gridledger.sharing import field, shamir
from gridledger.sharing.errors import ShareBroken, SharingError, TooFewShares
from gridledger.sharing.field import ELEMENT_BYTES, P521

if TYPE_CHECKING:
    from pyeclib.ec_iface import ECDriver

MAGIC: Final = b"S1"
ID_BYTES: Final = 8
KEY_BYTES: Final = 32
TAG_BYTES: Final = 16
HEADER_BYTES: Final = 80
"""Of a fragment."""
_NONCE: Final = bytes(12)
"""A key is used once, so the nonce may be fixed."""
_KEY_AT: Final = len(MAGIC) + ID_BYTES
_FRAGMENT_AT: Final = _KEY_AT + ELEMENT_BYTES

# liberasurecode's fragment header (erasurecode.h), little-endian: what its metadata's CRC-32 covers, and what follows.
_METADATA: Final = struct.Struct("<IIIQB32sBBI")
_BEHIND: Final = struct.Struct("<III9s")
_NO_CHECKSUM: Final = 1
_CAUCHY: Final = 7
"""The backend's number."""
_ISAL_2_14_1: Final = 0x020E01
_LIBERASURECODE_MAGIC: Final = 0x0B0C5ECC
_LIBERASURECODE_1_8_0: Final = 0x010800
_SIZES_AT: Final = struct.Struct("<IIIQ")


def payload_bytes(length: int, t: int) -> int:
    """A fragment's size without its header, for data of ``length`` bytes."""
    return -(-(length + TAG_BYTES) // t)


def share_bytes(length: int, t: int) -> int:
    """The size of a share of data of ``length`` bytes."""
    return _FRAGMENT_AT + HEADER_BYTES + payload_bytes(length, t)


def split(
    data: bytes, t: int, ids: Sequence[int], *, head: bytes, randbytes: Callable[[int], bytes]
) -> tuple[dict[int, bytes], str]:
    """Shares by id under a new key, and the SHA-256 of ciphertext and tag in hex.

    ``ids`` are in the manifest's order: fragment i is that of ``ids[i]``. Raises :class:`SharingError` for ids and
    thresholds that cannot be used, :class:`~gridledger.extras.MissingExtra` without pyeclib.
    """
    check_ids(t, ids)
    key = randbytes(KEY_BYTES)
    secret = int.from_bytes(key, "big")
    key_shares = shamir.share_secret(secret, t, ids, lambda: field.random_element(randbytes))
    return _sealed(data, key, key_shares, t, list(ids), head=head)


def join(shares: Mapping[int, bytes], t: int, ids: Sequence[int], *, head: bytes, length: int, cipher: str) -> bytes:
    """The data of the first t of the shares. Their commitments must have been checked.

    ``cipher`` is the SHA-256 of ciphertext and tag in hex. Raises :class:`ShareBroken` where shares have not the form
    that they must have, or where ciphertext or tag do not hold.
    """
    check_ids(t, ids)
    used = _first(shares, t, ids, "shares")
    fragments = {x: _checked_fragment(share, x, ids, length, t) for x, share in used.items()}
    ciphertext = _decode(fragments, t, ids)
    if sha256(ciphertext).hexdigest() != cipher:
        raise ShareBroken("cipher_sha256", "the shares join to another ciphertext: a share was changed")
    try:
        return AESGCM(_key(used, t)).decrypt(_NONCE, ciphertext, head)
    except InvalidTag:
        raise ShareBroken("shares", "the tag does not hold: a key share or the object's head was changed") from None


def resplit(data: bytes, shares: Mapping[int, bytes], t: int, ids: Sequence[int], *, head: bytes) -> dict[int, bytes]:
    """All shares again under the same key, from t of them and the data."""
    check_ids(t, ids)
    used = _first(shares, t, ids, "shares")
    known = {x: key_share(share) for x, share in used.items()}
    key_shares = {x: shamir.recover_secret(known, t, at=x) for x in ids}
    return _sealed(data, _key(used, t), key_shares, t, list(ids), head=head)[0]


def every_fragment(
    fragments: Mapping[int, bytes], t: int, ids: Sequence[int], *, length: int, cipher: str
) -> dict[int, bytes]:
    """All fragments, by id, from those of t ids, without the key: so a repairer finds whose fragment is wrong.

    ``length`` is that of the data, ``cipher`` the SHA-256 of ciphertext and tag in hex. Raises :class:`ShareBroken`
    where these are not of that ciphertext.
    """
    check_ids(t, ids)
    used = _first(fragments, t, ids, "fragments")
    for x, found in used.items():
        _check_header(found, x, ids, length + TAG_BYTES, t)
    ciphertext = _decode(used, t, ids)
    if sha256(ciphertext).hexdigest() != cipher:
        raise ShareBroken("fragments", "they give another ciphertext: one was changed")
    return _fragments(ciphertext, t, ids)


def rebuild_fragment(fragments: Mapping[int, bytes], at: int, t: int, ids: Sequence[int]) -> bytes:
    """The fragment of id ``at`` from those of t other ids. Their shares' commitments must have been checked.

    Raises :class:`ShareBroken` where they are no fragments of one object.
    """
    check_ids(t, ids)
    if at not in ids:
        raise SharingError("at", f"{at} is none of the ids")
    used = _first(fragments, t, ids, "fragments")
    payload, total = _sizes(next(iter(used.values())))
    for x, found in used.items():
        _check_header(found, x, ids, total, t)
    index = list(ids).index(at)
    rebuilt = _driver(t, len(ids)).reconstruct(list(used.values()), [index])[0]
    return _header(index, payload, total) + rebuilt[HEADER_BYTES:]


def _first(given: Mapping[int, bytes], t: int, ids: Sequence[int], what: str) -> dict[int, bytes]:
    """The first t; :class:`TooFewShares` where they are fewer."""
    if len(given) < t:
        raise TooFewShares(what, f"needs {t} of {len(ids)}, {len(given)} are there")
    return dict(list(given.items())[:t])


def _sizes(found: bytes) -> tuple[int, int]:
    """The sizes of payload and ciphertext that a fragment's header names."""
    if len(found) <= HEADER_BYTES:
        raise ShareBroken("fragments", f"a fragment has more than {HEADER_BYTES} bytes")
    _, payload, _, total = _SIZES_AT.unpack_from(found)
    return payload, total


def assemble(own_id: int, own_key_share: int, own_fragment: bytes) -> bytes:
    """A share of its parts."""
    return b"".join(
        (MAGIC, own_id.to_bytes(ID_BYTES, "big"), own_key_share.to_bytes(ELEMENT_BYTES, "big"), own_fragment)
    )


def key_share(share: bytes) -> int:
    """The share of the key; :class:`ShareBroken` where it is no share."""
    if len(share) <= _FRAGMENT_AT or not share.startswith(MAGIC):
        raise ShareBroken("shares", 'a share of the profile sealed begins with "S1", an id and a key share')
    value = int.from_bytes(share[_KEY_AT:_FRAGMENT_AT], "big")
    if value >= P521:
        raise ShareBroken("shares", "a key share is not below the prime")
    return value


def key_share_bytes(share: bytes) -> bytes:
    """The share of the key as it stands in the share, 66 bytes."""
    return key_share(share).to_bytes(ELEMENT_BYTES, "big")


def key_share_sha256(share: bytes) -> str:
    """The SHA-256 of the 66 bytes of the key share, in hex."""
    return sha256(key_share_bytes(share)).hexdigest()


def share_id(share: bytes) -> int:
    """The id that stands in a share."""
    key_share(share)
    return int.from_bytes(share[len(MAGIC) : _KEY_AT], "big")


def fragment(share: bytes) -> bytes:
    """The fragment: ciphertext, that tells nothing without the key."""
    key_share(share)
    return share[_FRAGMENT_AT:]


def check_ids(t: int, ids: Sequence[int]) -> None:
    """As :func:`gridledger.sharing.field.check_ids`, and refuse ids that do not fit into 8 bytes."""
    field.check_ids(t, ids)
    for x in ids:
        if x >> (8 * ID_BYTES):
            raise SharingError("ids", f"{x} is not below 2^64")


def _sealed(
    data: bytes, key: bytes, key_shares: Mapping[int, int], t: int, ids: Sequence[int], *, head: bytes
) -> tuple[dict[int, bytes], str]:
    driver = _driver(t, len(ids))
    ciphertext = AESGCM(key).encrypt(_NONCE, data, head)
    size = payload_bytes(len(data), t)
    fragments = driver.encode(ciphertext)
    shares: dict[int, bytes] = {}
    for index, x in enumerate(ids):
        payload = memoryview(fragments[index])[HEADER_BYTES:]
        shares[x] = b"".join(
            (
                MAGIC,
                x.to_bytes(ID_BYTES, "big"),
                key_shares[x].to_bytes(ELEMENT_BYTES, "big"),
                _header(index, size, len(ciphertext)),
                payload,
            )
        )
    return shares, sha256(ciphertext).hexdigest()


def _fragments(ciphertext: bytes, t: int, ids: Sequence[int]) -> dict[int, bytes]:
    """The fragments by id, each with the header that it must have."""
    size = -(-len(ciphertext) // t)
    made = _driver(t, len(ids)).encode(ciphertext)
    return {
        x: b"".join((_header(index, size, len(ciphertext)), memoryview(made[index])[HEADER_BYTES:]))
        for index, x in enumerate(ids)
    }


def _key(shares: Mapping[int, bytes], t: int) -> bytes:
    secret = shamir.recover_secret({x: key_share(share) for x, share in shares.items()}, t)
    if secret >> (8 * KEY_BYTES):
        raise ShareBroken("shares", "the key shares do not join to a key: one was changed")
    return secret.to_bytes(KEY_BYTES, "big")


def _checked_fragment(share: bytes, own_id: int, ids: Sequence[int], length: int, t: int) -> bytes:
    if len(share) != share_bytes(length, t):
        raise ShareBroken("shares", f"the share of {own_id} has {len(share)} bytes, not {share_bytes(length, t)}")
    if share_id(share) != own_id:
        raise ShareBroken("shares", f"the share of {own_id} names another id")
    found = fragment(share)
    _check_header(found, own_id, ids, length + TAG_BYTES, t)
    return found


def _check_header(found: bytes, own_id: int, ids: Sequence[int], total: int, t: int) -> None:
    """No library is given a header that is not the one that it must be: sizes in it are read before all else."""
    payload = -(-total // t)
    if own_id not in ids:
        raise SharingError("ids", f"{own_id}, of which there is a share, is none of them")
    if len(found) != HEADER_BYTES + payload or not found.startswith(_header(list(ids).index(own_id), payload, total)):
        raise ShareBroken("shares", f"the fragment of {own_id} has not the header that it must have")


def _header(index: int, payload: int, total: int) -> bytes:
    metadata = _METADATA.pack(index, payload, 0, total, _NO_CHECKSUM, bytes(32), 0, _CAUCHY, _ISAL_2_14_1)
    return metadata + _BEHIND.pack(_LIBERASURECODE_MAGIC, _LIBERASURECODE_1_8_0, zlib.crc32(metadata), bytes(9))


def _decode(fragments: Mapping[int, bytes], t: int, ids: Sequence[int]) -> bytes:
    found: bytes = _driver(t, len(ids)).decode(list(fragments.values()))
    return found


@lru_cache(maxsize=64)
def _driver(t: int, n: int) -> ECDriver:
    """The erasure code. Where n = t it still makes one fragment of parity, which nobody gets."""
    require_extra("vault", "the profile sealed")
    from pyeclib.ec_iface import ECDriver  # noqa: PLC0415 - the other profiles run on the base install

    return ECDriver(k=t, m=max(1, n - t), ec_type="isa_l_rs_cauchy")

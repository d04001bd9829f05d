"""Schnorr proofs (RFC 8235, on P-256): who makes one knows the secret of a key, and says a text.

With the generator G, the secret a and the public key A = a G:

    V = v G    c = SHA-256 over the 4-byte-length-prefixed G, V, A, UserID, OtherInfo, mod n    r = v - a c mod n

A proof is (V, r); it holds when V = r G + c A. Points are SEC 1 uncompressed (65 bytes), r is 32 bytes big-endian,
UserID and OtherInfo are UTF-8. v comes from the generator of RFC 6979 over the key, both texts and 32 fresh random
bytes: a source that repeats itself does not give the key away, as another text has another v.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gridledger.evidence import p256
from gridledger.evidence.errors import EvidenceError
from gridledger.evidence.p256 import ORDER, POINT_BYTES, PRIME, SCALAR_BYTES

PROOF_BYTES: Final = POINT_BYTES + SCALAR_BYTES
PROOF_DIGITS: Final = 2 * PROOF_BYTES
KEY_DIGITS: Final = 2 * POINT_BYTES
RANDOM_BYTES: Final = 32
_CURVE: Final = ec.SECP256R1()
_PREHASHED: Final = ec.ECDSA(Prehashed(hashes.SHA256()))
_G: Final = p256.encode(p256.G)
_SHIFT: Final = b"gridledger-schnorr-shift-1\0"
_DIGITS: Final = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof: ``v`` is V, 65 bytes, ``r`` 32 bytes."""

    v: bytes
    r: bytes

    @property
    def text(self) -> str:
        """V and r as 194 hex digits."""
        return (self.v + self.r).hex()

    @classmethod
    def of(cls, text: str) -> Proof:
        """Read that text; :class:`EvidenceError` for one of another form."""
        data = bytes_of(text, "proof", PROOF_BYTES)
        return cls(data[:POINT_BYTES], data[POINT_BYTES:])


def bytes_of(text: str, field: str, count: int) -> bytes:
    """``count`` bytes of their small hex digits; :class:`EvidenceError` names the field."""
    if len(text) != 2 * count or not _DIGITS.issuperset(text):
        raise EvidenceError(field, f"must be {2 * count} hex digits (0-9, a-f)")
    return bytes.fromhex(text)


def public_of(secret: int) -> bytes:
    """The public key of a secret, 1 to n - 1: 65 bytes."""
    return _times_g(_checked(secret))


def check_public(public: bytes) -> None:
    """Raise :class:`EvidenceError` unless these bytes are a point of P-256, SEC 1 uncompressed."""
    if p256.decode(public) is None:
        raise EvidenceError("proof_key", "is no point of P-256 in 65 bytes, SEC 1 uncompressed")


def prove(secret: int, user: str, other: str, *, randbytes: Callable[[int], bytes]) -> Proof:
    """Prove knowledge of ``secret``, bound to ``user`` and ``other``; ``randbytes(32)`` is called once.

    The arithmetic takes a time that depends on the secret: not for where an attacker measures microseconds.
    """
    public = public_of(secret)
    v = _ephemeral(secret, user, other, randbytes(RANDOM_BYTES))
    point = _times_g(v)
    r = (v - secret * challenge(point, public, user, other)) % ORDER
    return Proof(point, r.to_bytes(SCALAR_BYTES, "big"))


class Claim(NamedTuple):
    """That who has the secret of ``public`` says ``other`` as ``user``."""

    public: bytes
    user: str
    other: str
    proof: Proof


def verify(public: bytes, user: str, other: str, proof: Proof) -> bool:
    """Whether a proof holds under this public key, for this user and text; False for whatever cannot be one.

    Takes about 0.2 ms, most of it in OpenSSL; where its check does not apply, :func:`verify_pure` takes 25 times that.
    The answer is that of :func:`verify_pure`, but for a chance of 2^-256 (see :func:`_holds_shifted`).
    """
    return verify_each([Claim(public, user, other, proof)])[0]


def verify_each(claims: Sequence[Claim]) -> list[bool]:
    """As :func:`verify` of each; many together take half of the time."""
    read = [_read(claim) for claim in claims]
    sound = [one for one in read if one is not None]
    shift = _shift(sound)
    sums = iter(p256.add_to_each([one.v for one in sound], _point(_times_g(shift))))
    inverses = iter(p256.inverses([one.c or 1 for one in sound], ORDER))
    held = [None if one is None else _holds_shifted(one, shift, next(sums), next(inverses)) for one in read]
    return [
        False if one is None else verify_pure(*claim) if holds is None else holds
        for claim, one, holds in zip(claims, read, held, strict=True)
    ]


def verify_pure(public: bytes, user: str, other: str, proof: Proof) -> bool:
    """As :func:`verify`, by plain arithmetic: what it is held equal to."""
    a, v = p256.decode(public), p256.decode(proof.v)
    if a is None or v is None or len(proof.r) != SCALAR_BYTES:
        return False
    r = int.from_bytes(proof.r, "big")
    if r >= ORDER:
        return False
    c = challenge(proof.v, public, user, other)
    return p256.add(p256.multiply(r, p256.G), p256.multiply(c, a)) == v


def challenge(v: bytes, public: bytes, user: str, other: str) -> int:
    """c, below n."""
    parts = (_G, v, public, user.encode(), other.encode())
    digest = sha256(b"".join([len(part).to_bytes(4, "big") + part for part in parts])).digest()
    return int.from_bytes(digest, "big") % ORDER


class _Read(NamedTuple):
    """The numbers of a proof."""

    key: ec.EllipticCurvePublicKey
    v: tuple[int, int]
    r: int
    c: int


def _read(claim: Claim) -> _Read | None:
    """The numbers of a claim; None for what no proof can be."""
    key, v = _key(claim.public), p256.decode(claim.proof.v)
    r = int.from_bytes(claim.proof.r, "big")
    if key is None or v is None or len(claim.proof.r) != SCALAR_BYTES or r >= ORDER:
        return None
    return _Read(key, v, r, challenge(claim.proof.v, claim.public, claim.user, claim.other))


def _shift(read: Sequence[_Read]) -> int:
    """t of proofs that are verified together: 1 to n - 1, from a hash of all that they say, so that it is the same
    wherever these proofs are verified, and nobody can choose a proof by it."""
    digest = sha256(_SHIFT)
    for one in read:
        digest.update(one.c.to_bytes(SCALAR_BYTES, "big") + one.r.to_bytes(SCALAR_BYTES, "big"))
    return int.from_bytes(digest.digest(), "big") % (ORDER - 1) + 1


def _holds_shifted(read: _Read, shift: int, point: p256.Point, inverse: int) -> bool | None:
    """Whether (r + t) G + c A and ``point``, which is V + t G, have one x; None where the check does not apply.

    Then r G + c A is V, or -V - 2 t G. The second is so for one t of all n: whoever makes a proof has t from its hash,
    so he meets that one with a chance of 1/n, and the answer does not depend on t otherwise.

    It is the check of an ECDSA signature: one of the digest e with (x, s) asks whether (e/s) G + (x/s) A has the
    coordinate x modulo n. With s = x/c and e = (r + t) s these are (r + t) G and c A; ``inverse`` is 1/c. Coordinates
    below p - n or from n on, of which two are one modulo n, are left to plain arithmetic, as is what ECDSA has no
    signature for.
    """
    shifted = (read.r + shift) % ORDER
    if point is None or not (PRIME - ORDER <= point[0] < ORDER and shifted and read.c):
        return None
    s = point[0] * inverse % ORDER
    e = shifted * s % ORDER
    try:
        read.key.verify(encode_dss_signature(point[0], s), e.to_bytes(SCALAR_BYTES, "big"), _PREHASHED)
    except InvalidSignature:
        return False
    return True


def _ephemeral(secret: int, user: str, other: str, fresh: bytes) -> int:
    """v: the message of RFC 6979 is both texts with their lengths, its additional data (3.6) the fresh bytes."""
    if len(fresh) != RANDOM_BYTES:
        raise EvidenceError("randbytes", f"gave {len(fresh)} bytes instead of {RANDOM_BYTES}")
    message = b"".join([len(part).to_bytes(4, "big") + part for part in (user.encode(), other.encode())])
    return generate(secret, sha256(message).digest(), fresh)


def generate(secret: int, digest: bytes, additional: bytes) -> int:
    """The generator of RFC 6979, section 3.2, for P-256 and SHA-256: a number from 1 to n - 1."""
    h1 = int.from_bytes(digest, "big") % ORDER
    seed = secret.to_bytes(SCALAR_BYTES, "big") + h1.to_bytes(SCALAR_BYTES, "big") + additional
    k, v = bytes(32), b"\x01" * 32
    for separator in (b"\x00", b"\x01"):
        k = hmac.digest(k, v + separator + seed, "sha256")
        v = hmac.digest(k, v, "sha256")
    while True:
        v = hmac.digest(k, v, "sha256")
        number = int.from_bytes(v, "big")
        if 0 < number < ORDER:
            return number
        k = hmac.digest(k, v + b"\x00", "sha256")
        v = hmac.digest(k, v, "sha256")


def _checked(secret: int) -> int:
    if not 0 < secret < ORDER:
        raise EvidenceError("secret", "must be 1 to n - 1, n being the order of P-256")
    return secret


def _times_g(number: int) -> bytes:
    point = ec.derive_private_key(number, _CURVE).public_key()
    return point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _point(data: bytes) -> tuple[int, int]:
    point = p256.decode(data)
    if point is None:
        raise ValueError("these bytes are no point of P-256")
    return point


@lru_cache(maxsize=4096)
def _key(public: bytes) -> ec.EllipticCurvePublicKey | None:
    if p256.decode(public) is None:
        return None
    return ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, public)

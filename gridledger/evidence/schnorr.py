"""Schnorr proofs (RFC 8235, on P-256): who makes one knows the secret of a key, and says a text.

With the generator G, the secret a and the public key A = a G:

    V = v G    c = SHA-256 over the 4-byte-length-prefixed G, V, A, UserID, OtherInfo, mod n    r = v - a c mod n

A proof is (V, r); it holds when V = r G + c A. Points are SEC 1 uncompressed (65 bytes), r is 32 bytes big-endian,
UserID and OtherInfo are UTF-8. v comes from the generator of RFC 6979 over the key, both texts and 32 fresh random
bytes: a source that repeats itself does not give the key away, as another text has another v.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final

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


def verify(public: bytes, user: str, other: str, proof: Proof) -> bool:
    """Whether a proof holds under this public key, for this user and text; False for whatever cannot be one.

    Takes about 0.3 ms, most of it in OpenSSL; where its check does not apply, :func:`verify_pure` takes ten times that.
    """
    key = _key(public)
    v = p256.decode(proof.v)
    if key is None or v is None or len(proof.r) != SCALAR_BYTES:
        return False
    r = int.from_bytes(proof.r, "big")
    c = challenge(proof.v, public, user, other)
    # x(r G + c A) = x(V) leaves V or -V; x((r + 1) G + c A) = x(V + G) then leaves V alone.
    first = _same_x(key, r, c, v)
    if first is False:
        return False
    second = None if first is None else _same_x(key, r + 1, c, p256.add(v, p256.G))
    return verify_pure(public, user, other, proof) if second is None else second


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


def _same_x(key: ec.EllipticCurvePublicKey, r: int, c: int, point: p256.Point) -> bool | None:
    """Whether r G + c A is ``point`` or its negative; None where the check does not apply.

    It is the check of an ECDSA signature: one of the digest e with (x, s) asks whether (e/s) G + (x/s) A has the
    coordinate x modulo n. With s = x/c and e = r s these are r G and c A. Coordinates below p - n or from n on, of
    which two are one modulo n, are left to plain arithmetic, as is what ECDSA has no signature for.
    """
    if point is None:
        return None
    x = point[0]
    if not (PRIME - ORDER <= x < ORDER and 0 < r < ORDER and c):
        return None
    s = x * pow(c, -1, ORDER) % ORDER
    e = r * s % ORDER
    try:
        key.verify(encode_dss_signature(x, s), e.to_bytes(SCALAR_BYTES, "big"), _PREHASHED)
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


@lru_cache(maxsize=4096)
def _key(public: bytes) -> ec.EllipticCurvePublicKey | None:
    if p256.decode(public) is None:
        return None
    return ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, public)

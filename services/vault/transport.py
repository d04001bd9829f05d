"""How shares travel: HPKE (RFC 9180, base mode) to the receiver's key, with what the message is for bound into it.

Holders register their keys in base64, and readers send one made for a single read; the length tells the kind.
``x25519`` is DHKEM(X25519, HKDF-SHA256); ``mlkem768-x25519`` the hybrid of cryptography's Suite, for data that must
stay secret for decades: its key is the ML-KEM-768 key (1,184 bytes), then the X25519 key (32). AES-256-GCM either way.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from services.vault.errors import CannotOpen, KemKeyBad

Kem: TypeAlias = Literal["x25519", "mlkem768-x25519"]
X25519: Final[Kem] = "x25519"
HYBRID: Final[Kem] = "mlkem768-x25519"

_RAW_BYTES: Final = 32
_MLKEM_PUBLIC_BYTES: Final = 1184
_MLKEM_SEED_BYTES: Final = 64
_PUBLIC_BYTES: Final[dict[Kem, int]] = {X25519: _RAW_BYTES, HYBRID: _MLKEM_PUBLIC_BYTES + _RAW_BYTES}
_SECRET_BYTES: Final[dict[Kem, int]] = {X25519: _RAW_BYTES, HYBRID: _MLKEM_SEED_BYTES + _RAW_BYTES}
_OVERHEAD: Final[dict[Kem, int]] = {X25519: 32 + 16, HYBRID: 1088 + 32 + 16}
_SUITES: Final[dict[Kem, Suite]] = {
    X25519: Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM),
    HYBRID: Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM),
}
MAX_KEY_TEXT: Final = 2048
"""How long a key's text may be, in characters."""

_Public: TypeAlias = X25519PublicKey | MLKEM768X25519PublicKey
_Private: TypeAlias = X25519PrivateKey | MLKEM768X25519PrivateKey


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that messages are sealed to. Make it with :func:`read_public_key`."""

    kem: Kem
    raw: bytes

    @property
    def text(self) -> str:
        """Its text form, base64."""
        return base64.b64encode(self.raw).decode("ascii")

    def seal(self, data: bytes, info: bytes) -> bytes:
        """``data`` for whoever has the private key; it opens with the same ``info`` only."""
        try:
            return _SUITES[self.kem].encrypt(data, self._key(), info)
        except (ValueError, UnsupportedAlgorithm) as error:  # a point of small order, or an OpenSSL without ML-KEM
            raise KemKeyBad(f"nothing can be sealed to this {self.kem} key: {error}") from None

    def x25519(self) -> X25519PublicKey:
        """Its X25519 key, which both kinds have."""
        return X25519PublicKey.from_public_bytes(self.raw[-_RAW_BYTES:])

    def _key(self) -> _Public:
        if self.kem == X25519:
            return self.x25519()
        return MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(self.raw[:_MLKEM_PUBLIC_BYTES]), self.x25519()
        )


class PrivateKey:
    """The key of a holder, or of a reader for one read."""

    __slots__ = ("_key", "_x25519", "kem", "public", "secret")

    def __init__(self, kem: Kem, secret: bytes) -> None:
        """``secret`` is X25519's 32 bytes, in the hybrid behind ML-KEM's seed of 64."""
        if kem not in _SECRET_BYTES or len(secret) != _SECRET_BYTES[kem]:
            raise KemKeyBad(f"a private key of kind {kem!r:.40} does not have {len(secret)} bytes")
        self.kem: Kem = kem
        self.secret = secret
        self._x25519 = X25519PrivateKey.from_private_bytes(secret[-_RAW_BYTES:])
        raw = self._x25519.public_key().public_bytes_raw()
        self._key: _Private = self._x25519
        if kem == HYBRID:
            mlkem = MLKEM768PrivateKey.from_seed_bytes(secret[:_MLKEM_SEED_BYTES])
            raw = mlkem.public_key().public_bytes_raw() + raw
            self._key = MLKEM768X25519PrivateKey(mlkem, self._x25519)
        self.public = PublicKey(kem, raw)

    @classmethod
    def generate(cls, kem: Kem = X25519) -> PrivateKey:
        """A fresh key."""
        secret = X25519PrivateKey.generate().private_bytes_raw()
        return cls(kem, secret if kem == X25519 else MLKEM768PrivateKey.generate().private_bytes_raw() + secret)

    def open(self, message: bytes, info: bytes) -> bytes:
        """What was sealed to this key with ``info``; :class:`CannotOpen` for anything else."""
        try:
            return _SUITES[self.kem].decrypt(message, self._key, info)
        except (InvalidTag, ValueError):
            raise CannotOpen(
                "the message was not sealed to this key, or for another purpose, or it was changed"
            ) from None

    def agree(self, other: PublicKey) -> bytes:
        """The 32 bytes that this key and ``other`` have in common, and nobody else (X25519)."""
        try:
            return self._x25519.exchange(other.x25519())
        except ValueError:
            raise KemKeyBad("the other key is of small order: it has no secret in common with anybody") from None


def read_public_key(text: str) -> PublicKey:
    """A key from its text; :class:`KemKeyBad` says what is wrong."""
    try:
        raw = binascii.a2b_base64(text[: MAX_KEY_TEXT + 1], strict_mode=True)
    except (ValueError, UnicodeEncodeError):
        raise KemKeyBad("the key is not base64") from None
    for kem, size in _PUBLIC_BYTES.items():
        if len(raw) == size:
            return PublicKey(kem, raw)
    sizes = " or ".join(f"{size} ({kem})" for kem, size in _PUBLIC_BYTES.items())
    raise KemKeyBad(f"a key has {sizes} bytes, not {len(raw)}")


def sealed_bytes(kem: Kem, length: int) -> int:
    """How long a message is in which ``length`` bytes are sealed."""
    return length + _OVERHEAD[kem]

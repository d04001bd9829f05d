"""Bodies of events that stay off the chain, sealed for named readers: the chain then carries what they alone can open.

Sealed is the body behind its salt, to each reader's X25519 key by HPKE (RFC 9180, base mode; DHKEM(X25519,
HKDF-SHA256), HKDF-SHA256, AES-256-GCM), with the channel, the device and the body's salted hash bound into it. So
whoever opens it can compare it with the hash on the chain, and it opens for no other event. The bytes are, reader by
reader, the first 8 bytes of the SHA-256 of the reader's key, the length of the message (16 bits, big-endian), and the
message.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from gridledger import jsontext
from gridledger.evidence.errors import EvidenceError
from gridledger.evidence.events import SALT_BYTES, salted_hash

MAX_SEALED: Final = 6000
"""Characters of base64 that the contract takes."""
_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_KEY_BYTES: Final = 32
_NAME_BYTES: Final = 8
_HEAD_BYTES: Final = _NAME_BYTES + 2


def reader_key(text: str) -> X25519PublicKey:
    """A reader's public key, 32 bytes in base64; :class:`EvidenceError`."""
    try:
        raw = binascii.a2b_base64(text, strict_mode=True)
        if len(raw) != _KEY_BYTES:
            raise ValueError(f"{len(raw)} bytes")
        return X25519PublicKey.from_public_bytes(raw)
    except (ValueError, UnicodeEncodeError):
        raise EvidenceError("reader", f"a key has {_KEY_BYTES} bytes (X25519) in base64") from None


def seal_body(readers: Sequence[X25519PublicKey], channel: str, device: str, salt: bytes, body: str) -> str:
    """What goes on the chain beside the salted hash. Raises :class:`EvidenceError` where that would be too long."""
    info = _info(channel, device, salted_hash(salt, body))
    parts: list[bytes] = []
    for reader in readers:
        message = _SUITE.encrypt(salt + body.encode(), reader, info)
        parts += (_name(reader), len(message).to_bytes(2, "big"), message)
    text = base64.b64encode(b"".join(parts)).decode("ascii")
    if len(text) > MAX_SEALED:
        raise EvidenceError("body", f"is too long to be sealed to {len(readers)} readers: {len(text)} characters")
    return text


def open_body(key: X25519PrivateKey, channel: str, device: str, body_hash: str, sealed: str) -> str:
    """The body; :class:`EvidenceError` where it is not sealed to this key, or is not what the hash names."""
    message = _message_to(_name(key.public_key()), sealed)
    if message is None:
        raise EvidenceError("sealed", "is not for this key")
    try:
        data = _SUITE.decrypt(message, key, _info(channel, device, body_hash))
        salt, body = data[:SALT_BYTES], data[SALT_BYTES:].decode()
    except (InvalidTag, ValueError):
        raise EvidenceError("sealed", "does not open: it is for another key or event, or was changed") from None
    if len(salt) != SALT_BYTES or salted_hash(salt, body) != body_hash:
        raise EvidenceError("sealed", "holds another body than the hash on the chain names")
    return body


def _message_to(name: bytes, sealed: str) -> bytes | None:
    try:
        data = binascii.a2b_base64(sealed[: MAX_SEALED + 1], strict_mode=True)
    except (ValueError, UnicodeEncodeError):
        raise EvidenceError("sealed", "is not base64") from None
    while len(data) >= _HEAD_BYTES:
        end = _HEAD_BYTES + int.from_bytes(data[_NAME_BYTES:_HEAD_BYTES], "big")
        if data[:_NAME_BYTES] == name and end <= len(data):
            return data[_HEAD_BYTES:end]
        data = data[end:]
    return None


def _name(key: X25519PublicKey) -> bytes:
    return sha256(key.public_bytes_raw()).digest()[:_NAME_BYTES]


def _info(channel: str, device: str, body_hash: str) -> bytes:
    return jsontext.dumps({"sealed": "event", "channel": channel, "device": device, "body_sha256": body_hash})

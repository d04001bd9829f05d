"""Secrets at rest: scrypt (RFC 7914), a salt each, the parameters beside the hash so that they can be raised."""

from __future__ import annotations

import hashlib
import hmac
import secrets

COST, BLOCK, PARALLEL = 2**14, 8, 1
"""16 MiB and about 30 ms of one core a guess."""

MIN_SECRET_CHARS, MAX_SECRET_CHARS = 12, 256
_SALT_BYTES, _HASH_BYTES = 16, 32


def new_secret() -> str:
    """192 random bits, as text without a colon (HTTP Basic)."""
    return secrets.token_urlsafe(24)


def hash_secret(secret: str) -> str:
    """``scrypt:N:r:p:salt:hash``, salt and hash in hex."""
    salt = secrets.token_bytes(_SALT_BYTES)
    digest = _scrypt(secret, salt, COST, BLOCK, PARALLEL)
    return f"scrypt:{COST}:{BLOCK}:{PARALLEL}:{salt.hex()}:{digest.hex()}"


def matches(secret: str, stored: str) -> bool:
    """Whether ``stored`` is a hash of ``secret``; takes the same time whatever differs."""
    _, cost, block, parallel, salt, digest = stored.split(":")
    made = _scrypt(secret, bytes.fromhex(salt), int(cost), int(block), int(parallel))
    return hmac.compare_digest(made, bytes.fromhex(digest))


def _scrypt(secret: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    memory = 128 * cost * block + 1024 * 1024
    return hashlib.scrypt(secret.encode(), salt=salt, n=cost, r=block, p=parallel, maxmem=memory, dklen=_HASH_BYTES)

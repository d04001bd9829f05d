"""Secrets at rest: scrypt (RFC 7914), a salt each, the parameters beside the hash so that they can be raised.

Beside it stands whether the secret is beyond guessing: its holder need not be protected by a limit on tries, which
others could use up.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

COST, BLOCK, PARALLEL = 2**14, 8, 1
"""16 MiB and about 30 ms of one core a guess."""

MIN_SECRET_CHARS, MAX_SECRET_CHARS = 12, 256
BEYOND_GUESSING_CHARS, BEYOND_GUESSING_DIFFERENT = 32, 8
"""A secret of so many characters, so many of them different, is found by nobody who must ask for each guess."""

_GUESSABLE, _BEYOND_GUESSING = "scrypt", "scrypt-long"
_SALT_BYTES, _HASH_BYTES = 16, 32


def new_secret() -> str:
    """192 random bits, as text without a colon (HTTP Basic)."""
    return secrets.token_urlsafe(24)


def hash_secret(secret: str) -> str:
    """``scrypt:N:r:p:salt:hash``, salt and hash in hex; of a secret beyond guessing, ``scrypt-long:...``."""
    salt = secrets.token_bytes(_SALT_BYTES)
    digest = _scrypt(secret, salt, COST, BLOCK, PARALLEL)
    long = len(secret) >= BEYOND_GUESSING_CHARS and len(set(secret)) >= BEYOND_GUESSING_DIFFERENT
    return f"{_BEYOND_GUESSING if long else _GUESSABLE}:{COST}:{BLOCK}:{PARALLEL}:{salt.hex()}:{digest.hex()}"


def is_beyond_guessing(stored: str) -> bool:
    """Whether ``stored`` is the hash of a secret that no number of tries finds."""
    return stored.startswith(f"{_BEYOND_GUESSING}:")


def matches(secret: str, stored: str) -> bool:
    """Whether ``stored`` is a hash of ``secret``; takes the same time whatever differs."""
    _, cost, block, parallel, salt, digest = stored.split(":")
    made = _scrypt(secret, bytes.fromhex(salt), int(cost), int(block), int(parallel))
    return hmac.compare_digest(made, bytes.fromhex(digest))


def _scrypt(secret: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    memory = 128 * cost * block + 1024 * 1024
    return hashlib.scrypt(secret.encode(), salt=salt, n=cost, r=block, p=parallel, maxmem=memory, dklen=_HASH_BYTES)

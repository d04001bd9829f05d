"""Secrets at rest."""

from __future__ import annotations

import hashlib

from services.ca.secret_hash import MIN_SECRET_CHARS, hash_secret, is_beyond_guessing, matches, new_secret


def test_a_hash_fits_its_own_secret_and_tells_its_parameters() -> None:
    secret = new_secret()
    stored = hash_secret(secret)
    assert matches(secret, stored)
    assert not matches(secret + "x", stored)
    assert stored != hash_secret(secret)
    kind, cost, block, parallel, salt, digest = stored.split(":")
    assert (kind, cost, block, parallel) == ("scrypt-long", "16384", "8", "1")
    made = hashlib.scrypt(secret.encode(), salt=bytes.fromhex(salt), n=2**14, r=8, p=1, maxmem=2**26, dklen=32)
    assert made.hex() == digest


def test_a_hash_says_whether_its_secret_is_beyond_guessing() -> None:
    for secret in (new_secret(), "0123456789abcdef" * 2):
        assert is_beyond_guessing(hash_secret(secret))
    for secret in ("chosen by hand", "01" * 20, "0123456789abcdef0123456789abcde"):
        assert not is_beyond_guessing(hash_secret(secret))
    assert not is_beyond_guessing("scrypt:1024:8:1:00:00")


def test_a_hash_of_other_parameters_is_still_read() -> None:
    salt = bytes(16)
    digest = hashlib.scrypt(b"an older secret", salt=salt, n=2**10, r=8, p=1, dklen=32)
    assert matches("an older secret", f"scrypt:1024:8:1:{salt.hex()}:{digest.hex()}")


def test_new_secrets_differ_and_can_stand_in_http_basic() -> None:
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert all(":" not in secret and len(secret) >= MIN_SECRET_CHARS for secret in secrets)

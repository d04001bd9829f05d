"""Points of P-256 by the command line of OpenSSL."""

from __future__ import annotations

import subprocess

_HEAD, _CURVE = bytes.fromhex("303102010104 20".replace(" ", "")), bytes.fromhex("a00a06082a8648ce3d030107")


def times_g(number: int) -> bytes:
    """``number`` times the generator: 65 bytes, SEC 1 uncompressed."""
    key = _HEAD + number.to_bytes(32, "big") + _CURVE
    command = ["openssl", "ec", "-inform", "DER", "-pubout", "-outform", "DER", "-conv_form", "uncompressed"]
    done = subprocess.run(command, input=key, capture_output=True, check=True)
    return done.stdout[-65:]

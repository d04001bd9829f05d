"""The key that messages to a holder, or audits' secrets to the base, are sealed to: one file, made once and kept."""

from __future__ import annotations

from pathlib import Path

from gridledger.errors import CorruptionError, GridLedgerError
from gridledger.files import write_atomically
from services.vault.transport import HYBRID, X25519, Kem, PrivateKey


def kem_key(path: Path, kem: Kem) -> PrivateKey:
    """The key in a file, made where there is none. The file has its kind, a colon, and the secret in hex.

    Raises :class:`CorruptionError` where it cannot be read, and OSError where it cannot be written.
    """
    if not path.exists():
        key = PrivateKey.generate(kem)
        write_atomically(path, f"{kem}:{key.secret.hex()}\n".encode(), mode=0o600)
        return key
    try:
        told, _, secret = path.read_text(encoding="ascii").strip().partition(":")
        kinds: dict[str, Kem] = {X25519: X25519, HYBRID: HYBRID}
        return PrivateKey(kinds[told], bytes.fromhex(secret))
    except (OSError, ValueError, KeyError, GridLedgerError) as error:
        raise CorruptionError(
            f"{path} is not a key that was made here ({error}): restore it from a copy. Without one remove it: a "
            "holder then joins anew and is admitted, and the base can ask for no more audits of what was put before"
        ) from None

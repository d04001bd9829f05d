"""The keys that devices prove their events by: one file a device, which its owner alone may read.

The file has the secret in hex. A key that is to replace it lies beside as ``DEVICE.next``: the node proves the new key
by the old one and by itself, and goes over to it when the section has it.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gridledger.errors import CorruptionError, GridLedgerError
from gridledger.evidence import schnorr
from gridledger.evidence.events import registration_text
from gridledger.evidence.p256 import ORDER
from gridledger.files import write_atomically

_HEX_DIGITS: Final = 64
_NEXT: Final = ".next"


@dataclass(frozen=True, slots=True)
class ProofKey:
    """A device's key."""

    device: str
    secret: int
    randbytes: Callable[[int], bytes] = secrets.token_bytes

    def __repr__(self) -> str:
        return f"ProofKey({self.device!r})"  # the secret is no matter for logs

    @property
    def public(self) -> str:
        """The public key, 130 hex digits."""
        return schnorr.public_of(self.secret).hex()

    def prove(self, text: str) -> str:
        """The proof of a text by this device, 194 hex digits."""
        return schnorr.prove(self.secret, self.device, text, randbytes=self.randbytes).text


@dataclass(frozen=True, slots=True)
class Registration:
    """What a registrar hands in to have a device registered."""

    device: str
    proof_key: str
    certificate_sha256: str
    proof: str


class Keys:
    """The keys of a light node's devices, in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def key(self, device: str) -> ProofKey:
        """A device's key, made where there is none. :class:`CorruptionError` where the file is no key, or others may
        read it."""
        path = self._folder / device
        if not path.exists():
            self._write(path)
        return self._read(device, path)

    def next_key(self, device: str) -> ProofKey:
        """The key that is to replace a device's, made where there is none."""
        path = self._folder / f"{device}{_NEXT}"
        if not path.exists():
            self._write(path)
        return self._read(device, path)

    def next_key_if_any(self, device: str) -> ProofKey | None:
        """The key that is to replace a device's; None while none was asked for."""
        path = self._folder / f"{device}{_NEXT}"
        return self._read(device, path) if path.exists() else None

    def go_over(self, device: str) -> ProofKey:
        """Take the next key in place of the present one, which is gone then."""
        (self._folder / f"{device}{_NEXT}").replace(self._folder / device)
        return self._read(device, self._folder / device)

    def _write(self, path: Path) -> None:
        secret = 1 + secrets.randbelow(ORDER - 1)
        write_atomically(path, f"{secret:0{_HEX_DIGITS}x}\n".encode(), mode=0o600)

    def _read(self, device: str, path: Path) -> ProofKey:
        try:
            if hasattr(os, "getuid") and stat.S_IMODE(path.stat().st_mode) & 0o077:
                raise CorruptionError(
                    f"{path} can be read by others than its owner: rotate the key, or chmod 600 the file where nobody "
                    "else is on this machine"
                )
            text = path.read_text(encoding="ascii").strip()
            if len(text) != _HEX_DIGITS:
                raise ValueError(f"{len(text)} digits instead of {_HEX_DIGITS}")
            key = ProofKey(device, int(text, 16))
            schnorr.public_of(key.secret)
        except (OSError, ValueError) as error:
            raise CorruptionError(f"{path} is not a key that was made here ({error}): restore it from a copy") from None
        except GridLedgerError as error:
            raise CorruptionError(f"{path}: {error.message}") from None
        return key


def registration(key: ProofKey, channel: str, certificate_sha256: str) -> Registration:
    """The proof that a device has its key, for the registry on ``channel``."""
    text = registration_text(channel, key.device, certificate_sha256, key.public)
    return Registration(key.device, key.public, certificate_sha256, key.prove(text))


def rotation(old: ProofKey, new: ProofKey, channel: str, certificate_sha256: str) -> tuple[str, str]:
    """The proofs, by the old and by the new key, that ``new`` replaces ``old`` on ``channel``."""
    text = registration_text(channel, new.device, certificate_sha256, new.public)
    return old.prove(text), new.prove(text)

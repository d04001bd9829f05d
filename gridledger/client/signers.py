"""Signers: who signs for a client, be it with a key in a file, in an HSM, on another machine, or later by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ed25519

from gridledger.errors import SettingsError, TimeoutExceeded
from gridledger.identity.certificate import Certificate
from gridledger.identity.signer import SigningIdentity, normalised
from gridledger.protocol.errors import BadCreatorSignature


class Signer(Protocol):
    """Whoever can sign for a certificate; a :class:`SigningIdentity` is one. ``mspid`` is its organisation's."""

    @property
    def certificate(self) -> Certificate:
        """The certificate that travels in proposals."""

    @property
    def mspid(self) -> str:
        """The MSP id of its organisation."""

    def sign(self, message: bytes) -> bytes | Awaitable[bytes]:
        """A signature of the whole message: ECDSA over its SHA-256 (DER, or 64 bytes of r and s), or Ed25519.

        Of the two possible s either will do: the client takes the lower one, which is what the ledger wants.
        """


class DigestSigner:
    """A signer for a device or service that signs digests (SHA-256, 32 bytes), as most HSMs do. P-256 only."""

    def __init__(
        self, certificate: Certificate, mspid: str, sign_digest: Callable[[bytes], bytes | Awaitable[bytes]]
    ) -> None:
        if isinstance(certificate.public_key, ed25519.Ed25519PublicKey):
            raise SettingsError("Ed25519 signs messages, not digests: write a Signer whose sign takes the message")
        self.certificate = certificate
        self.mspid = mspid
        self._sign_digest = sign_digest

    def sign(self, message: bytes) -> bytes | Awaitable[bytes]:
        """What the device makes of the message's digest."""
        return self._sign_digest(sha256(message).digest())


class OfflineSigner:
    """A certificate whose signatures a program brings itself, with ``with_signature``."""

    def __init__(self, certificate: Certificate, mspid: str) -> None:
        self.certificate = certificate
        self.mspid = mspid

    def sign(self, message: bytes) -> bytes:
        """Nobody can, here."""
        raise SettingsError("this identity signs elsewhere: take bytes or digest, and give the signature")


async def signature_of(signer: Signer, message: bytes, timeout_s: float) -> bytes | None:
    """A signature that the ledger takes; None from an :class:`OfflineSigner`.

    Raises :class:`BadCreatorSignature` where what the signer gave is none, :class:`TimeoutExceeded` where it is awaited
    for too long.
    """
    if isinstance(signer, SigningIdentity):
        return signer.sign(message)
    if isinstance(signer, OfflineSigner):
        return None
    made = signer.sign(message)
    if isinstance(made, Awaitable):
        try:
            async with asyncio.timeout(timeout_s):
                made = await made
        except TimeoutError:
            raise TimeoutExceeded(f"the signer gave no signature within {timeout_s} s") from None
    return checked(signer.certificate, bytes(made), message)


def checked(certificate: Certificate, signature: bytes, message: bytes) -> bytes:
    """The signature with the lower s; :class:`BadCreatorSignature` where it is not the certificate's."""
    found = normalised(signature, certificate)
    if not certificate.verify(found, message):
        raise BadCreatorSignature(
            f"the signature is not one of {certificate.common_name!r} over these bytes: sign the bytes (or their "
            "SHA-256, with P-256) by the key of this certificate"
        )
    return found

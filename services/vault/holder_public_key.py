"""Whether a certificate has the public key that the ledger knows of a holder."""

from __future__ import annotations

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gridledger.identity.certificate import Certificate


def public_key_pem(certificate: Certificate) -> str:
    """A certificate's public key as the ledger has it."""
    return certificate.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")


def same_key(certificate: Certificate, pem: str) -> bool:
    """Whether ``pem`` is the certificate's public key."""
    return public_key_pem(certificate).strip() == pem.strip()

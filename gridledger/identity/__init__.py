"""Identities: X.509 certificates, MSPs, signers, and policies that say which signatures are enough."""

from __future__ import annotations

from gridledger.identity.certificate import Certificate
from gridledger.identity.errors import (
    BadIdentityFolder,
    BadMSP,
    CertificateExpired,
    CertificateRevoked,
    IdentityError,
    MalformedCertificate,
    MalformedPolicy,
    RoleMissing,
    UnknownAuthority,
)
from gridledger.identity.msp import MSP, ROLES, Identity, MSPManager
from gridledger.identity.policy import Policy
from gridledger.identity.signer import SigningIdentity, generate_key, make_csr

__all__ = [
    "MSP",
    "ROLES",
    "BadIdentityFolder",
    "BadMSP",
    "Certificate",
    "CertificateExpired",
    "CertificateRevoked",
    "Identity",
    "IdentityError",
    "MSPManager",
    "MalformedCertificate",
    "MalformedPolicy",
    "Policy",
    "RoleMissing",
    "SigningIdentity",
    "UnknownAuthority",
    "generate_key",
    "make_csr",
]

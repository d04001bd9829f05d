"""Errors of identities: why a certificate, a key folder or a policy is refused."""

from __future__ import annotations

from gridledger.errors import AuthenticationError, InputError


class MalformedCertificate(InputError):
    """The text is not one X.509 certificate of a kind that the ledger reads."""

    code = "MALFORMED_CERTIFICATE"


class BadIdentityFolder(InputError):
    """A folder does not hold one certificate, its private key and its MSP id."""

    code = "BAD_IDENTITY_FOLDER"


class BadMSP(InputError):
    """A root or revocation list in a channel's config cannot be used."""

    code = "BAD_MSP"


class MalformedPolicy(InputError):
    """A policy text cannot be read, or no set of identities could ever satisfy it."""

    code = "MALFORMED_POLICY"


class IdentityError(AuthenticationError):
    """The certificate names nobody here. Subclasses say why."""

    code = "IDENTITY_REFUSED"


class UnknownAuthority(IdentityError):
    """No root of any organisation in this config has issued the certificate."""

    code = "UNKNOWN_AUTHORITY"


class CertificateExpired(IdentityError):
    """The time asked about lies outside the certificate's or its root's validity."""

    code = "CERTIFICATE_EXPIRED"


class CertificateRevoked(IdentityError):
    """The organisation's revocation list in this config names the certificate."""

    code = "CERTIFICATE_REVOKED"


class RoleMissing(IdentityError):
    """The certificate's organisational units name no role, or more than one."""

    code = "ROLE_MISSING"

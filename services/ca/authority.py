"""One certificate authority: a root key and what it signs.

Knows X.509 and nothing of registries: whoever calls it has decided what the certificate says. Times are microseconds
since 1970 and handed in, serial numbers come from a function that may be handed in. What it signs with P-256 has the
lower of the two possible s, so that a certificate has the one fingerprint that openssl tells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gridledger.errors import SettingsError
from gridledger.files import write_atomically
from gridledger.identity.certificate import ATTRIBUTES_OID, Certificate, PublicKey, encode_attributes
from gridledger.identity.reading import reading
from gridledger.identity.signer import (
    PrivateKey,
    general_name,
    generate_key,
    load_private_key,
    private_key_pem,
    signature_hash,
)
from services.ca.errors import MalformedRequest

SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US
BACKDATE_US = 300 * SECOND_US
"""Certificates are valid from five minutes before they are made, for the sake of nodes whose clocks are behind."""

MAX_CSR_CHARS = 16 * 1024


@dataclass(frozen=True, slots=True)
class Revocation:
    """One line of a revocation list."""

    serial: int
    at_us: int


class Authority:
    """A root certificate with its key. Everything it makes is P-256 or Ed25519 and made for TLS and for signing."""

    def __init__(
        self, root: Certificate, key: PrivateKey, *, serials: Callable[[], int] = x509.random_serial_number
    ) -> None:
        self.root = root
        self._key = key
        self._serials = serials
        self._key_identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())

    @classmethod
    def create(cls, common_name: str, organisation: str, *, now_us: int, lifetime_us: int) -> Authority:
        """A new authority with a new P-256 key, in memory."""
        return cls._with_key(generate_key("p256"), common_name, organisation, now_us, lifetime_us)

    @classmethod
    def open(cls, folder: Path, common_name: str, organisation: str, *, now_us: int, lifetime_us: int) -> Authority:
        """The authority that ``folder`` keeps (``key.pem`` 0600, ``root.pem``), made there at the first call.

        Raises :class:`SettingsError` when the folder holds a root without its key.
        """
        key_file, root_file = folder / "key.pem", folder / "root.pem"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if root_file.exists():
            if not key_file.exists():
                raise SettingsError(f"{root_file} has lost its key {key_file}; restore the folder from its backup")
            root = Certificate.from_pem(root_file.read_bytes())
            key = load_private_key(key_file.read_bytes(), str(key_file))
            if key.public_key() != root.public_key:
                raise SettingsError(f"{key_file} is not the key of {root_file}; restore the folder from its backup")
            return cls(root, key)
        # A key without a root is a first start that was cut short: nothing was issued yet, the root is made from it.
        if not key_file.exists():
            write_atomically(key_file, private_key_pem(generate_key("p256")), mode=0o600)
        key = load_private_key(key_file.read_bytes(), str(key_file))
        made = cls._with_key(key, common_name, organisation, now_us, lifetime_us)
        write_atomically(root_file, made.root.pem.encode())
        return made

    @classmethod
    def _with_key(
        cls, key: PrivateKey, common_name: str, organisation: str, now_us: int, lifetime_us: int
    ) -> Authority:
        name = _name(organisation, common_name)
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_datetime(now_us - BACKDATE_US))
            .not_valid_after(_datetime(now_us + lifetime_us))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(authority=True), critical=True)
            .add_extension(identifier, critical=False)
            .sign(key, signature_hash(key))
        )
        return cls(Certificate.from_der(certificate.public_bytes(serialization.Encoding.DER)), key)

    def issue(
        self,
        public_key: PublicKey,
        common_name: str,
        role: str | None,
        *,
        now_us: int,
        lifetime_us: int,
        attributes: Mapping[str, str] | None = None,
        hosts: Sequence[str] = (),
    ) -> Certificate:
        """A certificate for ``public_key``, good for signing and as TLS client, and as TLS server for ``hosts``.

        ``role`` becomes the organisational unit. It never outlives the root.
        """
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(self._organisation(), common_name, role))
            .issuer_name(self.root.x509.subject)
            .public_key(public_key)
            .serial_number(self._serials())
            .not_valid_before(_datetime(max(now_us - BACKDATE_US, self.root.not_before_us)))
            .not_valid_after(_datetime(min(now_us + lifetime_us, self.root.not_after_us)))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(authority=False), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self._key_identifier), critical=False
            )
        )
        if hosts:
            usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
            names = [general_name(host) for host in hosts]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        if attributes:
            extension = x509.UnrecognizedExtension(ATTRIBUTES_OID, encode_attributes(attributes))
            builder = builder.add_extension(extension, critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        certificate = builder.sign(self._key, signature_hash(self._key))
        return Certificate.from_der(certificate.public_bytes(serialization.Encoding.DER))

    def revocation_list(self, revoked: Iterable[Revocation], number: int, *, now_us: int, lifetime_us: int) -> str:
        """A signed list (PEM). ``number`` must grow from list to list; ``now_us + lifetime_us`` is its nextUpdate."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.root.x509.subject)
            .last_update(_datetime(now_us))
            .next_update(_datetime(now_us + lifetime_us))
            .add_extension(x509.CRLNumber(number), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self._key_identifier), critical=False
            )
        )
        for entry in revoked:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(entry.serial)
                .revocation_date(_datetime(entry.at_us))
                .build()
            )
        signed = builder.sign(self._key, signature_hash(self._key))
        return signed.public_bytes(serialization.Encoding.PEM).decode("ascii")

    def _organisation(self) -> str:
        return str(self.root.x509.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value)


def requested_key(csr: str) -> PublicKey:
    """The key that a PKCS 10 request (PEM) proves to possess. All else it says is disregarded.

    Raises :class:`MalformedRequest`.
    """
    if len(csr) > MAX_CSR_CHARS:
        raise MalformedRequest(f"a certificate signing request has at most {MAX_CSR_CHARS} characters")
    with reading(MalformedRequest, "not a certificate signing request that can be read"):
        request = x509.load_pem_x509_csr(csr.encode())
        key, signed = request.public_key(), request.is_signature_valid
    if not signed:
        raise MalformedRequest("the certificate signing request is not signed by the key in it")
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise MalformedRequest("the key is neither P-256 nor Ed25519; make a new one of these kinds")


def _name(organisation: str, common_name: str, unit: str | None = None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation)]
    if unit is not None:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit))
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _datetime(at_us: int) -> datetime:
    return datetime.fromtimestamp(at_us // SECOND_US, UTC)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
